"""Whether a Deployment is ready: Flagger's five conditions in their order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import float32

WAITING = "waiting for rollout to finish: "


@dataclass(frozen=True)
class NotReady:
    """Why not, and whether waiting may help."""

    text: str
    retriable: bool = True


def deployment_readiness(deployment: Obj, deadline: int, threshold: int, now: datetime) -> NotReady | None:
    """None if it is ready. `deadline` (seconds) is the Canary's, `threshold` the percentage that must be available."""
    meta, spec, status = deployment["metadata"], deployment.get("spec") or {}, deployment.get("status") or {}
    if int(meta.get("generation") or 0) > int(status.get("observedGeneration") or 0):
        return NotReady(WAITING + "observed deployment generation less than desired generation")
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    progressing, available = conditions.get("Progressing"), conditions.get("Available")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return NotReady(f'deployment "{meta["name"]}" exceeded its progress deadline', retriable=False)
    retriable = True
    short = available and (available.get("status"), available.get("reason")) == ("False", "MinimumReplicasUnavailable")
    if progressing and available and short:
        since = available.get("lastUpdateTime")  # Go reads a missing time as one that is long past
        retriable = bool(since) and (now - datetime.fromisoformat(since)).total_seconds() <= deadline
    replicas, updated = spec.get("replicas"), int(status.get("updatedReplicas") or 0)
    if replicas is not None and updated < int(replicas):
        return NotReady(f"{WAITING}{updated} out of {replicas} new replicas have been updated", retriable)
    old = int(status.get("replicas") or 0) - updated
    if old > 0:
        return NotReady(f"{WAITING}{old} old replicas are pending termination", retriable)
    least = int(float32(updated * float32(threshold / 100)))
    have = int(status.get("availableReplicas") or 0)
    if have < least:
        text = f"{WAITING}{have} of {least} (readyThreshold {threshold}%) updated replicas are available"
        return NotReady(text, retriable)
    return None
