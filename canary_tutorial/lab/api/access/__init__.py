"""Authorization and impersonation.

Belongs here: RBAC, the roles that every cluster has, impersonation.
Does not belong here: whose token it is (`lab.tokens`), and what a request is (`call`).
May import: nothing else of this package.
"""
