"""Who may do what.

Belongs here: RBAC and the roles that every cluster has.
Does not belong here: who somebody is (`lab.tokens`).
"""
