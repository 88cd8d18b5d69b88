"""A Flagger-compatible controller for Istio and Deployments, and its load tester.

Belongs here: the rules of a progressive release and what carries them out through the Kubernetes API.
Does not belong here: anything that knows which cluster it runs on.
"""
