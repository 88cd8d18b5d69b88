"""The primary's HorizontalPodAutoscaler, and the replicas of a target that is scaled up from zero. Pure."""

from __future__ import annotations

from canary_tutorial.flagger import owned
from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.spec import Canary

SCALING = ("minReplicas", "maxReplicas", "metrics", "behavior")


def primary_autoscaler(c: Canary, autoscaler: Obj) -> Obj:
    limits = c.spec["autoscalerRef"].get("primaryScalerReplicas") or {}
    spec = {field: autoscaler["spec"][field] for field in SCALING if autoscaler["spec"].get(field) is not None}
    spec |= {field: int(limits[field]) for field in ("minReplicas", "maxReplicas") if limits.get(field) is not None}
    spec = {"scaleTargetRef": {**autoscaler["spec"]["scaleTargetRef"], "name": c.primary}, **spec}
    meta = {"labels": autoscaler["metadata"].get("labels")}
    name = f"{autoscaler['metadata']['name']}-primary"
    return owned.new(c, "autoscaling/v2", "HorizontalPodAutoscaler", name, meta, spec=spec)


def autoscaler_differs(target: Obj, primary: Obj, wanted: Obj) -> bool:
    """Whether the primary's autoscaler is written again: for labels and annotations too, which then stay as they are."""
    if any(primary["spec"].get(field) != wanted["spec"].get(field) for field in ("metrics", "behavior", "maxReplicas")):
        return True
    if (primary["spec"].get("minReplicas") or 1) != (wanted["spec"].get("minReplicas") or 1):
        return True
    return any(
        (target["metadata"].get(f) or {}) != (primary["metadata"].get(f) or {}) for f in ("labels", "annotations")
    )


def replicas_from_zero(c: Canary, target: Obj, primary: Obj | None, autoscaler: Obj | None) -> int:
    """How many pods a target gets when it leaves zero."""
    own = int(target["spec"].get("replicas") or 0)
    if own > 0:
        return own
    if c.spec.get("autoscalerRef"):
        return max(1, int(((autoscaler or {}).get("spec") or {}).get("minReplicas") or 1))
    return int(((primary or {}).get("spec") or {}).get("replicas") or 0) or 1
