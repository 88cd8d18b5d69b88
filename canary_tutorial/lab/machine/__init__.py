"""The machine on which a lab runs: processes, files, addresses, certificates.

Belongs here: what uses the operating system, and the table from image names to programs.
Does not belong here: Kubernetes objects.
"""
