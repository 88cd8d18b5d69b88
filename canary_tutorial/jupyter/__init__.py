"""Serves the web pages of Prometheus and podinfo in JupyterLab.

Belongs here: what runs as a server beside Jupyter, and its icons.
Does not belong here: what runs in a notebook's kernel. May import `connection` and below.
"""
