"""The web pages of the cluster's programs, opened from JupyterLab.

Belongs here: what runs as a server beside Jupyter, and its icons.
Does not belong here: what runs in a notebook's kernel. May import `connection` and below.
"""
