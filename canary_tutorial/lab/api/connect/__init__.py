"""Streams between a client and a pod: logs, exec, attach, port-forward, proxy.

Belongs here: the data that goes between `call.request` and a pod until one of them ends it.
Does not belong here: anything that reads or writes the store's objects for their own sake (`verbs`).
May import: `call` and what is below it.
"""
