"""Bytes to objects and back.

Belongs here: bodies as JSON, YAML and protobuf, their bounds, the forms that a client accepts.
Does not belong here: whether an object is right (`checks`), its rows as a table (`verbs.tables`), options (`options`).
May import: nothing else of this package.
"""
