"""The verbs on stored objects: get, list, watch, create, update, patch, apply, delete.

Belongs here: the way from a `Call` to the store and back, with patches, managed fields and tables.
Does not belong here: rules of a kind (`kinds`), what holds for every object (`checks`), streams (`connect`).
May import: `call` and what is below it.
"""
