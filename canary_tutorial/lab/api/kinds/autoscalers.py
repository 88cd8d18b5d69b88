"""HorizontalPodAutoscalers, stored as `autoscaling/v2` and served as `autoscaling/v1` too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, field, integer, reference
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Form, Grant, Resource, fill
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import AUTOSCALERS
from canary_tutorial.lab.objects import Obj, without


def _targets(obj: Obj, now: datetime) -> str:
    current = {each.get("resource", {}).get("name"): each for each in obj.get("status", {}).get("currentMetrics") or []}
    texts = []
    for each in obj["spec"].get("metrics") or []:
        resource = each.get("resource") or {}
        reported = (current.get(resource.get("name")) or {}).get("resource", {}).get("current") or {}
        found = reported.get("averageUtilization")
        wanted = (resource.get("target") or {}).get("averageUtilization", "<auto>")
        now_at = f"{found}%" if found is not None else "<unknown>"
        texts.append(f"{resource.get('name', each.get('type', ''))}: {now_at}/{wanted}%")
    return ", ".join(texts) or "<none>"


def _cpu(percent: int) -> list[Obj]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


class Version1(Form):
    """Knows one metric: the average use of CPU, as `targetCPUUtilizationPercentage`."""

    def to_stored(self, obj: Obj) -> Obj:
        spec = dict(obj.get("spec") or {})
        percent = spec.pop("targetCPUUtilizationPercentage", None)
        if percent is not None:
            spec["metrics"] = _cpu(percent)
        return without(obj, "status") | {"spec": spec}

    def from_stored(self, obj: Obj) -> Obj:
        spec = without(obj["spec"], "metrics", "behavior")
        for metric in obj["spec"].get("metrics") or []:
            resource = metric.get("resource") or {}
            percent = (resource.get("target") or {}).get("averageUtilization")
            if resource.get("name") == "cpu" and percent is not None:
                spec["targetCPUUtilizationPercentage"] = percent
        known = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
        status = {name: obj.get("status", {})[name] for name in known if name in obj.get("status", {})}
        return {**obj, "spec": spec, "status": {"currentReplicas": 0, "desiredReplicas": 0} | status}


class Autoscalers(Resource):
    columns = (
        NAME, reference("Reference", "spec.scaleTargetRef"), Column("Targets", _targets),
        Column("MinPods", field("spec.minReplicas")), integer("MaxPods", "spec.maxReplicas"),
        integer("Replicas", "status.currentReplicas"), AGE,
    )  # fmt: skip
    forms: Mapping[str, Form] = {"autoscaling/v1": Version1()}
    grants = (
        Grant("view", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
        Grant("edit", "horizontalpodautoscalers", WRITE),
    )

    def default(self, obj: Obj) -> None:
        fill(obj["spec"], minReplicas=1)
        if not obj["spec"].get("metrics"):
            obj["spec"]["metrics"] = _cpu(80)

    def check(self, obj: Obj) -> Iterable[Cause]:
        low, high = obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"]
        if high < 1:
            yield Cause.invalid("spec.maxReplicas", high, "must be greater than 0")
        if low < 1:
            yield Cause.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
        if high < low:
            yield Cause.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")


RESOURCES = [Autoscalers(AUTOSCALERS)]
