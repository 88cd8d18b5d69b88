"""What is particular to a kind: columns, defaults, checks, what may change, other versions.

Belongs here: everything that `kubectl` shows or the server checks of one kind alone.
Does not belong here: what holds for all kinds.
"""
