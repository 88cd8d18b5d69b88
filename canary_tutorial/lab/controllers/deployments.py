"""Deployment: rolling updates within maxSurge and maxUnavailable. Pure.

The order is Kubernetes': find or create the ReplicaSet of the template, follow a change of `replicas`, then scale the new
ReplicaSet up and the old ones down, delete those beyond the history limit, write the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.deployment_status import status_of
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Record, Update, Wake
from canary_tutorial.lab.controllers.surge import max_surge, max_unavailable, replicas_of
from canary_tutorial.lab.kinds import DEPLOYMENTS, PODS, REPLICASETS
from canary_tutorial.lab.objects import (
    Obj,
    clone,
    controller_of,
    is_deleted,
    owned_by,
    owner_reference,
    short_hash,
)
from canary_tutorial.lab.selectors import label_selector
from canary_tutorial.lab.store import Event, Store

COMPONENT = "deployment-controller"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = {"kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAXIMUM}


def concerns(event: Event, store: Store) -> Iterator[Key]:
    """A Deployment, that of a ReplicaSet, and that of a pod which has gone: Recreate waits for it."""
    if event.kind is DEPLOYMENTS:
        yield key_of(DEPLOYMENTS, event.object)
    namespace, owner = namespace_of(event.object), controller_of(event.object)
    if owner and owner["kind"] == "ReplicaSet" and event.type == "DELETED":
        replicaset = store.find(REPLICASETS, owner["name"], namespace)
        owner = controller_of(replicaset) if replicaset else None
    if owner and owner["kind"] == "Deployment":
        yield DEPLOYMENTS, namespace, owner["name"]


def reconcile(deployment: Obj, context: Context) -> list[Effect]:
    namespace, store = deployment["metadata"]["namespace"], context.store
    return plan(deployment, store.list(REPLICASETS, namespace), store.list(PODS, namespace), store.now())


def plan(deployment: Obj, replicasets: list[Obj], pods: list[Obj], now: datetime) -> list[Effect]:
    """ReplicaSets to create, scale or forget, and the status; `replicasets` and `pods` are the namespace's."""
    mine = sorted(owned_by(deployment, replicasets), key=lambda rs: rs["metadata"].get("creationTimestamp", ""))
    new = next((rs for rs in mine if _template(rs) == _template(deployment)), None)
    old = [rs for rs in mine if rs is not new]
    effects: list[Effect] = []
    if not is_deleted(deployment):
        names = {rs["metadata"]["name"] for rs in replicasets}
        effects = _adopt(deployment, replicasets) or _roll(deployment, new, old, pods, names)
    created = next((effect.obj for effect in effects if isinstance(effect, Create)), None)
    status, wait = status_of(deployment, new, mine, now, created)
    if status != deployment.get("status"):
        effects.append(Update(DEPLOYMENTS, clone(deployment) | {"status": status}, "status"))
    return [*effects, Wake(wait)] if wait is not None else effects


def _adopt(deployment: Obj, replicasets: list[Obj]) -> list[Effect]:
    """ReplicaSets that an earlier Deployment left behind (`kubectl delete --cascade=orphan`) are taken over."""
    adopted: list[Effect] = []
    selected = label_selector(deployment["spec"]["selector"])
    for rs in replicasets:
        if controller_of(rs) or is_deleted(rs) or not selected(_labels(rs)):
            continue
        mine = clone(rs)
        mine["metadata"].setdefault("ownerReferences", []).append(owner_reference(DEPLOYMENTS, deployment))
        adopted.append(Update(REPLICASETS, mine))
    return adopted


def _labels(replicaset: Obj) -> dict[str, str]:
    return replicaset["metadata"].get("labels") or {}


def _roll(deployment: Obj, new: Obj | None, old: list[Obj], pods: list[Obj], names: set[str]) -> list[Effect]:
    spec = deployment["spec"]
    paused = spec.get("paused", False)
    recreate = (spec.get("strategy") or {}).get("type") == "Recreate"
    if new is None:
        if paused:
            return _follow_replicas(deployment, new, old)
        if recreate and _shrink_all(old):
            return _shrink_all(old, deployment)
        if recreate and any(owned_by(rs, pods) for rs in old):
            return []  # the old pods are still ending
        return _create(deployment, old, names)
    effects = _revise(deployment, new, old)
    if effects:
        return effects
    scaled = _follow_replicas(deployment, new, old)
    if scaled or paused:
        return scaled
    if recreate:
        if _shrink_all(old):
            return _shrink_all(old, deployment)
        ended = not any(owned_by(rs, pods) for rs in old)
        effects = _scale(deployment, new, spec.get("replicas", 1)) if ended else []
    else:
        effects = _grow(deployment, new, old) or _shrink(deployment, new, old)
    return effects or (_forget(deployment, old) if _is_complete(deployment, new) else [])


# -- the wanted template's ReplicaSet


def _template(obj: Obj) -> Any:
    template = clone(obj["spec"]["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels.pop(HASH, None)
    return {"metadata": {k: v for k, v in template["metadata"].items() if v}, "spec": template.get("spec")}


def _create(deployment: Obj, old: list[Obj], names: set[str]) -> list[Effect]:
    meta, spec = deployment["metadata"], deployment["spec"]
    # Two templates may share a hash by accident, and a stranger may have the name: what is in the way changes it.
    template = clone(spec["template"])
    hash_ = next(h for h in (short_hash([template, salt]) for salt in range(100)) if f"{meta['name']}-{h}" not in names)
    template["metadata"].setdefault("labels", {})[HASH] = hash_
    selector = clone(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH] = hash_
    replicaset: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta['name']}-{hash_}",
            "namespace": meta["namespace"],
            "labels": clone(template["metadata"]["labels"]),
            "annotations": _annotations(deployment, str(_newest_revision(old) + 1)),
            "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        replicaset["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    replicas = _room(deployment, replicaset, old)
    replicaset["spec"]["replicas"] = replicas
    effects: list[Effect] = [Create(REPLICASETS, replicaset)]
    if replicas:
        effects.append(_scaled(deployment, replicaset, 0, replicas))
    return effects


def _revise(deployment: Obj, new: Obj, old: list[Obj]) -> list[Effect]:
    """The wanted ReplicaSet carries the highest revision (also after `rollout undo`), the Deployment shows it."""
    revision = str(max(_newest_revision(old) + 1, _revision(new)))
    effects: list[Effect] = []
    revised = clone(new)
    told = {k: v for k, v in _annotations(deployment, revision).items() if k not in (DESIRED, MAXIMUM)}
    revised["metadata"]["annotations"] = (new["metadata"].get("annotations") or {}) | told
    minimum = deployment["spec"].get("minReadySeconds", 0)
    if new["spec"].get("minReadySeconds", 0) != minimum:
        revised["spec"]["minReadySeconds"] = minimum
    if revised != new:
        effects.append(Update(REPLICASETS, revised))
    if (deployment["metadata"].get("annotations") or {}).get(REVISION) != revision:
        shown = clone(deployment)
        shown["metadata"].setdefault("annotations", {})[REVISION] = revision
        effects.append(Update(DEPLOYMENTS, shown))
    return effects


def _annotations(deployment: Obj, revision: str) -> dict[str, str]:
    own = deployment["metadata"].get("annotations") or {}
    sizes = {DESIRED: str(replicas_of(deployment)), MAXIMUM: str(replicas_of(deployment) + max_surge(deployment))}
    return {k: v for k, v in own.items() if k not in NOT_COPIED} | {REVISION: revision} | sizes


def _revision(replicaset: Obj) -> int:
    return _whole(_annotation(replicaset, REVISION))


def _newest_revision(replicasets: list[Obj]) -> int:
    return max(map(_revision, replicasets), default=0)


# -- how many pods


def _room(deployment: Obj, new: Obj, old: list[Obj]) -> int:
    """How many replicas the new ReplicaSet may have now."""
    wanted, current = replicas_of(deployment), replicas_of(new)
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return wanted
    total = current + sum(map(replicas_of, old))
    most = wanted + max_surge(deployment)
    return current if total >= most else min(wanted, current + most - total)


def _grow(deployment: Obj, new: Obj, old: list[Obj]) -> list[Effect]:
    wanted, current = replicas_of(deployment), replicas_of(new)
    if current >= wanted:
        return _scale(deployment, new, wanted)
    return _scale(deployment, new, _room(deployment, new, old))


def _shrink(deployment: Obj, new: Obj, old: list[Obj]) -> list[Effect]:
    """Old replicas go as new ones become available; those that are not healthy go first."""
    if not any(map(replicas_of, old)):
        return []
    least = replicas_of(deployment) - max_unavailable(deployment)
    everything = [new, *old]
    unavailable_new = replicas_of(new) - _available(new)
    may_go = sum(map(replicas_of, everything)) - least - unavailable_new
    effects: list[Effect] = []
    left = {rs["metadata"]["name"]: replicas_of(rs) for rs in old}
    for rs in old:  # unhealthy ones
        name = rs["metadata"]["name"]
        unhealthy = min(may_go, left[name] - _available(rs))
        if unhealthy > 0:
            may_go -= unhealthy
            left[name] -= unhealthy
    spare = sum(map(_available, everything)) - least
    for rs in old:
        name = rs["metadata"]["name"]
        healthy = min(spare, left[name], may_go)
        if healthy > 0:
            spare, may_go = spare - healthy, may_go - healthy
            left[name] -= healthy
    for rs in old:
        effects += _scale(deployment, rs, left[rs["metadata"]["name"]])
    return effects


def _shrink_all(old: list[Obj], deployment: Obj | None = None) -> list[Effect]:
    return [effect for rs in old if replicas_of(rs) for effect in _scale(deployment or rs, rs, 0)]


def _follow_replicas(deployment: Obj, new: Obj | None, old: list[Obj]) -> list[Effect]:
    """After a change of `replicas`, each ReplicaSet keeps its fraction (`kubectl scale` in mid-rollout)."""
    running = [rs for rs in [*([new] if new else []), *old] if replicas_of(rs)]
    wanted = replicas_of(deployment)
    if all(_annotation(rs, DESIRED) in (None, str(wanted)) for rs in running):
        return []
    if len(running) == 1:
        return _scale(deployment, running[0], wanted)
    if new and replicas_of(new) == wanted == _available(new) and _annotation(new, DESIRED) == str(wanted):
        return [effect for rs in old if replicas_of(rs) for effect in _scale(deployment, rs, 0)]
    most = wanted + max_surge(deployment) if wanted else 0
    sizes = _shares(running, most)
    return [effect for rs, size in zip(running, sizes, strict=True) for effect in _scale(deployment, rs, size)]


def _shares(running: list[Obj], most: int) -> list[int]:
    """`most` pods divided as they are now; the largest ReplicaSet has the first choice and takes what is left over."""
    sizes = [replicas_of(rs) for rs in running]
    left = most - sum(sizes)
    order = sorted(range(len(running)), key=lambda n: -sizes[n])
    for n in order:
        before = _whole(_annotation(running[n], MAXIMUM)) or sum(sizes)
        change = int(sizes[n] * most / before + 0.5) - sizes[n]
        change = min(change, left) if left > 0 else max(change, left)
        sizes[n], left = sizes[n] + change, left - change
    sizes[order[0]] = max(0, sizes[order[0]] + left)
    return sizes


def _whole(text: str | None) -> int:
    """The number that an annotation holds; 0 where somebody wrote something else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _annotation(replicaset: Obj, name: str) -> str | None:
    return (replicaset["metadata"].get("annotations") or {}).get(name)


def _scale(deployment: Obj, replicaset: Obj, replicas: int) -> list[Effect]:
    sizes = {DESIRED: str(replicas_of(deployment)), MAXIMUM: str(replicas_of(deployment) + max_surge(deployment))}
    before = replicas_of(replicaset)
    if before == replicas and sizes.items() <= (replicaset["metadata"].get("annotations") or {}).items():
        return []
    scaled = clone(replicaset)
    scaled["spec"]["replicas"] = replicas
    scaled["metadata"].setdefault("annotations", {}).update(sizes)
    effects: list[Effect] = [Update(REPLICASETS, scaled)]
    return [*effects, _scaled(deployment, replicaset, before, replicas)] if before != replicas else effects


def _scaled(deployment: Obj, replicaset: Obj, before: int, after: int) -> Effect:
    word = "up" if after > before else "down"
    message = f"Scaled {word} replica set {replicaset['metadata']['name']} from {before} to {after}"
    return Record(deployment, "Normal", "ScalingReplicaSet", message, COMPONENT)


def _available(replicaset: Obj) -> int:
    return int((replicaset.get("status") or {}).get("availableReplicas", 0))


def _is_complete(deployment: Obj, new: Obj) -> bool:
    status = deployment.get("status") or {}
    counts = {status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")}
    return counts == {replicas_of(deployment)} and _available(new) == replicas_of(deployment)


def _forget(deployment: Obj, old: list[Obj]) -> list[Effect]:
    keep = int(deployment["spec"].get("revisionHistoryLimit", 10))
    idle = [
        rs
        for rs in sorted(old, key=_revision)
        if not replicas_of(rs) and not (rs.get("status") or {}).get("replicas") and not is_deleted(rs)
    ]
    surplus = idle[: max(0, len(idle) - keep)]
    return [Delete(REPLICASETS, rs["metadata"]["name"], rs["metadata"]["namespace"]) for rs in surplus]


CONTROLLER = Controller(DEPLOYMENTS, concerns, reconcile)
