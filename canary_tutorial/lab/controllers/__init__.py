"""The controllers: for each a pure function from the observed state to the changes, and one runner for all (`manager.py`).

Belongs here: what Kubernetes' controller manager does, for the kinds of a lesson on releases.
Does not belong here: processes (the kubelet's), requests (the API server's), canaries (Flagger's).
"""
