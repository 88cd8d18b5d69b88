"""Namespace: creates what every namespace has, and deletes the objects of one that ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Update
from canary_tutorial.lab.kinds import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Kind
from canary_tutorial.lab.objects import Obj, clone, is_deleted
from canary_tutorial.lab.store import Event, Store

ROOT_CA = "kube-root-ca.crt"


def concerns(event: Event, store: Store) -> Iterator[Key]:
    """A namespace, and that of an object which has gone: it may have been the last one there."""
    if event.kind is NAMESPACES:
        yield key_of(NAMESPACES, event.object)
    namespace = namespace_of(event.object)
    if namespace and event.type == "DELETED":
        yield NAMESPACES, "", namespace


def reconcile(namespace: Obj, context: Context) -> list[Effect]:
    store, name = context.store, namespace["metadata"]["name"]
    kinds = [kind for kind in store.kinds.values() if kind.namespaced]
    content = [(kind, found) for kind in kinds for found in store.list(kind, name)]
    return plan(namespace, content, context.ca)


def plan(namespace: Obj, content: list[tuple[Kind, Obj]], ca: str) -> list[Effect]:
    """The default ServiceAccount and the CA for a living one; for a deleted one, its content first, then itself."""
    name = namespace["metadata"]["name"]
    if not is_deleted(namespace):
        have = {(kind, obj["metadata"]["name"]) for kind, obj in content}
        wanted: list[tuple[Kind, Obj]] = [
            (SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": name}}),
            (CONFIGMAPS, {"metadata": {"name": ROOT_CA, "namespace": name}, "data": {"ca.crt": ca}}),
        ]
        return [Create(kind, obj) for kind, obj in wanted if (kind, obj["metadata"]["name"]) not in have]
    if content:
        return [Delete(kind, obj["metadata"]["name"], name) for kind, obj in content if not is_deleted(obj)]
    if not namespace["spec"].get("finalizers"):
        return []
    emptied = clone(namespace)
    emptied["spec"]["finalizers"] = []
    return [Update(NAMESPACES, emptied)]


CONTROLLER = Controller(NAMESPACES, concerns, reconcile)
