"""The command line.

Belongs here: arguments, exit codes, and what is printed.
Does not belong here: anything that a notebook could want. May import everything of the helper.
"""
