"""Finds what a cluster has, installs what the tutorial needs, and removes it again.

Belongs here: finding the mesh, Prometheus and Flagger; preflight; applying manifests without taking anything over;
cleaning up. Does not belong here: releases. May import `kube` and below.
"""
