"""What a cluster has, and what the tutorial brings and takes away again.

Belongs here: finding the mesh, Prometheus and Flagger; preflight; applying manifests without taking anything over;
cleaning up. Does not belong here: releases. May import `kube` and below.
"""
