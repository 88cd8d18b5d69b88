"""What Go writes although there is nothing: `null` for a list or a time that a built-in kind must have.

Clients meet these on every real cluster (`status.conditions: null` of a new CustomResourceDefinition), so they meet them
here. They are added on the way out: in the store, nothing is simply absent. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from canary_tutorial.lab.kinds import RBAC
from canary_tutorial.lab.objects import Obj


def shown(obj: Obj) -> Obj:
    """An object as it is written to a client."""
    fill = FOR.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    return fill(obj) if fill else obj


def _null(*names: str) -> Callable[[Obj], Obj]:
    """Fields that are null where there is nothing, or an empty list."""
    return lambda obj: {**obj, **{name: obj.get(name) or None for name in names}}


def _template(obj: Obj) -> Obj:
    spec = obj.get("spec") or {}
    template = spec.get("template") or {}
    meta = {"creationTimestamp": None} | (template.get("metadata") or {})
    return {**obj, "spec": {**spec, "template": {**template, "metadata": meta}}}


def _definition(obj: Obj) -> Obj:
    status = obj.get("status") or {}
    empty = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
    return {**obj, "status": empty | {name: value for name, value in status.items() if value}}


FOR: dict[tuple[str, str], Callable[[Obj], Obj]] = {
    ("apps/v1", "Deployment"): _template,
    ("apps/v1", "ReplicaSet"): _template,
    ("v1", "Event"): _null("eventTime", "firstTimestamp", "lastTimestamp"),
    ("events.k8s.io/v1", "Event"): _null("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"),
    ("discovery.k8s.io/v1", "EndpointSlice"): _null("endpoints", "ports"),
    (f"{RBAC}/v1", "Role"): _null("rules"),
    (f"{RBAC}/v1", "ClusterRole"): _null("rules"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _definition,
}
