"""Time series as Prometheus returns them, and exact arithmetic on counters. Pure.

`increase` is the difference between scrapes, counter resets included. PromQL's own `increase()` extrapolates to the edges
of its window and returns 19.7 requests; a sentence such as "users saw 0 failures out of 760 requests" needs the
exact number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from typing import Any


@dataclass(frozen=True)
class Series:
    """One line of a plot: its labels, and (seconds since the epoch, value) in order. NaN is left out."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        return [(time, value) for time, value in self.samples if start <= time <= end]

    def at(self, time: float) -> float | None:
        """The last value at or before `time`."""
        return next((value for when, value in reversed(self.samples) if when <= time), None)


def parse(result: list[dict[str, Any]]) -> list[Series]:
    """From the `result` of an answer of Prometheus, vector or matrix."""
    return [
        Series(entry["metric"], [s for s in map(_sample, entry.get("values") or [entry["value"]]) if not isnan(s[1])])
        for entry in result
    ]


def _sample(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def increase(series: Series, start: float, end: float, watched: float = 0.0) -> float:
    """How much a counter grew from `start` to `end`, by its scrapes.

    One that first appears in the span began at 0, unless Prometheus itself began to look (`watched`) only then: what
    was counted before nobody knows. The span's edges fall between two scrapes, so that a scrape interval's worth of
    requests may be in before `start`, and out before `end`.
    """
    last, total = series.at(start), 0.0
    for when, value in series.between(start, end):
        if last is None:
            last = value if when <= watched else 0.0
        total += value - last if value >= last else value
        last = value
    return total


def rate(counters: Sequence[Series], start: float, end: float) -> float | None:
    """Growth per second of counters together, from the first to the last scrape in a span; None with fewer than two."""
    times = sorted({time for series in counters for time, _ in series.between(start, end)})
    if len(times) < 2:
        return None
    return sum(increase(series, times[0], times[-1]) for series in counters) / (times[-1] - times[0])


def counted_by_rate(counters: Iterable[Series], start: float, end: float) -> float:
    """How many requests PromQL's `rate` over [start, end] rests on: the growth between the first and the last scrape in
    the window. What came before its first scrape is in no sample of it; a counter with one scrape adds nothing."""
    total = 0.0
    for series in counters:
        inside = series.between(start, end)
        total += sum(b - a if b >= a else b for (_, a), (_, b) in pairwise(inside))
    return total


def began_anew(counters: Iterable[Series], start: float, end: float) -> bool:
    """Whether a counter began at zero again in a span: the proxy that counts was started anew, and what it could not take
    meanwhile was counted by nobody."""
    return any(b < a for series in counters for (_, a), (_, b) in pairwise(series.between(start, end)))


@dataclass(frozen=True)
class RequestCount:
    """How many requests of one kind were counted. `code` is the HTTP status; `mirrored` ones answered no user."""

    workload: str
    host: str
    code: str
    count: float

    @property
    def role(self) -> str:
        """As `role`, of this request's labels."""
        return role({"destination_workload": self.workload, "request_host": self.host})

    @property
    def service(self) -> str:
        """The first label of the host: the name of the Service."""
        return _first_label(self.host)

    @property
    def mirrored(self) -> bool:
        return self.role == "mirrored"

    @property
    def failed(self) -> bool:
        return self.code.startswith("5") or self.code == "0"


def requests(counters: Iterable[Series], start: float, end: float) -> list[RequestCount]:
    """The requests that `istio_requests_total` counted in a span, by workload, host and code; the sum over pods."""
    counters = list(counters)
    watched = min((series.samples[0][0] for series in counters if series.samples), default=0.0)
    total: dict[tuple[str, str, str], float] = {}
    for series in counters:
        workload, host, code = (
            series.labels.get(k, "") for k in ("destination_workload", "request_host", "response_code")
        )
        total[workload, host, code] = total.get((workload, host, code), 0) + increase(series, start, end, watched)
    return [RequestCount(*key, count) for key, count in sorted(total.items()) if count > 0]


def role(labels: Mapping[str, str]) -> str:
    """primary, shifted or mirrored: what the webinar's two labels say of a series. "direct" is what was sent to one half
    of the service by its own name, as load tests of a canary are: no weight moves it, and no user sent it."""
    host, app = labels.get("request_host", ""), labels.get("destination_workload", "")
    if "-shadow" in host:
        return "mirrored"
    target, service = app.removesuffix("-primary"), _first_label(host)
    if service != target and service.endswith(("-primary", "-canary")):
        return "direct"
    return "primary" if app != target else "shifted"


def _first_label(host: str) -> str:
    return host.partition(":")[0].partition(".")[0]
