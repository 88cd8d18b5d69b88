"""Bytes to objects and back.

Belongs here: bodies as JSON, YAML and protobuf, their bounds, what form a client asks for, tables.
Does not belong here: whether an object is right (`checks`) or what a verb does with it (`verbs`).
"""
