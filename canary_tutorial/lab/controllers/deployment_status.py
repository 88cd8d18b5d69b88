"""A Deployment's status: counts, and the conditions Available and Progressing. Pure.

Clients wait on these texts: `kubectl rollout status` on the counts, Flagger on `ProgressDeadlineExceeded` and on
`MinimumReplicasUnavailable`. One detail is as in Kubernetes: the progress deadline does not start again when a complete
rollout is merely scaled up, so a Deployment scaled from 0 never exceeds it.
"""

from __future__ import annotations

from datetime import datetime

from canary_tutorial.lab.controllers.surge import max_unavailable
from canary_tutorial.lab.objects import Obj, clone, condition, moment, timestamp


def status_of(
    deployment: Obj, new: Obj | None, replicasets: list[Obj], now: datetime, created: Obj | None = None
) -> tuple[Obj, float | None]:
    """The status, and after how many seconds the progress deadline makes it due again.

    `new` is the ReplicaSet of the wanted template, `created` the one that is about to be made for it.
    """
    old_status = deployment.get("status") or {}
    updated = _count(new, "replicas") if new else 0
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": sum(_count(rs, "replicas") for rs in replicasets),
        "updatedReplicas": updated,
        "readyReplicas": sum(_count(rs, "readyReplicas") for rs in replicasets),
        "availableReplicas": sum(_count(rs, "availableReplicas") for rs in replicasets),
    }
    total = sum(int(rs["spec"].get("replicas", 0)) for rs in replicasets)
    counts["unavailableReplicas"] = max(0, total - counts["availableReplicas"])
    status = {key: value for key, value in counts.items() if value or key == "observedGeneration"}
    status["conditions"] = clone(old_status.get("conditions") or [])
    _available(status, deployment, counts, now)
    if created and not deployment["spec"].get("paused"):
        text = f'Created new replica set "{created["metadata"]["name"]}"'
        _set(status, "Progressing", "True", "NewReplicaSetCreated", text, now, refresh=True)
        return status, float(deployment["spec"].get("progressDeadlineSeconds", 600))
    wait = _progress(status, deployment, new, counts, old_status, now)
    if not status["conditions"]:
        del status["conditions"]
    return status, wait


def _count(replicaset: Obj, field: str) -> int:
    return int((replicaset.get("status") or {}).get(field, 0))


def _available(status: Obj, deployment: Obj, counts: dict[str, int], now: datetime) -> None:
    least = int(deployment["spec"].get("replicas", 1)) - max_unavailable(deployment)
    if counts["availableReplicas"] >= least:
        text = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    _set(status, "Available", *text, now)


def _progress(
    status: Obj, deployment: Obj, new: Obj | None, counts: dict[str, int], old: Obj, now: datetime
) -> float | None:
    """Set Progressing; returns the seconds left until the deadline while a rollout is under way."""
    spec = deployment["spec"]
    deadline = spec.get("progressDeadlineSeconds", 600)
    current = condition({"status": old}, "Progressing")
    if spec.get("paused"):
        if current is None or current.get("reason") not in ("DeploymentPaused", "ProgressDeadlineExceeded"):
            _set(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
        return None
    if new is None:
        return None
    name = new["metadata"]["name"]
    if current is None:
        _set(status, "Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{name}"', now)
        return float(deadline)
    if current.get("reason") == "DeploymentPaused":
        _set(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
        current = condition({"status": status}, "Progressing") or current
    replicas = int(spec.get("replicas", 1))
    if counts["replicas"] == counts["updatedReplicas"] and current.get("reason") == "NewReplicaSetAvailable":
        return None  # complete before, and only scaled since
    generation = deployment["metadata"].get("generation", 1)
    complete = counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == replicas
    if complete and generation == counts["observedGeneration"]:
        text = f'ReplicaSet "{name}" has successfully progressed.'
        _set(status, "Progressing", "True", "NewReplicaSetAvailable", text, now)
        return None
    if _moved_on(counts, old):
        text = f'ReplicaSet "{name}" is progressing.'
        _set(status, "Progressing", "True", "ReplicaSetUpdated", text, now, refresh=True)
        return float(deadline)
    if current.get("reason") == "NewReplicaSetAvailable":  # complete before; the clock starts with the first step
        return None
    left = deadline - (now - _since(current, now)).total_seconds()
    if left <= 0:
        text = f'ReplicaSet "{name}" has timed out progressing.'
        _set(status, "Progressing", "False", "ProgressDeadlineExceeded", text, now)
        return None
    return float(left)


def _since(condition_: Obj, now: datetime) -> datetime:
    """When a condition was last updated; now, where somebody wrote something else there."""
    try:
        since = moment(condition_["lastUpdateTime"])
        return since if since.tzinfo else now
    except (KeyError, TypeError, ValueError):
        return now


def _moved_on(counts: dict[str, int], old: Obj) -> bool:
    def before(field: str) -> int:
        return int(old.get(field, 0))

    return (
        counts["updatedReplicas"] > before("updatedReplicas")
        or counts["replicas"] - counts["updatedReplicas"] < before("replicas") - before("updatedReplicas")
        or counts["readyReplicas"] > before("readyReplicas")
        or counts["availableReplicas"] > before("availableReplicas")
    )


def _set(
    status: Obj, type_: str, value: str, reason: str, message: str, now: datetime, *, refresh: bool = False
) -> None:
    """Write a condition; its times move as Kubernetes moves them."""
    current = condition({"status": status}, type_)
    if current and (current.get("status"), current.get("reason")) == (value, reason) and not refresh:
        return
    stamp = timestamp(now)
    same = current is not None and current.get("status") == value
    fresh = {
        "type": type_,
        "status": value,
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": (current.get("lastTransitionTime") or stamp) if current and same else stamp,
    }
    others = [c for c in status["conditions"] if c.get("type") != type_]
    status["conditions"] = [*others, fresh]
