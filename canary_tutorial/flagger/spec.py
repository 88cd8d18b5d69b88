"""A Canary as the rules read it: names, defaults and step weights. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import go_duration
from canary_tutorial.flagger.shapes import COOKIES

AB, BLUE_GREEN, CANARY = "ab-testing", "blue-green", "canary"
LEAST_INTERVAL = 10.0  # seconds; Flagger raises shorter ones


def mapping(obj: Obj, field: str) -> Obj:
    """A part of an object; {} where it is absent, null, or no object at all."""
    found = obj.get(field)
    return found if isinstance(found, dict) else {}


def name_of(item: Obj) -> str:
    """What a metric, a hook, a container or a reference is called."""
    return str(item.get("name") or "")


def whole(value: Any) -> int:
    """A number of a status, which anybody may have edited: 0 if it is not one."""
    return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else 0


@dataclass(frozen=True)
class Settings:
    """What the controller's flags say."""

    provider: str = "istio"
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefix: tuple[str, ...] = ()
    config_tracking: bool = True
    least_interval: float = 10.0
    no_cross_namespace_refs: bool = False


class Cookies(NamedTuple):
    """Session affinity's cookies, `name=value` or empty, as the status keeps them."""

    canary: str = ""
    primary: str = ""
    previous: str = ""

    @classmethod
    def of(cls, status: Obj) -> Cookies:
        return cls(*(str(status.get(field) or "") for field in COOKIES))

    def as_status(self) -> Obj:
        return dict(zip(COOKIES, self, strict=True))


class Canary:
    """A view on the object; nothing is copied. Names are put together once, since each tick asks for them often.

    `cookies` alone may differ from the object: a change of routes leaves them here for the next write of the status.

    Any object makes one: what is missing, null or of another type reads as empty, and `shapes` says what is wrong.
    """

    __slots__ = (
        *("analysis", "apex", "canary_service", "cookies", "kind", "name", "namespace", "obj", "phase", "primary"),
        *("primary_service", "service", "skip_analysis", "spec", "status", "target"),
    )

    def __init__(self, obj: Obj) -> None:
        self.obj = obj
        meta = obj["metadata"]
        self.name: str = meta["name"]
        self.namespace: str = meta["namespace"]
        self.spec = mapping(obj, "spec")
        self.status = mapping(obj, "status")
        self.phase = str(self.status.get("phase") or "")
        self.cookies = Cookies.of(self.status)
        self.service = mapping(self.spec, "service")
        self.analysis = mapping(self.spec, "analysis")
        self.skip_analysis = bool(self.spec.get("skipAnalysis"))
        target = mapping(self.spec, "targetRef")
        self.target = str(target.get("name") or "")
        self.kind = str(target.get("kind") or "Deployment")
        self.primary = f"{self.target}-primary"
        self.apex = str(self.service.get("name") or self.target)
        self.primary_service = f"{self.apex}-primary"
        self.canary_service = f"{self.apex}-canary"

    @property
    def iterations(self) -> int:
        return int(self.analysis.get("iterations") or 0)

    @property
    def mirror(self) -> bool:
        return bool(self.analysis.get("mirror"))

    @property
    def threshold(self) -> int:
        return max(1, int(self.analysis.get("threshold") or 0))

    @property
    def deadline(self) -> int:
        seconds = self.spec.get("progressDeadlineSeconds")
        return 600 if seconds is None else int(seconds)

    @property
    def failed_checks(self) -> int:
        return whole(self.status.get("failedChecks"))

    @property
    def done_iterations(self) -> int:
        return whole(self.status.get("iterations"))

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
        most = int(self.analysis.get("maxWeight") or 0)
        return most if most > 0 else 100

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
