"""The kubelet: pods as groups of operating-system processes.

Belongs here: starting, probing, restarting and ending containers, their logs, volumes and environment, and the pod's
status. Does not belong here: which pods exist (the controllers), and which program an image is (`machine/images.py`).
"""
