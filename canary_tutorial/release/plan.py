"""The plan of a release: what Flagger does at each tick if every check passes, or if every check fails.

Flagger's rules are not repeated here but run, on a small model of a cluster: pods are ready at once, gates are open, and
Prometheus answers with exactly the threshold of each metric (or with a value beyond it). Pure.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from canary_tutorial.flagger import effects
from canary_tutorial.flagger.effects import Refused, Value
from canary_tutorial.flagger.queries import bounds
from canary_tutorial.flagger.rules import advance
from canary_tutorial.flagger.spec import Settings
from canary_tutorial.flagger.status import with_fields
from canary_tutorial.kube.objects import Obj
from canary_tutorial.release.timeline import ENDED, Point, interval, observe, weights_reached

MOST = 1000  # ticks of a plan; each takes about half a millisecond
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """One `Point` for each tick, from the one that detects the new revision to the last; times count ticks from it."""

    points: tuple[Point, ...]
    interval: float  # seconds between two ticks

    @property
    def ticks(self) -> int:
        """Ticks after the one that detects the new revision."""
        return len(self.points) - 1

    @property
    def seconds(self) -> float:
        """From the detection to the end."""
        return self.ticks * self.interval

    @property
    def weights(self) -> list[int]:
        """The canary's weights in the order in which they are reached. The last one may exceed maxWeight."""
        return weights_reached(self.points)

    @property
    def failed_checks(self) -> int:
        """How many failed checks come before the rollback; 0 where every check passes, or there is none to fail."""
        return max(point.failed_checks for point in self.points)

    def after(self, now: Point) -> Point | None:
        """What the tick after the state `now` makes of it; None where the plan has no such state."""
        same = (now.phase, now.primary, now.canary, now.mirror, now.iterations)
        for point, following in zip(self.points, self.points[1:], strict=False):
            if (point.phase, point.primary, point.canary, point.mirror, point.iterations) == same:
                return following
        return None


def plan(spec: Obj, *, passing: bool = True) -> Plan:
    """The plan of a release of a Canary with this `spec`. One whose ticks change nothing more (a stepWeight of 0, say)
    ends there, in the phase in which such a release stays; and none has more than MOST ticks."""
    return _plan(json.dumps(spec), passing)


@lru_cache(maxsize=64)
def _plan(spec: str, passing: bool) -> Plan:
    """Kept, since a live view asks about once a second, and the answer depends on nothing else."""
    model = _Cluster(json.loads(spec))
    model.tick(0)  # makes the primary; the next one initializes the Canary, or has nothing to do
    model.tick(0)
    model.release(passing)
    points = [model.tick(0)]
    while points[-1].phase not in ENDED and not (points[1:] and points[-1].same(points[-2])) and len(points) <= MOST:
        points.append(model.tick(len(points)))
    return Plan(tuple(points), interval(model.spec))


@dataclass
class _Cluster:
    """What the rules ask of a cluster, Prometheus and webhooks."""

    spec: Obj
    passing: bool = True
    objects: dict[tuple[str, str], Obj] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Its name and its pods do not matter to the plan, nor do what else the Canary refers to.
        spec = {key: value for key, value in self.spec.items() if key not in ("autoscalerRef", "provider", "suspend")}
        name = str(spec["targetRef"]["name"])
        spec["service"] = {"port": 80, **(spec.get("service") or {})}
        labels = {"app": name}
        self.put("Canary", {"metadata": {"name": name, "namespace": "plan"}, "spec": spec})
        self.put("Deployment", {
            "metadata": {"name": name, "namespace": "plan", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": ""}]}}},
        })  # fmt: skip
        self.name = name
        self.metrics = {metric["name"]: metric for metric in (spec.get("analysis") or {}).get("metrics") or []}

    def put(self, kind: str, obj: Obj) -> Obj:
        made = {"kind": kind, **copy.deepcopy(obj)}
        made["metadata"] = {"uid": kind, **made["metadata"], "generation": 1}
        self.objects[kind, made["metadata"]["name"]] = made
        return made

    def release(self, passing: bool) -> None:
        """A new image for the target, whose checks pass or fail from now on."""
        self.passing = passing
        self.objects["Deployment", self.name]["spec"]["template"]["spec"]["containers"][0]["image"] = "new"

    def tick(self, number: int) -> Point:
        """Run the rules once; what is true after it."""
        rules, answer, refused = advance(self.name, "plan", Settings(least_interval=0)), None, None
        try:
            while True:
                effect = rules.throw(refused) if refused else rules.send(answer)
                answer, refused = None, None
                try:
                    answer = self.answer(effect)
                except Refused as error:
                    refused = error
        except StopIteration:
            pass
        canary = self.objects["Canary", self.name]
        apex = (self.spec.get("service") or {}).get("name") or self.name
        return observe(canary, self.objects.get(("VirtualService", apex)), number)

    def answer(self, effect: effects.Effect) -> Any:
        match effect:
            case effects.Get(kind, name):
                found = self.objects.get((kind, name))
                if found is None:
                    raise Refused(f"there is no {kind} {name}", missing=True)
                return copy.deepcopy(_ready(found) if kind == "Deployment" else found)
            case effects.Create(kind, obj) | effects.Update(kind, obj):
                return self.put(kind, obj)
            case effects.Patch(kind, name, _, body):
                self.objects[kind, name]["spec"] |= body["spec"]
            case effects.WriteStatus(name, _, fields):
                canary = self.objects["Canary", name]
                canary["status"] = with_fields(canary.get("status") or {}, fields, "Deployment", NOW)
                return copy.deepcopy(canary)
            case effects.Query(_, _, name):
                return Value(_passing(self.metrics.get(name, {})) if self.passing else None, missing=not self.passing)
            case effects.CallHook(_, hook, _):
                kind = hook.get("type") or "rollout"
                return "no" if kind == "rollback" or (kind == "rollout" and not self.passing) else None
            case effects.Now():
                return NOW
            case effects.RandomLetters() | effects.Uuid():
                return "x"
        return None


def _ready(deployment: Obj) -> Obj:
    replicas = deployment["spec"].get("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    return {**deployment, "status": {"observedGeneration": deployment["metadata"]["generation"], **counts}}


def _passing(metric: Obj) -> float:
    """A value that is just good enough."""
    known = [value for value in bounds(metric) or (metric.get("threshold"),) if value is not None]
    return float(known[0]) if known else 100.0
