"""Connections that stay open: logs, exec, attach, port-forward, proxy.

Belongs here: streams between a client and a pod.
Does not belong here: anything that reads or writes the store's objects for their own sake.
"""
