"""HorizontalPodAutoscaler: keeps replicas within minReplicas and maxReplicas. Pure.

The lab has no metrics API, so nothing can be scaled by load; the conditions say so in Kubernetes' words.
"""

from __future__ import annotations

from datetime import datetime

from canary_tutorial.lab.controllers.effects import Effect, Record, Update
from canary_tutorial.lab.kinds import AUTOSCALERS, Kind
from canary_tutorial.lab.objects import Obj, clone, timestamp

COMPONENT = "horizontal-pod-autoscaler"
NO_METRICS = "the HPA was unable to compute the replica count: the lab has no metrics API (metrics.k8s.io)"


def plan(autoscaler: Obj, kind: Kind, target: Obj | None, now: datetime) -> list[Effect]:
    """The target's replicas, and the status."""
    spec = autoscaler["spec"]
    if target is None:
        why = f'{spec["scaleTargetRef"]["kind"].lower()}s "{spec["scaleTargetRef"]["name"]}" not found'
        return _status(autoscaler, 0, 0, [("AbleToScale", "False", "FailedGetScale", why)], now)
    current = int(target["spec"].get("replicas", 1))
    wanted = min(max(current, int(spec.get("minReplicas", 1))), int(spec["maxReplicas"]))
    conditions = [("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the current scale")]
    effects: list[Effect] = []
    if current == 0:  # scaled to zero means: switched off
        wanted = 0
        off = "scaling is disabled since the replica count of the target is zero"
        conditions.append(("ScalingActive", "False", "ScalingDisabled", off))
    else:
        conditions.append(("ScalingActive", "False", "FailedGetResourceMetric", NO_METRICS))
    if wanted != current:
        scaled = clone(target)
        scaled["spec"]["replicas"] = wanted
        why = "below Spec.MinReplicas" if wanted > current else "above Spec.MaxReplicas"
        message = f"New size: {wanted}; reason: Current number of replicas {why}"
        effects = [Update(kind, scaled), Record(autoscaler, "Normal", "SuccessfulRescale", message, COMPONENT)]
    return [*effects, *_status(autoscaler, current, wanted, conditions, now)]


def _status(
    autoscaler: Obj, current: int, wanted: int, conditions: list[tuple[str, str, str, str]], now: datetime
) -> list[Effect]:
    before = {c.get("type"): c for c in (autoscaler.get("status") or {}).get("conditions") or []}
    fresh = []
    for type_, value, reason, message in conditions:
        same = before.get(type_, {}).get("status") == value
        since = (before[type_].get("lastTransitionTime") if same else None) or timestamp(now)
        fresh.append(
            {"type": type_, "status": value, "reason": reason, "message": message, "lastTransitionTime": since}
        )
    status = {"currentReplicas": current, "desiredReplicas": wanted, "conditions": fresh, "currentMetrics": None}
    if status == autoscaler.get("status"):
        return []
    return [Update(AUTOSCALERS, clone(autoscaler) | {"status": status}, "status")]
