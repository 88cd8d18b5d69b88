"""What users see: one mark for each answered request, second by second, as Prometheus counted them.

A dot is a request that the primary answered, a diamond one that the canary answered, a cross a failed one; a hollow dot is
a mirrored request, whose answer is discarded. Colors are the chart's. `dots` and `picture` are pure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from canary_tutorial.charts.chart import GREY, ROLES
from canary_tutorial.metrics.series import Series, requests
from canary_tutorial.widgets.showing import Showing, card

if TYPE_CHECKING:
    from canary_tutorial.connection import Cluster

MOST = 24  # dots in one column, at least
SIZE = 9  # pixels per dot
WIDEST = 640


@dataclass(frozen=True)
class Dots:
    """Requests of one second that look the same."""

    second: int
    role: str  # primary, shifted or mirrored
    failed: bool
    count: int


def dots(counters: Sequence[Series], start: int, end: int) -> list[Dots]:
    """Differences of the counters, second by second."""
    found: list[Dots] = []
    for second in range(start, end):
        for each in requests(counters, second, second + 1):
            found.append(Dots(second, each.role, each.failed, round(each.count)))
    return [each for each in found if each.count > 0 and each.role in ROLES]


def picture(found: Sequence[Dots], start: int, end: int, versions: Mapping[str, str]) -> str:
    """The dots as SVG: a column per second, the newest on the right; users' above the line, mirrored ones below it."""
    tallest = max([MOST, *_heights(found)])
    width, half = 60 + (end - start) * SIZE * 2, (tallest + 1) // 2 * SIZE
    parts = []
    for second in range(start, end):
        x = 40 + (second - start) * SIZE * 2
        above = below = 0
        for each in sorted((d for d in found if d.second == second), key=lambda d: d.role):
            for _ in range(each.count):
                if each.role == "mirrored":
                    below += 1
                    y = half + below * SIZE / 2 * 1.0 + SIZE
                    column = x + (below % 2) * SIZE
                else:
                    above += 1
                    y = half - above * SIZE / 2
                    column = x + (above % 2) * SIZE
                parts.append(_dot(column, y, each))
    line = f"<line x1='40' x2='{width - 20}' y1='{half + 6}' y2='{half + 6}' stroke='{GREY}' stroke-opacity='.5'/>"
    words = [
        f"<text x='0' y='{half - 4}' font-size='11' fill='{GREY}'>users</text>",
        f"<text x='0' y='{half + 22}' font-size='11' fill='{GREY}'>mirrored</text>",
        f"<text x='{width - 16}' y='{half + 10}' font-size='11' fill='{GREY}'>now</text>",
    ]
    legend = "".join(
        _legend(i, name, versions.get(name, "")) for i, name in enumerate(("primary", "shifted", "mirrored", "failed"))
    )
    height = 2 * half + 54
    described = escape(summary(found, versions))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' viewBox='0 0 {max(width, WIDEST)} {height}' width='100%' "
        f"style='max-width:{1.3 * max(width, WIDEST):.0f}px' font-family='system-ui,sans-serif'><title>{described}</title>"
        f"{line}{''.join(words)}{''.join(parts)}<g transform='translate(40 {height - 10})'>{legend}</g></svg>"
    )


def _heights(found: Sequence[Dots]) -> list[int]:
    """How many dots each column has, above and below."""
    total: dict[tuple[int, bool], int] = {}
    for each in found:
        key = (each.second, each.role == "mirrored")
        total[key] = total.get(key, 0) + each.count
    return list(total.values())


def _dot(x: float, y: float, dot: Dots) -> str:
    colour = ROLES[dot.role].colour
    if dot.failed:
        d = f"M{x - 3:.0f} {y - 3:.1f}l6 6m0-6l-6 6"
        return f"<path d='{d}' stroke='{colour}' stroke-width='2' fill='none'/>"
    if dot.role == "shifted":
        return f"<path d='M{x:.0f} {y - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5 -4.5z' fill='{colour}'/>"
    fill = "none" if dot.role == "mirrored" else colour
    return f"<circle cx='{x:.0f}' cy='{y:.1f}' r='3' fill='{fill}' stroke='{colour}' stroke-width='1.3'/>"


def _legend(place: int, name: str, version: str) -> str:
    sample = _dot(0, -4, Dots(0, "shifted" if name == "failed" else name, name == "failed", 1))
    words = {"primary": "primary", "shifted": "canary", "mirrored": "copy to the canary", "failed": "failed"}[name]
    text = f"{words}, now {version}" if version else words
    said = f"<text x='9' y='0' font-size='11' fill='{GREY}'>{escape(text)}</text>"
    return f"<g transform='translate({(0, 140, 280, 480)[place]} 0)'>{sample}{said}</g>"


def summary(found: Sequence[Dots], versions: Mapping[str, str]) -> str:
    """The same in a sentence."""
    total = {name: [0, 0] for name in ROLES}
    for each in found:
        total[each.role][0] += each.count
        total[each.role][1] += each.count * each.failed
    words = [
        f"{count} {'copies' if name == 'mirrored' else 'answers'} by {'the primary' if name == 'primary' else 'the canary'}"
        f"{f' (now {versions[name]})' if versions.get(name) else ''}, {failed} failed"
        for name, (count, failed) in total.items()
        if count
    ]
    return "; ".join(words) or "no requests counted"


class UserStream(Showing):
    """The last `seconds` of requests to `service`, live; `lifetime` (seconds) is how long it goes on by itself."""

    def __init__(self, cluster: Cluster, seconds: int = 20, service: str = "podinfo", lifetime: float = 600) -> None:
        super().__init__()
        self.cluster, self.seconds, self.service = cluster, seconds, service
        self._until = time.time() + lifetime
        self.found: list[Dots] = []
        self.span = (0, 0)
        self.versions: dict[str, str] = {}

    def look(self) -> bool:
        end = int(time.time()) - 1  # Prometheus has seen everything up to its last scrape
        start = end - self.seconds
        counters = [
            series
            for series in self.cluster.metrics.counters(start, end)
            if series.labels.get("destination_workload") in (self.service, f"{self.service}-primary")
        ]
        self.found, self.span = dots(counters, start, end), (start, end)
        canary, primary = self._version(self.service), self._version(f"{self.service}-primary")
        self.versions = {"primary": primary or canary, "shifted": canary, "mirrored": canary}
        return time.time() < self._until

    def _version(self, name: str) -> str:
        found = self.cluster.get_or_none("deployments", name)
        return found["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2] if found else ""

    def text(self) -> str:
        return f"the last {self.seconds} s: {summary(self.found, self.versions)}"

    def html(self) -> str:
        return card(
            "What users see: one dot per request",
            picture(self.found, *self.span, self.versions) + f"<p>{escape(self.text())}</p>",
        )
