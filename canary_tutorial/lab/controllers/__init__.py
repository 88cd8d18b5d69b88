"""The controllers: each a pure plan (what is -> what to do) and one runner for all (`manager.py`).

Belongs here: what Kubernetes' controller manager does, for the kinds of a lesson on releases.
Does not belong here: processes (the kubelet's), requests (the API server's), canaries (nobody's in the lab).
"""
