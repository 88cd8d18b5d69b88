"""Kinds that are served in a second form: `autoscaling/v1` autoscalers and `events.k8s.io/v1` events. Pure.

There is one stored object; these functions turn it into the other form and back. Versions of custom kinds need no
conversion: they differ in their apiVersion only (strategy None).
"""

from __future__ import annotations

from collections.abc import Callable

from canary_tutorial.lab.objects import Obj

EVENTS_GROUP = "events.k8s.io"

# As events.k8s.io names it, and as the core group does.
EVENT_FIELDS = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}


def to_stored(api_version: str, kind: str, obj: Obj) -> Obj:
    """An object of a client in the form in which it is stored."""
    convert = FORMS.get((api_version, kind))
    return convert[0](obj) if convert else obj


def from_stored(api_version: str, kind: str, obj: Obj) -> Obj:
    """A stored object in the form that the client's URL names."""
    convert = FORMS.get((api_version, kind))
    return (convert[1](obj) if convert else obj) | {"apiVersion": api_version}


def path_to_stored(api_version: str, kind: str, path: str) -> str:
    """A dotted path of a client's form, such as `regarding.name`, in the stored one."""
    if (api_version, kind) != (f"{EVENTS_GROUP}/v1", "Event"):
        return path
    first, dot, rest = path.partition(".")
    return EVENT_FIELDS.get(first, first) + dot + rest


def _event_in(obj: Obj) -> Obj:
    return {EVENT_FIELDS.get(name, name): value for name, value in obj.items()} | {"apiVersion": "v1"}


def _event_out(obj: Obj) -> Obj:
    names = {core: new for new, core in EVENT_FIELDS.items()}
    return {names.get(name, name): value for name, value in obj.items()}


def _autoscaler_in(obj: Obj) -> Obj:
    spec = dict(obj.get("spec") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    kept = {name: value for name, value in obj.items() if name != "status"}
    return kept | {"apiVersion": "autoscaling/v2", "spec": spec}


def _autoscaler_out(obj: Obj) -> Obj:
    spec = {name: value for name, value in obj["spec"].items() if name not in ("metrics", "behavior")}
    for metric in obj["spec"].get("metrics") or []:
        resource = metric.get("resource") or {}
        percent = (resource.get("target") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and percent is not None:
            spec["targetCPUUtilizationPercentage"] = percent
    known = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
    status = {name: obj.get("status", {})[name] for name in known if name in obj.get("status", {})}
    return {**obj, "spec": spec, "status": {"currentReplicas": 0, "desiredReplicas": 0} | status}


FORMS: dict[tuple[str, str], tuple[Callable[[Obj], Obj], Callable[[Obj], Obj]]] = {
    (f"{EVENTS_GROUP}/v1", "Event"): (_event_in, _event_out),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (_autoscaler_in, _autoscaler_out),
}
