"""A Flagger-compatible controller for Istio and Deployments, and its load tester.

Belongs here: the rules of a progressive release, and what executes them through the Kubernetes API.
Does not belong here: anything that depends on which cluster it runs on.
"""
