"""Deployments, and their ReplicaSets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.kinds import pod_specs
from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Cell, Column, integer
from canary_tutorial.lab.api.kinds.formats import PERCENT, SAID, label_faults, not_negative, one_of
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource, fill
from canary_tutorial.lab.errors import ApiError, Cause
from canary_tutorial.lab.kinds import DEPLOYMENTS, REPLICASETS
from canary_tutorial.lab.objects import Obj


def _containers(what: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        containers = ((obj["spec"].get("template") or {}).get("spec") or {}).get("containers") or []
        return ",".join(each.get(what, "") for each in containers)

    return cell


def _ready(obj: Obj, now: datetime) -> str:
    return f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"


SELECTOR = Column("Selector", lambda obj, now: selectors.as_text(obj["spec"].get("selector")) or "<none>", 1)
CONTAINERS = [Column("Containers", _containers("name"), 1), Column("Images", _containers("image"), 1)]


DOTTED = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is "
    "recommended: [must not contain dots]"
)


class Workload(Resource):
    """What makes pods of a template."""

    immutable = ("spec.selector",)

    def default(self, obj: Obj) -> None:
        fill(obj["spec"], replicas=1)
        if (template := obj["spec"].get("template")) is not None:
            pod_specs.default(template.setdefault("spec", {}))

    def check(self, obj: Obj) -> Iterable[Cause]:
        spec = obj["spec"]
        yield from not_negative(spec.get("replicas", 0), "spec.replicas")
        selector, template = spec.get("selector"), spec.get("template") or {}
        labels = (template.get("metadata") or {}).get("labels") or {}
        if selector is None:
            yield Cause.required("spec.selector")
            yield from _unselected(labels)
        elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
            yield Cause.invalid("spec.selector", "", "empty selector is invalid for deployment")
        else:
            yield from label_faults(selector.get("matchLabels") or {}, "spec.selector.matchLabels")
            try:
                if not selectors.label_selector(selector)(labels):
                    yield from _unselected(labels)
            except ApiError as error:
                yield Cause.invalid("spec.selector.matchExpressions", "", error.message)
        yield from label_faults(labels, "spec.template.labels")
        pod = template.get("spec") or {}
        yield from pod_specs.check(pod, "spec.template.spec")
        if pod.get("restartPolicy", "Always") in ("OnFailure", "Never"):
            yield from one_of(pod["restartPolicy"], "spec.template.spec.restartPolicy", "Always")

    def warnings(self, obj: Obj) -> list[str]:
        return [DOTTED] if "." in obj["metadata"]["name"] else []

    def written(self, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        template = spec.get("template") or {}
        meta = {"creationTimestamp": None} | (template.get("metadata") or {})
        return {**obj, "spec": {**spec, "template": {**template, "metadata": meta}}}


def _unselected(labels: Obj) -> Iterable[Cause]:
    found = ", ".join(f'"{key}":"{value}"' for key, value in sorted(labels.items()))
    wrong = f"Invalid value: map[string]string{{{found}}}: `selector` does not match template `labels`"
    yield Cause("spec.template.metadata.labels", "FieldValueInvalid", wrong)


class Deployments(Workload):
    columns = (
        NAME, Column("Ready", _ready), integer("Up-to-date", "status.updatedReplicas"),
        integer("Available", "status.availableReplicas"), AGE, *CONTAINERS, SELECTOR,
    )  # fmt: skip
    grants = (
        Grant("view", "deployments deployments/scale deployments/status", READ),
        Grant("edit", "deployments deployments/rollback deployments/scale", WRITE),
    )

    def default(self, obj: Obj) -> None:
        super().default(obj)
        fill(obj["spec"], revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
        strategy = obj["spec"]["strategy"]
        fill(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            fill(strategy, rollingUpdate={})
            fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")

    def check(self, obj: Obj) -> Iterable[Cause]:
        yield from super().check(obj)
        spec = obj["spec"]
        strategy = spec["strategy"]
        yield from one_of(strategy["type"], "spec.strategy.type", "Recreate", "RollingUpdate")
        rolling = strategy.get("rollingUpdate") or {}
        if strategy["type"] == "Recreate" and rolling:
            yield Cause.forbidden(
                "spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"
            )
        for name in ("maxSurge", "maxUnavailable"):
            value = rolling.get(name, 1)
            path = f"spec.strategy.rollingUpdate.{name}"
            if isinstance(value, str) and not PERCENT.fullmatch(value):
                yield Cause.invalid(path, value, SAID[PERCENT])
            elif isinstance(value, int):
                yield from not_negative(value, path)
        if {str(rolling.get("maxSurge", 1)).rstrip("%"), str(rolling.get("maxUnavailable", 1)).rstrip("%")} == {"0"}:
            yield Cause.invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"],
                                "may not be 0 when `maxSurge` is 0")  # fmt: skip
        if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
            yield Cause.invalid("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"],
                                "must be greater than minReadySeconds")  # fmt: skip


class ReplicaSets(Workload):
    columns = (
        NAME, integer("Desired", "spec.replicas"), integer("Current", "status.replicas"),
        integer("Ready", "status.readyReplicas"), AGE, *CONTAINERS, SELECTOR,
    )  # fmt: skip
    selectable = frozenset({"status.replicas"})
    unselectable = 'field label "{}" not supported for appsv1.ReplicaSet'
    grants = (
        Grant("view", "replicasets replicasets/scale replicasets/status", READ),
        Grant("edit", "replicasets replicasets/scale", WRITE),
    )


RESOURCES = [Deployments(DEPLOYMENTS), ReplicaSets(REPLICASETS)]
