"""Namespace: creates what every namespace has, and deletes the objects of one that ends. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Update
from canary_tutorial.lab.kinds import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Kind
from canary_tutorial.lab.objects import Obj, clone, is_deleted, timestamp
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
    return plan(namespace, content, context.ca, store.now())


def plan(namespace: Obj, content: list[tuple[Kind, Obj]], ca: str, now: datetime) -> list[Effect]:
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
        gone: list[Effect] = [
            Delete(kind, obj["metadata"]["name"], name) for kind, obj in content if not is_deleted(obj)
        ]
        return [*_told(namespace, content, now), *gone]
    if not namespace["spec"].get("finalizers"):
        return []
    emptied = clone(namespace)
    emptied["spec"]["finalizers"] = []
    return [Update(NAMESPACES, emptied)]


def _told(namespace: Obj, content: list[tuple[Kind, Obj]], now: datetime) -> list[Effect]:
    """What holds a namespace up, in its status; nothing if that says so already."""
    kinds = Counter(f"{kind.plural}.{kind.group}" for kind, _ in content)
    holders = Counter(each for _, obj in content for each in obj["metadata"].get("finalizers") or [])
    left = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
    held = ", ".join(f"{each} in {count} resource instances" for each, count in sorted(holders.items()))
    said = {
        "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered", "All resources successfully discovered"),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False", "ParsedGroupVersions", "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": ("True", "SomeResourcesRemain", f"Some resources are remaining: {left}"),
        "NamespaceFinalizersRemaining": (
            ("True", "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {held}") if held
            else ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
        ),
    }  # fmt: skip
    old = {each.get("type"): each for each in (namespace.get("status") or {}).get("conditions") or []}
    if {type_: (each["status"], each["reason"], each["message"]) for type_, each in old.items()} == said:
        return []
    new = clone(namespace)
    new.setdefault("status", {})["conditions"] = [
        {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime":
         old[type_]["lastTransitionTime"] if old.get(type_, {}).get("status") == status else timestamp(now)}
        for type_, (status, reason, message) in said.items()
    ]  # fmt: skip
    return [Update(NAMESPACES, new, "status")]


CONTROLLER = Controller(NAMESPACES, concerns, reconcile)
