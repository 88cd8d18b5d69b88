"""The verbs on stored objects: get, list, watch, create, update, patch, apply, delete.

Belongs here: from a request to the store and back.
Does not belong here: rules of a kind (`kinds`) and streams (`connect`).
"""
