"""Garbage collection: objects whose owners are gone, or about to go. The plans are pure.

A dependent goes when none of its owners exists any more. An owner that was deleted in the foreground waits for its
dependents; one that was deleted as an orphan lets go of them first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from canary_tutorial.lab.controllers.controller import Key, key_of
from canary_tutorial.lab.controllers.effects import Delete, Effect, Update
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj, clone, is_deleted
from canary_tutorial.lab.store import Event, Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class Collector:
    """Observes objects of every kind, and keeps the index of who depends on whom."""

    def __init__(self) -> None:
        self._dependents: dict[str, set[Key]] = {}
        self._uids: set[str] = set()

    def concerns(self, event: Event, store: Store) -> Iterator[Key]:
        """What has an owner or is being deleted; dependents, and owners that may be waiting, of what has gone."""
        key, meta, deleted = key_of(event.kind, event.object), event.object["metadata"], event.type == "DELETED"
        (self._uids.discard if deleted else self._uids.add)(meta["uid"])
        if deleted:
            yield from tuple(self._dependents.get(meta["uid"], ()))
        owners = meta.get("ownerReferences") or []
        if owners or is_deleted(event.object):
            yield key
        for owner in owners:
            dependents = self._dependents.setdefault(owner["uid"], set())
            (dependents.discard if deleted else dependents.add)(key)
            if not dependents:
                del self._dependents[owner["uid"]]
        if owners and deleted:
            yield from _waiting({owner["uid"] for owner in owners}, store)

    def reconcile(self, kind: Kind, obj: Obj, store: Store) -> list[Effect]:
        keys = self._dependents.get(obj["metadata"]["uid"], ())
        found = [(each, store.find(each, name, namespace)) for each, namespace, name in keys]
        dependents = [(each, dependent) for each, dependent in found if dependent is not None]
        return plan_dependent(kind, obj, self._uids.__contains__) + plan_owner(kind, obj, dependents)


def _waiting(uids: set[str], store: Store) -> Iterator[Key]:
    """The owners whose deletion waits until their dependents have gone."""
    for kind in store.kinds.values():
        for obj in store.list(kind):
            if obj["metadata"]["uid"] in uids and is_deleted(obj):
                yield key_of(kind, obj)


def plan_dependent(kind: Kind, obj: Obj, exists: Callable[[str], bool]) -> list[Effect]:
    """Delete an object all of whose owners (by uid) are gone."""
    owners = obj["metadata"].get("ownerReferences") or []
    if not owners or is_deleted(obj) or any(exists(owner["uid"]) for owner in owners):
        return []
    meta = obj["metadata"]
    return [Delete(kind, meta["name"], meta.get("namespace"), meta["uid"])]


def plan_owner(kind: Kind, owner: Obj, dependents: list[tuple[Kind, Obj]]) -> list[Effect]:
    """Carry out the deletion policy that an owner's finalizer asks for."""
    meta = owner["metadata"]
    finalizers = meta.get("finalizers") or []
    if not is_deleted(owner):
        return []
    if ORPHAN in finalizers:
        return [*(_let_go(meta["uid"], *dependent) for dependent in dependents), _without(kind, owner, ORPHAN)]
    if FOREGROUND in finalizers:
        waiting = [(k, d) for k, d in dependents if _blocks(meta["uid"], d)]
        if not waiting:
            return [_without(kind, owner, FOREGROUND)]
        return [
            Delete(k, d["metadata"]["name"], d["metadata"].get("namespace"), d["metadata"]["uid"], "Foreground")
            for k, d in dependents
            if not is_deleted(d)
        ]
    return []


def _blocks(uid: str, dependent: Obj) -> bool:
    owners = dependent["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)


def _let_go(uid: str, kind: Kind, dependent: Obj) -> Effect:
    freed = clone(dependent)
    freed["metadata"]["ownerReferences"] = [o for o in freed["metadata"]["ownerReferences"] if o["uid"] != uid]
    return Update(kind, freed)


def _without(kind: Kind, owner: Obj, finalizer: str) -> Effect:
    freed = clone(owner)
    freed["metadata"]["finalizers"] = [f for f in freed["metadata"]["finalizers"] if f != finalizer]
    return Update(kind, freed)
