"""ServiceAccounts."""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, count
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource, Subresource
from canary_tutorial.lab.kinds import SERVICEACCOUNTS


class ServiceAccounts(Resource):
    columns = (NAME, count("Secrets", "secrets"), AGE)
    subresources = (Subresource("token", "TokenRequest", "create", "authentication.k8s.io"),)
    grants = (
        Grant("view", "serviceaccounts", READ),
        Grant("edit", "serviceaccounts", "impersonate"),
        Grant("edit", "serviceaccounts", WRITE),
        Grant("edit", "serviceaccounts/token", "create"),
    )


RESOURCES = [ServiceAccounts(SERVICEACCOUNTS)]
