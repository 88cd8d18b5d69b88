"""Is this object right? Asked of every object before it is stored, by its schema.

Belongs here: schemas, defaults of schemas, patterns, admission.
Does not belong here: what only one kind knows (`kinds`).
"""
