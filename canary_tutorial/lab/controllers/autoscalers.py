"""HorizontalPodAutoscaler: keeps replicas within minReplicas and maxReplicas. Pure.

The lab has no metrics API, so nothing can be scaled by load; the conditions say so in Kubernetes' words.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.effects import Effect, Record, Update
from canary_tutorial.lab.kinds import AUTOSCALERS, DEPLOYMENTS, REPLICASETS, Kind
from canary_tutorial.lab.objects import Obj, clone, condition, timestamp
from canary_tutorial.lab.store import Event, Store

COMPONENT = "horizontal-pod-autoscaler"
NO_METRICS = "the HPA was unable to compute the replica count: the lab has no metrics API (metrics.k8s.io)"


def concerns(event: Event, store: Store) -> Iterator[Key]:
    """An autoscaler, and those whose target a Deployment is."""
    if event.kind is AUTOSCALERS:
        yield key_of(AUTOSCALERS, event.object)
    if event.kind is DEPLOYMENTS:
        for autoscaler in store.list(AUTOSCALERS, namespace_of(event.object)):
            reference = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
            if reference.get("name") == event.object["metadata"]["name"]:
                yield key_of(AUTOSCALERS, autoscaler)


def reconcile(autoscaler: Obj, context: Context) -> list[Effect]:
    reference = autoscaler["spec"]["scaleTargetRef"]
    kind = DEPLOYMENTS if reference["kind"] == "Deployment" else REPLICASETS
    target = context.store.find(kind, reference["name"], autoscaler["metadata"]["namespace"])
    return plan(autoscaler, kind, target, context.store.now())


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
    fresh = []
    for type_, value, reason, message in conditions:
        old = condition(autoscaler, type_) or {}
        since = (old.get("lastTransitionTime") if old.get("status") == value else None) or timestamp(now)
        fresh.append(
            {"type": type_, "status": value, "reason": reason, "message": message, "lastTransitionTime": since}
        )
    status = {"currentReplicas": current, "desiredReplicas": wanted, "conditions": fresh, "currentMetrics": None}
    if status == autoscaler.get("status"):
        return []
    return [Update(AUTOSCALERS, clone(autoscaler) | {"status": status}, "status")]


CONTROLLER = Controller(AUTOSCALERS, concerns, reconcile)
