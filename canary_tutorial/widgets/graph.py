"""The service graph: workloads as nodes, requests per second on the edges, mirrored ones dashed. `drawing` is pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from canary_tutorial.charts.chart import GREY, ROLES
from canary_tutorial.metrics.series import role
from canary_tutorial.widgets.showing import Showing, card

if TYPE_CHECKING:
    from canary_tutorial.connection import Cluster

QUERY = (
    "sum by(source_workload, destination_workload, request_host, response_code) (rate(istio_requests_total{{"
    'reporter="destination", destination_workload_namespace="{namespace}"}}[{window}]))'
)
WIDTH, HEIGHT, ROW = 210, 58, 96


@dataclass(frozen=True)
class Edge:
    """Requests per second from one workload to another."""

    source: str
    target: str
    role: str
    rate: float
    failed: float

    @property
    def label(self) -> str:
        errors = f", {100 * self.failed / self.rate:.0f}% errors" if self.failed and self.rate else ""
        return f"{self.rate:.1f}/s{' copies' if self.role == 'mirrored' else ''}{errors}"


def edges(rows: Sequence[tuple[dict[str, str], float]]) -> list[Edge]:
    """From (labels, requests per second): one edge per pair of workloads and role."""
    total: dict[tuple[str, str, str], list[float]] = {}
    for labels, rate in rows:
        key = (labels.get("source_workload", "unknown"), labels.get("destination_workload", ""), role(labels))
        entry = total.setdefault(key, [0.0, 0.0])
        entry[0] += rate
        entry[1] += rate if labels.get("response_code", "").startswith("5") else 0
    return [Edge(*key, rate, failed) for key, (rate, failed) in sorted(total.items()) if rate >= 0.05]


def drawing(found: Sequence[Edge], pods: dict[str, str]) -> str:
    """Sources on the left, destinations on the right. `pods` says what runs behind a workload: "1 pod, 2.1.3"."""
    sources = sorted({edge.source for edge in found} - {edge.target for edge in found}) or sorted(
        {e.source for e in found}
    )
    targets = sorted({edge.target for edge in found}, key=lambda name: (not name.endswith("-primary"), name))
    rows = max(len(sources), len(targets), 1)
    places = {name: (10, _middle(i, len(sources), rows)) for i, name in enumerate(sources)}
    places |= {name: (470, _middle(i, len(targets), rows)) for i, name in enumerate(targets)}
    parts = []
    shift: dict[tuple[str, str], int] = {}
    for edge in found:
        offset = shift.setdefault((edge.source, edge.target), 0)
        shift[edge.source, edge.target] += 1
        beside = sum((e.source, e.target) == (edge.source, edge.target) for e in found)
        parts.append(_edge(edge, places[edge.source], places[edge.target], offset, beside))
    parts += [_node(name, *places[name], pods.get(name, "")) for name in places]
    described = escape("; ".join(f"{e.source} to {e.target}: {e.label}" for e in found) or "no requests")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' viewBox='0 0 690 {rows * ROW}' width='100%' "
        f"style='max-width:690px' font-family='system-ui,sans-serif'><title>{described}</title>{''.join(parts)}</svg>"
    )


def _middle(index: int, of: int, rows: int) -> float:
    return (index + 0.5) * rows * ROW / of - HEIGHT / 2


def _node(name: str, x: float, y: float, more: str) -> str:
    return (
        f"<rect x='{x}' y='{y:.0f}' width='{WIDTH}' height='{HEIGHT}' rx='26' fill='rgba(128,128,128,.12)' "
        f"stroke='{GREY}'/><text x='{x + WIDTH / 2}' y='{y + 26:.0f}' text-anchor='middle' font-size='14' "
        f"font-weight='600' fill='currentColor'>{escape(name)}</text>"
        f"<text x='{x + WIDTH / 2}' y='{y + 44:.0f}' text-anchor='middle' font-size='11' fill='{GREY}'>{escape(more)}</text>"
    )


def _edge(edge: Edge, start: tuple[float, float], end: tuple[float, float], offset: int, beside: int) -> str:
    """The edge number `offset` of `beside` ones between the same two nodes, with its label where no line passes."""
    style = ROLES[edge.role]
    x1, y1 = start[0] + WIDTH, start[1] + HEIGHT / 2 + offset * 14
    x2, y2 = end[0] - 8, end[1] + HEIGHT / 2 + offset * 14
    dash = " stroke-dasharray='3 5'" if edge.role == "mirrored" else ""
    width = 1.5 + min(edge.rate, 40) / 10
    middle = (x1 + x2) / 2
    label = y2 + 14 * (beside - 1) + 18 if y2 > y1 or beside > 1 else y2 - 10
    return (
        f"<path d='M{x1} {y1:.0f}C{middle} {y1:.0f} {middle} {y2:.0f} {x2} {y2:.0f}' fill='none' "
        f"stroke='{style.colour}' stroke-width='{width:.1f}'{dash}/>"
        f"<path d='M{x2} {y2 - 5:.0f}l9 5l-9 5z' fill='{style.colour}'/>"
        f"<text x='{x2 - 4}' y='{label:.0f}' text-anchor='end' font-size='12' fill='currentColor'>{escape(edge.label)}</text>"
    )


class ServiceGraph(Showing):
    """Who calls whom in the cluster's namespace, live; `lifetime` (seconds) is how long it goes on by itself."""

    def __init__(self, cluster: Cluster, window: str = "5s", lifetime: float = 600) -> None:
        super().__init__()
        self.cluster, self.window = cluster, window
        self._until = time.time() + lifetime
        self.edges: list[Edge] = []
        self.pods: dict[str, str] = {}

    def look(self) -> bool:
        query = QUERY.format(namespace=self.cluster.namespace, window=self.window)
        answers = self.cluster.metrics.query(query)
        self.edges = edges([(dict(series.labels), series.samples[-1][1]) for series in answers if series.samples])
        self.pods = {d["metadata"]["name"]: _what_runs(d) for d in self.cluster.list("deployments")}
        return time.time() < self._until

    def text(self) -> str:
        return "\n".join(f"{e.source} → {e.target}: {e.label}" for e in self.edges) or "no requests counted"

    def html(self) -> str:
        return card(f"Service graph of {escape(self.cluster.namespace)}", drawing(self.edges, self.pods))


def _what_runs(deployment: dict) -> str:  # type: ignore[type-arg]
    pods = deployment.get("status", {}).get("readyReplicas", 0)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].rpartition("/")[2]
    return f"{pods} pod{'' if pods == 1 else 's'}, {image}"
