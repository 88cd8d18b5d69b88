"""The explain card: for every check its query, window, samples, value and threshold; what happens next, and when.

`what_next` and `Check` are pure; the card reads the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from canary_tutorial.errors import TutorialError
from canary_tutorial.kube import manifests
from canary_tutorial.kube.objects import Obj
from canary_tutorial.metrics.prometheus import DURATION, SUCCESS_RATE, UNITS, Measured
from canary_tutorial.release import explain
from canary_tutorial.release.plan import plan
from canary_tutorial.release.timeline import ENDED, RUNNING, Event, Point, interval
from canary_tutorial.screen.tables import CELL
from canary_tutorial.widgets.showing import Showing, card

if TYPE_CHECKING:
    from canary_tutorial.release.canary import Canary

QUERY = "font-size:.85em;white-space:normal;word-break:break-word"  # a long line that breaks anywhere


@dataclass(frozen=True)
class Check:
    """One metric of a Canary and what it measures now."""

    name: str
    query: str
    window: str
    threshold: str
    measured: Measured
    passes: bool | None  # None: no value

    @property
    def sign(self) -> str:
        return {True: "✔ passes", False: "✘ fails", None: "– no value"}[self.passes]


def limits(metric: Obj) -> tuple[float | None, float | None]:
    """(least, most) that a metric may be, from thresholdRange or the old threshold."""
    found = metric.get("thresholdRange")
    if found:
        return found.get("min"), found.get("max")
    old = metric.get("threshold")
    return (old, None) if metric["name"] == "request-success-rate" else (None, old)


def threshold_text(metric: Obj, unit: str) -> str:
    least, most = limits(metric)
    words = [
        f"at least {least:g}{unit}" if least is not None else "",
        f"at most {most:g}{unit}" if most is not None else "",
    ]
    return " and ".join(word for word in words if word) or "none"


def passes(metric: Obj, value: float | None) -> bool | None:
    if value is None:
        return None
    least, most = limits(metric)
    return (least is None or value >= least) and (most is None or value <= most)


def what_next(canary: Obj, point: Point) -> str:
    """What Flagger does at its next tick, if all goes well and if not. One or two sentences."""
    spec, status = canary["spec"], canary.get("status") or {}
    failed = int(status.get("failedChecks") or 0)
    if spec.get("suspend"):
        return "Nothing: the canary is suspended."
    if not point.phase and status.get("phase") in (*ENDED, *RUNNING, "Initialized"):
        return f"Flagger detects the new version at its next tick, at most {interval(spec):g} s from now."
    if point.phase in ENDED or point.phase == "Initialized":
        return "Flagger waits for a new revision: set another image."
    if point.phase in ("", "Initializing"):
        return "Flagger makes the primary, and sends all requests to it once it is ready."
    if point.phase == "Waiting":
        return "It asks the gate again: once that is open, the new version gets its pods."
    if point.phase == "Promoting":
        return "Once the primary runs the new version, all requests go back to it."
    if point.phase == "Finalising":
        return "The canary is scaled to zero: the release has succeeded."
    threshold = plan(spec, passing=False).failed_checks
    if threshold and failed >= threshold:
        return f"Rolls back at the next tick: {failed} failed checks, threshold {threshold}."
    last = ", and the tick after it rolls back" if failed + 1 >= threshold else ""
    bad = f"If a check fails: failed checks {failed + 1}{last} (threshold {threshold})."
    following = plan(spec).after(point)
    if not makes_a_check(spec, point):
        bad = "No check is made at this tick."
        if following and following.canary > point.canary:
            return f"{following.canary}% of the requests go to the new version. {bad}"
    if following and following.iterations > point.iterations:
        wanted = int(spec["analysis"]["iterations"])
        return f"If all checks pass: iteration {following.iterations} of {wanted}. {bad}"
    if following and following.mirror and not point.mirror:
        return "Once its pods are ready, every request is mirrored to the new version; users notice nothing."
    if following and following.phase == point.phase and following.canary > point.canary:
        return f"If all checks pass: {following.canary}% of the requests go to the new version. {bad}"
    return f"If all checks pass: the primary gets the new version. {bad}"


def makes_a_check(spec: Obj, point: Point) -> bool:
    """Whether Flagger makes its checks at the tick after `point`: not at the one that starts the traffic."""
    following = plan(spec, passing=False).after(replace(point, failed_checks=0))
    return following is None or following.failed_checks > 0


def when_next(canary: Obj, now: float) -> float | None:
    """Seconds to Flagger's next tick, by the cadence since its last write; None where there is none."""
    from datetime import datetime

    status = canary.get("status") or {}
    if canary["spec"].get("suspend") or status.get("phase") not in RUNNING or not status.get("lastTransitionTime"):
        return None
    last = datetime.fromisoformat(status["lastTransitionTime"].replace("Z", "+00:00")).timestamp()
    length = interval(canary["spec"])
    return length - (now - last) % length


def last_look(events: Sequence[Event]) -> float:
    """When Flagger last judged a canary that it has judged no more since; 0.0 if no event tells."""
    return next((e.time for e in reversed(events) if e.message.startswith(("Halt ", "Advance "))), 0.0)


def of_last_release(events: Sequence[Event]) -> Sequence[Event]:
    """Those since Flagger last found a new revision."""
    began = [i for i, event in enumerate(events) if event.message.startswith("New revision detected")]
    return events[began[-1] :] if began else events


class ExplainCard(Showing):
    """Why a canary goes on or does not."""

    def __init__(self, canary: Canary) -> None:
        super().__init__()
        self.canary = canary
        self.checks: list[Check] = []
        self.point = Point(0, "", 100, 0, False, 0)
        self.next, self.due, self.reason = "", None, ""  # type: str, float | None, str
        self.threshold = 1
        self.judged = 0.0  # when the checks shown were made, in seconds since the epoch; 0: now

    def look(self) -> bool:
        obj = self.canary.obj
        spec = obj["spec"]
        self.point = self.canary.observe(obj)
        self.threshold = max(1, int(spec.get("analysis", {}).get("threshold") or 0))
        events = of_last_release(self.canary.events())
        self.judged = last_look(events) if self.point.phase in ENDED else 0.0
        self.checks = [self._check(metric) for metric in spec.get("analysis", {}).get("metrics") or []]
        self.next, self.due = what_next(obj, self.point), when_next(obj, time.time())
        self.reason = self._reason(events)
        return self.point.phase not in ENDED

    def _check(self, metric: Obj) -> Check:
        window = metric.get("interval") or "1m"
        workload, metrics = self.canary.target, self.canary.metrics
        unit = UNITS.get(metric["name"], "")
        query = metric.get("query") or f"MetricTemplate {(metric.get('templateRef') or {}).get('name', '')}"
        measured = Measured(None, 0, "")
        try:
            if metric["name"] == "request-success-rate":
                query = SUCCESS_RATE
                measured = metrics.success_rate(workload, window, at=self.judged or None)
            elif metric["name"] == "request-duration":
                query = DURATION
                measured = metrics.duration(workload, window, at=self.judged or None)
        except TutorialError as error:
            self.problem = str(error)
        if unit:
            query = query.format(namespace=self.canary.namespace, workload=workload, window=window, quantile=0.99)
        return Check(
            metric["name"], query, window, threshold_text(metric, unit), measured, passes(metric, measured.value)
        )

    def _reason(self, events: Sequence[Event]) -> str:
        """What Flagger's last halt meant."""
        last = next((e for e in reversed(events) if e.type == "Warning" and "alt " in e.message), None)
        if last is None or not self.checks:
            return ""
        first = self.checks[0]
        window = manifests.seconds(first.window)
        said = last.message.removeprefix("(combined from similar events): ")
        requests = first.measured.samples
        try:
            counted = bool(requests) or self.canary.metrics.ever_counted(self.canary.target)
            scrape = self.canary.metrics.scrape_interval() or 0
        except TutorialError:
            counted, scrape = True, 0.0  # Prometheus does not answer: nothing can be said of what it has seen
        meaning = explain.why_halted(said, requests=requests, window=window, scrape=scrape, counted=counted)
        return f"{said} — {meaning}"

    def text(self) -> str:
        lines = [self._headline()]
        lines += [f"  {self._when()}:"] if self.judged else []
        lines += [f"  {c.sign:10}  {c.name}: {c.measured}, {c.threshold} over {c.window}" for c in self.checks]
        lines.append(f"  next{self._due()}: {self.next}")
        return "\n".join([*lines, *([f"  last halt: {self.reason}"] if self.reason else [])])

    def _headline(self) -> str:
        if self.point.phase in ENDED:  # the count has begun anew
            return str(self.point)
        return f"{self.point}, failed checks: {self.point.failed_checks} (rolls back at {self.threshold})"

    def _when(self) -> str:
        return (
            f"measured at {time.strftime('%H:%M:%S', time.localtime(self.judged))}" if self.judged else "measured now"
        )

    def _due(self) -> str:
        return "" if self.due is None else f" (in about {self.due:.0f} s)"

    def html(self) -> str:
        rows = "".join(
            f"<tr><td style='{CELL};white-space:nowrap'>{c.sign}</td>"
            + "".join(
                f"<td style='{CELL}'>{escape(cell)}</td>" for cell in (c.name, str(c.measured), c.threshold, c.window)
            )
            + f"</tr><tr><td></td><td colspan=4 style='{CELL}'><code style='{QUERY}'>{escape(c.query)}</code></td></tr>"
            for c in self.checks
        )
        head = "".join(
            f"<th scope='col' style='{CELL}'>{h}</th>" for h in ("", "check", self._when(), "threshold", "window")
        )
        reason = f"<p><b>Last halt:</b> {escape(self.reason)}</p>" if self.reason else ""
        title = escape(f"{self.canary.name}: {self._headline()}")
        return card(
            title, f"<table><tr>{head}</tr>{rows}</table><p><b>Next{self._due()}:</b> {escape(self.next)}</p>{reason}"
        )
