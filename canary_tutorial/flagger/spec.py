"""A Canary as the rules read it: names, defaults and steps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Obj = dict[str, Any]

AB, BLUE_GREEN, CANARY = "ab-testing", "blue-green", "canary"
LEAST_INTERVAL = 10.0  # seconds; Flagger raises shorter ones
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def go_duration(text: str) -> float | None:
    """Go's duration text in seconds; None if it is none."""
    if not re.fullmatch(r"([0-9.]+(ns|us|µs|ms|s|m|h))+", text or ""):
        return None
    return sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([0-9.]+)(ns|us|µs|ms|s|m|h)", text))


@dataclass(frozen=True)
class Settings:
    """What the controller's flags say."""

    provider: str = "istio"
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefix: tuple[str, ...] = ()
    config_tracking: bool = True
    least_interval: float = 10.0
    no_cross_namespace_refs: bool = False


@dataclass(frozen=True)
class Canary:
    """A view on the object; nothing is copied."""

    obj: Obj

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"]["namespace"])

    @property
    def spec(self) -> Obj:
        return self.obj["spec"]  # type: ignore[no-any-return]

    @property
    def status(self) -> Obj:
        return self.obj.get("status") or {}

    @property
    def phase(self) -> str:
        return str(self.status.get("phase") or "")

    @cached_property
    def target(self) -> str:
        return str(self.spec["targetRef"]["name"])

    @cached_property
    def kind(self) -> str:
        return str(self.spec["targetRef"].get("kind", "Deployment"))

    @cached_property
    def service(self) -> Obj:
        return self.spec.get("service") or {}

    @cached_property
    def apex(self) -> str:
        return str(self.service.get("name") or self.target)

    @property
    def primary_service(self) -> str:
        return f"{self.apex}-primary"

    @property
    def canary_service(self) -> str:
        return f"{self.apex}-canary"

    @property
    def primary(self) -> str:
        return f"{self.target}-primary"

    @cached_property
    def analysis(self) -> Obj:
        return self.spec.get("analysis") or {}

    @property
    def iterations(self) -> int:
        return int(self.analysis.get("iterations") or 0)

    @property
    def mirror(self) -> bool:
        return bool(self.analysis.get("mirror"))

    @property
    def skip_analysis(self) -> bool:
        return bool(self.spec.get("skipAnalysis"))

    @property
    def threshold(self) -> int:
        return max(1, int(self.analysis.get("threshold") or 0))

    @property
    def deadline(self) -> int:
        return int(self.spec.get("progressDeadlineSeconds") or 600)

    @property
    def failed_checks(self) -> int:
        return int(self.status.get("failedChecks") or 0)

    @property
    def done_iterations(self) -> int:
        return int(self.status.get("iterations") or 0)

    @property
    def strategy(self) -> str:
        if self.iterations > 0:
            return AB if self.analysis.get("match") else BLUE_GREEN
        return CANARY

    @property
    def max_weight(self) -> int:
        """The weight at which the canary has proven itself."""
        steps = self.step_weights
        if steps:
            return min(100, steps[-1])
        return int(self.analysis.get("maxWeight") or 0) or 100

    @property
    def step_weights(self) -> list[int]:
        return [int(step) for step in self.analysis.get("stepWeights") or []]

    def interval(self, least: float = LEAST_INTERVAL) -> float:
        """Seconds between ticks."""
        seconds = go_duration(str(self.analysis.get("interval") or ""))
        return 60.0 if seconds is None else max(seconds, least)

    def ready_threshold(self, which: str) -> int:
        value = self.analysis.get(f"{which}ReadyThreshold")
        return 100 if value is None else int(value)

    def next_step_weight(self, weight: int) -> int:
        """How much more the canary gets after `weight`."""
        step, steps = int(self.analysis.get("stepWeight") or 0), self.step_weights
        if step > 0 or not steps:
            return step
        room = 100 - weight
        if room == 0:
            return 1
        if weight == 0:
            return min(room, steps[0])
        if weight in steps[:-1]:
            return min(room, steps[steps.index(weight) + 1] - weight)
        return room

    def hooks(self, type_: str) -> list[Obj]:
        """The webhooks of a type in order; a hook without type is a rollout hook."""
        return [hook for hook in self.analysis.get("webhooks") or [] if (hook.get("type") or "rollout") == type_]
