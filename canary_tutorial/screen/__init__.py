"""Prints small tables and lines of progress.

Belongs here: text and HTML for a terminal, a log, and a notebook.
Does not belong here: where the values come from. Imports nothing of this package but `errors`.
"""
