"""Serves Flagger's own metrics and health, on `:port/metrics` and `/healthz`. I/O: one HTTP server in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from canary_tutorial.flagger.status import FAILED, PROGRESSING

Metric = Counter | Gauge | Histogram
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds; the defaults of Go's client


class Recorder:
    """The figures; names and labels are Flagger's. `name` is the target's."""

    def __init__(self, version: str, provider: str) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        info = Gauge("flagger_info", "Version and mesh provider", ["version", "mesh_provider"], registry=r)
        info.labels(version, provider).set(1)
        who = ["name", "namespace"]
        self.total = Gauge("flagger_canary_total", "Number of Canaries", ["namespace"], registry=r)
        self._status = Gauge("flagger_canary_status", "0 running, 1 ended well or idle, 2 failed", who, registry=r)
        self._weight = Gauge(
            "flagger_canary_weight", "Share of requests in percent", ["workload", "namespace"], registry=r
        )
        self._duration = Histogram(
            "flagger_canary_duration_seconds", "Duration of a tick's analysis", who, registry=r, buckets=BUCKETS
        )
        self._analysis = Gauge("flagger_canary_metric_analysis", "Last value of a metric", [*who, "metric"], registry=r)
        labels = [*who, "deployment_strategy", "analysis_status"]
        self._ended = {
            "success": Counter("flagger_canary_successes", "Canaries that succeeded", labels, registry=r),
            "failure": Counter("flagger_canary_failures", "Canaries that failed", labels, registry=r),
        }

        self._series: dict[tuple[str, str], set[tuple[Metric, tuple[str, ...]]]] = {}

    def _of(self, metric: Any, target: str, namespace: str, labels: tuple[str, ...]) -> Any:
        """A metric's child, remembered for `forget`."""
        labels = tuple(label.encode("utf-8", "replace").decode() for label in labels)  # or the whole page breaks
        self._series.setdefault((target, namespace), set()).add((metric, labels))
        return metric.labels(*labels)

    def status(self, target: str, namespace: str, phase: str) -> None:
        value = {PROGRESSING: 0, FAILED: 2}.get(phase, 1)
        self._of(self._status, target, namespace, (target, namespace)).set(value)

    def weight(self, target: str, namespace: str, primary: int, canary: int) -> None:
        self._of(self._weight, target, namespace, (f"{target}-primary", namespace)).set(primary)
        self._of(self._weight, target, namespace, (target, namespace)).set(canary)

    def duration(self, target: str, namespace: str, seconds: float) -> None:
        self._of(self._duration, target, namespace, (target, namespace)).observe(seconds)

    def analysis(self, target: str, namespace: str, metric: str, value: float) -> None:
        """Success rates in percent, request durations in seconds."""
        self._of(self._analysis, target, namespace, (target, namespace, metric)).set(value)

    def ended(self, how: str, target: str, namespace: str, strategy: str, analysis_status: str) -> None:
        self._of(self._ended[how], target, namespace, (target, namespace, strategy, analysis_status)).inc()

    def forget(self, target: str, namespace: str) -> None:
        """Flagger keeps the series of Canaries that are gone; here they would add up for as long as it runs."""
        for metric, labels in self._series.pop((target, namespace), ()):
            metric.remove(*labels)


def serve(recorder: Recorder, address: str, port: int) -> ThreadingHTTPServer:
    """Start the HTTP server; raises OSError if the port is taken."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # Go's client has no such series

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages: dict[str, Callable[[], bytes]] = {
                "/metrics": lambda: generate_latest(recorder.registry),
                "/healthz": lambda: b"OK",
            }
            page = pages.get(self.path.split("?")[0])
            body: bytes = page() if page else b"404 page not found\n"
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes and scrapes are no news."""

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    return server
