"""What differs from kind to kind: columns, defaults, checks, immutable fields, sub-resources, roles, other versions.

Belongs here: everything that `kubectl` shows or the server checks of one kind alone; a module for each, or for a few that
belong together, and the `registry`, which lists the modules. Does not belong here: what holds for all kinds.
May import: `wire` and what is below it; kinds do not import each other.
"""
