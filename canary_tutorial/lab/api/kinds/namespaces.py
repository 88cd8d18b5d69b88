"""Namespaces."""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, field
from canary_tutorial.lab.api.kinds.formats import DNS_LABEL
from canary_tutorial.lab.api.kinds.resource import READ, Grant, Resource, Subresource, fill
from canary_tutorial.lab.kinds import NAMESPACES
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


RESOURCES = [Namespaces(NAMESPACES)]
