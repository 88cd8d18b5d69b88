"""Namespaces, and the ServiceAccounts that each has."""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, count, field
from canary_tutorial.lab.api.kinds.formats import DNS_LABEL
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource, Subresource, fill
from canary_tutorial.lab.kinds import NAMESPACES, SERVICEACCOUNTS
from canary_tutorial.lab.objects import Obj


class Namespaces(Resource):
    columns = (NAME, Column("Status", field("status.phase", "Active")), AGE)
    name, name_limit = DNS_LABEL, 63
    selectable = frozenset({"status.phase"})
    subresources = (Subresource("finalize", "Namespace", "update"),)
    grants = (Grant("view", "namespaces", READ),)

    def default(self, obj: Obj) -> None:
        labels = obj["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
        fill(obj.setdefault("spec", {}), finalizers=["kubernetes"])

    def carry_over(self, old: Obj, new: Obj) -> None:
        """Only /finalize lets a namespace go."""
        new["spec"] = {**(new.get("spec") or {}), "finalizers": [*((old.get("spec") or {}).get("finalizers") or [])]}


class ServiceAccounts(Resource):
    columns = (NAME, count("Secrets", "secrets"), AGE)
    subresources = (Subresource("token", "TokenRequest", "create", "authentication.k8s.io"),)
    grants = (
        Grant("view", "serviceaccounts", READ),
        Grant("edit", "serviceaccounts", "impersonate"),
        Grant("edit", "serviceaccounts", WRITE),
        Grant("edit", "serviceaccounts/token", "create"),
    )


RESOURCES = [Namespaces(NAMESPACES), ServiceAccounts(SERVICEACCOUNTS)]
