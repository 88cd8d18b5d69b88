"""Checks that every object must pass before it is stored.

Belongs here: schemas, defaults of schemas, patterns, admission.
Does not belong here: what only one kind knows (`kinds`).
"""
