"""A release as a sequence of states: phase, weights, mirroring, failed checks. Pure: objects in, points out.

The weights are read from the VirtualService, where Flagger itself keeps them; phase and failed checks from the Canary's
status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from canary_tutorial.kube.manifests import seconds
from canary_tutorial.kube.objects import Obj
from canary_tutorial.screen.tables import Listed, Table

UNDETECTED = "not yet detected"  # by Flagger
RUNNING = ("Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising")
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Point:
    """What was true of a canary from `time` (seconds since the epoch) on. Weights in percent of the users' requests; with
    `matched`, of those that do not match. `phase` is "" until Flagger has detected the release."""

    time: float
    phase: str
    primary: int
    canary: int
    mirror: bool
    failed_checks: int
    iterations: int = 0
    matched: int = 0  # A/B: the canary's weight among the requests that match; all others go to the primary

    def same(self, other: Point) -> bool:
        return replace(self, time=0) == replace(other, time=0)

    def __str__(self) -> str:
        more = (" + mirror" if self.mirror else "") + (" + matching requests to the canary" if self.matched else "")
        return f"{self.phase or UNDETECTED} {self.primary}/{self.canary}{more}"


@dataclass(frozen=True)
class Event:
    """One Kubernetes event about the canary. `time` in seconds since the epoch, as precise as the server tells it."""

    time: float
    type: str  # Normal or Warning
    message: str


class Events(Listed[Event]):
    """Events, oldest first."""

    def table(self) -> Table:
        rows = [[datetime.fromtimestamp(e.time).strftime("%H:%M:%S"), e.type, e.message] for e in self]
        return Table(["time", "type", "message"], rows)


@dataclass(frozen=True)
class Step:
    """A span with the same phase and routes: [start, end) in seconds since the epoch."""

    start: float
    end: float
    phase: str
    primary: int
    canary: int
    mirror: bool


def interval(spec: Obj) -> float:
    """Seconds between two ticks: 60 if the Canary does not say."""
    return seconds(spec.get("analysis", {}).get("interval") or "60s")


def service_names(canary: Obj) -> tuple[str, str, str]:
    """(apex, primary, canary): the service names that Flagger derives from a Canary."""
    spec = canary["spec"]
    apex = spec.get("service", {}).get("name") or spec["targetRef"]["name"]
    return apex, f"{apex}-primary", f"{apex}-canary"


def weights_of(canary: Obj, virtual_service: Obj | None) -> tuple[int, int, bool]:
    """(primary weight, canary weight, mirrored), read as Flagger does: from the last rule that knows the canary's host.

    Without a VirtualService, or before it has routes, all requests go to the one that there is.
    """
    _, primary, secondary = service_names(canary)
    found = (100, 0, False)
    spec = (virtual_service or {}).get("spec") or {}
    for rule in (*(spec.get("http") or []), *(spec.get("tcp") or [])):
        weights = {r["destination"]["host"]: r.get("weight", 0) for r in rule.get("route", [])}
        if secondary in weights:
            found = (weights.get(primary, 0), weights[secondary], bool(rule.get("mirror", {}).get("host")))
    return found


def observe(canary: Obj, virtual_service: Obj | None, time: float) -> Point:
    """The point that these two objects make."""
    status = canary.get("status") or {}
    primary, secondary, mirror = weights_of(canary, virtual_service)
    matched = 0
    if (canary["spec"].get("analysis") or {}).get("match"):  # the others have a rule of their own
        primary, secondary, matched = 100, 0, secondary
    return Point(
        time, status.get("phase") or "", primary, secondary, mirror,
        status.get("failedChecks") or 0, status.get("iterations") or 0, matched,
    )  # fmt: skip


def steps(points: Sequence[Point], end: float) -> list[Step]:
    """The spans between changes of phase or routes, up to `end`."""
    found: list[Step] = []
    for point, until in zip(points, [*(p.time for p in points[1:]), end], strict=True):
        key = (point.phase, point.primary, point.canary, point.mirror)
        if found and (found[-1].phase, found[-1].primary, found[-1].canary, found[-1].mirror) == key:
            found[-1] = replace(found[-1], end=until)
        else:
            found.append(Step(point.time, until, *key))
    return [step for step in found if step.end > step.start]


def weights_reached(points: Iterable[Point]) -> list[int]:
    """The canary's weights in the order in which they were reached; zero, the way back, and what was there before
    Flagger detected the release are left out."""
    reached: list[int] = []
    for point in points:
        if point.phase and point.canary > (reached[-1] if reached else 0):
            reached.append(point.canary)
    return reached


def phases(points: Sequence[Point]) -> list[tuple[str, float]]:
    """(phase, when it began) in order."""
    found: list[tuple[str, float]] = []
    for point in points:
        if not found or found[-1][0] != point.phase:
            found.append((point.phase, point.time))
    return found
