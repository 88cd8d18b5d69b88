"""The lab: a small cluster of local processes that real Kubernetes clients can use.

Belongs here: what a cluster and its mesh do (API server, controllers, kubelet, mesh control plane, images).
Does not belong here: anything that knows what a canary is, and anything that a notebook imports.
"""
