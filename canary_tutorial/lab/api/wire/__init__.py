"""Bytes to objects and back.

Belongs here: bodies in JSON, YAML and protobuf (answers are JSON), their bounds, content negotiation.
Does not belong here: whether an object is valid (`checks`), its rows as a table (`verbs.tables`), options (`options`).
May import: nothing else of this package.
"""
