"""Setup and exercises of the lessons.

Belongs here: what only a notebook of the tutorial needs.
Does not belong here: anything that an operator would use at work. May import `charts`, `connection` and below.
"""
