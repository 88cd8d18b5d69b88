"""Garbage collection: objects whose owners are gone, or about to go. Pure.

A dependent goes when none of its owners exists any more. An owner that was deleted in the foreground waits for its
dependents; one that was deleted as an orphan lets go of them first.
"""

from __future__ import annotations

from collections.abc import Callable

from canary_tutorial.lab.controllers.effects import Delete, Effect, Update
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj, clone, is_deleted

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


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
