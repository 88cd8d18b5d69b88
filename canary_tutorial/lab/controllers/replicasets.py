"""ReplicaSet: keeps the number of pods, and deletes the least useful ones first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Record, Update, Wake
from canary_tutorial.lab.kinds import PODS, REPLICASETS
from canary_tutorial.lab.objects import (
    Obj,
    clone,
    controller_of,
    is_active,
    is_deleted,
    is_ready,
    owned_by,
    owner_reference,
    seconds_until_available,
)
from canary_tutorial.lab.selectors import label_selector
from canary_tutorial.lab.store import Event, Store

COMPONENT = "replicaset-controller"
BURST = 50  # pods made in one pass: the lab has others to serve between two


def concerns(event: Event, store: Store) -> Iterator[Key]:
    """A ReplicaSet, and that of a pod."""
    if event.kind is REPLICASETS:
        yield key_of(REPLICASETS, event.object)
    owner = controller_of(event.object)
    if owner and owner["kind"] == "ReplicaSet":
        yield REPLICASETS, namespace_of(event.object), owner["name"]


def reconcile(replicaset: Obj, context: Context) -> list[Effect]:
    return plan(replicaset, context.store.list(PODS, replicaset["metadata"]["namespace"]), context.store.now())


def plan(replicaset: Obj, pods: list[Obj], now: datetime) -> list[Effect]:
    """Pods to create or delete, and the status; `pods` are those of the namespace."""
    effects: list[Effect] = []
    selected = label_selector(replicaset["spec"].get("selector"))
    if not is_deleted(replicaset):
        effects += [_adopt(replicaset, pod) for pod in pods if _is_orphan(pod) and selected(_labels(pod))]
    mine = [pod for pod in owned_by(replicaset, pods) if is_active(pod)]
    active = [pod for pod in mine if selected(_labels(pod))]
    counted = {pod["metadata"]["uid"] for pod in active}
    effects += [_release(replicaset, pod) for pod in mine if pod["metadata"]["uid"] not in counted]
    if any(isinstance(effect, Update) for effect in effects):
        return effects  # count again when that is done
    if not is_deleted(replicaset):
        effects += _scale(replicaset, active)
    waits = [seconds_until_available(pod, replicaset["spec"].get("minReadySeconds", 0), now) for pod in active]
    status = {
        "replicas": len(active),
        "fullyLabeledReplicas": len(active),
        "readyReplicas": sum(is_ready(pod) for pod in active),
        "availableReplicas": sum(wait == 0 for wait in waits),
        "observedGeneration": replicaset["metadata"].get("generation", 1),
    }
    status = {key: value for key, value in status.items() if value or key in ("replicas", "observedGeneration")}
    if status != replicaset.get("status"):
        effects.append(Update(REPLICASETS, clone(replicaset) | {"status": status}, "status"))
    rest = [wait for wait in waits if wait]
    return [*effects, Wake(min(rest))] if rest else effects


def _scale(replicaset: Obj, active: list[Obj]) -> list[Effect]:
    surplus = len(active) - int(replicaset["spec"].get("replicas", 1))
    if surplus <= 0:  # those that are made bring the next pass
        return [Create(PODS, _pod(replicaset), replicaset, COMPONENT) for _ in range(min(-surplus, BURST))]
    effects: list[Effect] = []
    for pod in sorted(active, key=usefulness)[:surplus]:
        meta = pod["metadata"]
        effects.append(Delete(PODS, meta["name"], meta["namespace"], meta["uid"]))
        effects.append(
            Record(replicaset, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}", COMPONENT),
        )
    return effects


def usefulness(pod: Obj) -> tuple[int, int, int, str]:
    """Order of deletion: not scheduled, pending, not ready, then the youngest."""
    phase = (pod.get("status") or {}).get("phase", "Pending")
    order = {"Pending": 0, "Unknown": 1, "Running": 2}.get(phase, 0)
    age = "".join(chr(255 - ord(c)) for c in pod["metadata"].get("creationTimestamp") or "")
    return bool(pod["spec"].get("nodeName")), order, is_ready(pod), age


def _pod(replicaset: Obj) -> Obj:
    template = clone(replicaset["spec"]["template"])
    meta = {key: value for key, value in (template.get("metadata") or {}).items() if key in ("labels", "annotations")}
    meta |= {
        "generateName": replicaset["metadata"]["name"] + "-",
        "namespace": replicaset["metadata"]["namespace"],
        "ownerReferences": [owner_reference(REPLICASETS, replicaset)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template.get("spec", {})}


def _is_orphan(pod: Obj) -> bool:
    return controller_of(pod) is None and is_active(pod)


def _labels(pod: Obj) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _release(replicaset: Obj, pod: Obj) -> Effect:
    """A pod whose labels were changed is let go: somebody wants to look at it in peace."""
    freed, uid = clone(pod), replicaset["metadata"]["uid"]
    freed["metadata"]["ownerReferences"] = [o for o in freed["metadata"]["ownerReferences"] if o["uid"] != uid]
    return Update(PODS, freed)


def _adopt(replicaset: Obj, pod: Obj) -> Effect:
    adopted = clone(pod)
    adopted["metadata"].setdefault("ownerReferences", []).append(owner_reference(REPLICASETS, replicaset))
    return Update(PODS, adopted)


CONTROLLER = Controller(REPLICASETS, concerns, reconcile)
