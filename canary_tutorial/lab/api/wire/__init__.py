"""Bytes to objects and back.

Belongs here: bodies in JSON, YAML and protobuf (answers are JSON), their bounds, the forms that a client accepts.
Does not belong here: whether an object is right (`checks`), its rows as a table (`verbs.tables`), options (`options`).
May import: nothing else of this package.
"""
