"""Queries Prometheus through the API server's service proxy, with typed results. The same code works on every cluster, and
nothing has to be forwarded. All I/O with Prometheus is here.

Istio counts a request twice: the client's sidecar (reporter="source") what the caller got, after retries; the server's
(reporter="destination") what each version answered, mirrored requests included. So what users saw is read from the
source, and mirrored requests from the destination.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import NoData, Unreachable
from canary_tutorial.install.installed import PROMETHEUS
from canary_tutorial.metrics.series import RequestCount, Series, began_anew, counted_by_rate, parse, requests

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

LOOKBACK = 60.0  # seconds before a span in which a counter's last value is looked for

# The webinar's query. `by` the two labels that tell its three series apart.
REQUEST_RATE = (
    "sum by(destination_workload, request_host) (rate(istio_requests_total{{"
    'reporter="destination", destination_workload_namespace="{namespace}", response_code!~"5.*"}}[{window}]))'
)
# Flagger's two built-in checks, as it asks them, and what they are measured in.
UNITS = {"request-success-rate": "%", "request-duration": " ms"}  # as they follow a number
_OF = 'reporter="destination", destination_workload_namespace="{namespace}", destination_workload=~"{workload}"'
SUCCESS_RATE = (
    f'sum(rate(istio_requests_total{{{{{_OF}, response_code!~"5.*"}}}}[{{window}}])) / '
    f"sum(rate(istio_requests_total{{{{{_OF}}}}}[{{window}}])) * 100"
)
UNCOUNTED = "a proxy started anew meanwhile, and nobody counted the requests that it could not take"
USERS = ("primary", "shifted")  # what users sent, by `series.role`
REQUESTS = f"sum(rate(istio_requests_total{{{{{_OF}}}}}[{{window}}]))"  # a second, whatever the answer
DURATION = (
    "histogram_quantile({quantile}, sum(rate("
    f"istio_request_duration_milliseconds_bucket{{{{{_OF}}}}}[{{window}}])) by (le))"
)


@dataclass(frozen=True)
class Measured:
    """A value with the number of requests that it is made of: 100% of 3 requests says little."""

    value: float | None
    samples: float
    unit: str

    def __str__(self) -> str:
        value = "no value" if self.value is None else f"{self.value:.4g}{self.unit}"
        return f"{value} of {self.samples:.0f} requests"


@dataclass(frozen=True)
class Impact:
    """What users got in a span of time, and what mirrored requests got instead of them."""

    answered: float
    failed: float
    mirrored: float
    mirrored_failed: float
    reporter: str  # who counted the users' requests: "source", or "destination" where clients have no sidecar
    uncounted: bool = False  # whether a proxy was down for a while: what it could not take is in none of these numbers

    def __str__(self) -> str:
        return (
            f"users: {self.answered:.0f} requests answered, {self.failed:.0f} of them failed; "
            f"mirrored: {self.mirrored:.0f} requests, {self.mirrored_failed:.0f} of them failed{self.doubt}"
        )

    @property
    def doubt(self) -> str:
        """What is to be said beside the numbers; "" where they are complete."""
        return f"; {UNCOUNTED}" if self.uncounted else ""


class Metrics:
    """Queries to the Prometheus of one cluster, about one namespace."""

    def __init__(self, prometheus: Any, namespace: str, where: str) -> None:
        self.prometheus, self.namespace, self.where = prometheus, namespace, where

    @classmethod
    def of_cluster(cls, cluster: Cluster, where: str) -> Metrics:
        """The Prometheus at `where` ("namespace/service:port"), through the API server's service proxy."""
        import requests as http
        from prometheus_api_client import PrometheusConnect

        namespace, _, service = where.partition("/")
        settings = cluster.api.configuration
        session = http.Session()
        session.trust_env = False
        session.verify = settings.ssl_ca_cert if settings.verify_ssl else False
        if settings.cert_file:
            session.cert = (settings.cert_file, settings.key_file)
        session.auth = _Token(cluster)
        url = cluster.api.server + cluster.proxy_path(service, "", namespace).rstrip("/")
        return cls(PrometheusConnect(url=url, session=session, timeout=10), cluster.namespace, where)

    # -- any question -------------------------------------------------------------------------------------------

    def query(self, promql: str, at: float | None = None) -> list[Series]:
        """The answer now, or at a time; a range selector answers the raw samples. Raises NoData, Unreachable."""
        return parse(self._ask("custom_query", promql, params={"time": at} if at else None))

    def query_range(self, promql: str, start: float, end: float, step: float = 1) -> list[Series]:
        """The answer every `step` seconds from `start` to `end` (seconds since the epoch)."""
        first, last = datetime.fromtimestamp(start), datetime.fromtimestamp(end)
        return parse(self._ask("custom_query_range", promql, start_time=first, end_time=last, step=f"{step:g}"))

    def _ask(self, how: str, promql: str, **options: Any) -> Any:
        from prometheus_api_client.exceptions import PrometheusApiClientException
        from requests.exceptions import RequestException, RetryError

        try:
            return getattr(self.prometheus, how)(promql, **options)
        except PrometheusApiClientException as exc:
            text = str(exc)
            if "parse error" in text or "bad_data" in text:
                raise NoData(f"Prometheus cannot parse {promql!r}: {text}") from exc
            raise self._silent(text) from exc
        except RetryError as exc:  # the API server's proxy has found no pod behind the service, again and again
            raise self._silent("it has no pod that is ready") from exc
        except RequestException as exc:
            raise Unreachable(
                f"The cluster does not answer, so Prometheus at {self.where} cannot be queried.",
                "Is it still running? For the lab: canary-tutorial status",
            ) from exc

    def _silent(self, text: str) -> Unreachable:
        return Unreachable(
            f"Prometheus does not answer at {self.where}: {text}",
            'cluster.apply("prometheus.yaml"); on a cluster that has one elsewhere: '
            f"export {PROMETHEUS}=NAMESPACE/SERVICE:PORT",
        )

    # -- the tutorial's questions -------------------------------------------------------------------------------

    def request_rate_query(self, window: str = "30s") -> str:
        """The webinar's query, to read or to paste into Prometheus' own page."""
        return REQUEST_RATE.format(namespace=self.namespace, window=window)

    def request_rate(
        self, start: float, end: float | None = None, window: str = "30s", step: float = 1
    ) -> list[Series]:
        """Requests per second that succeeded, by destination_workload and request_host: the webinar's plot."""
        return self.query_range(self.request_rate_query(window), start, end or time.time(), step)

    def success_rate(self, workload: str, window: str, at: float | None = None) -> Measured:
        """Percent of a workload's requests that were not answered with 5xx, as Flagger asks it; now, or at a time."""
        return self._measured(SUCCESS_RATE, UNITS["request-success-rate"], workload, window, at)

    def duration(self, workload: str, window: str, quantile: float = 0.99, at: float | None = None) -> Measured:
        """Milliseconds below which `quantile` of a workload's requests were answered, as Flagger asks it."""
        return self._measured(DURATION, UNITS["request-duration"], workload, window, at, quantile=quantile)

    def _measured(self, query: str, unit: str, workload: str, window: str, at: float | None, **more: Any) -> Measured:
        found = self.query(query.format(namespace=self.namespace, workload=workload, window=window, **more), at)
        values = [value for series in found for _, value in series.samples]
        return Measured(values[-1] if values else None, self.request_count(workload, window, at), unit)

    def request_count(self, workload: str, window: str, at: float | None = None) -> float:
        """How many requests of a workload a check's query with this window rests on, now or at a time (seconds since
        the epoch): those between the window's first and its last scrape."""
        of = _OF.format(namespace=self.namespace, workload=workload)
        from canary_tutorial.kube.manifests import seconds

        now = at or time.time()
        raw = self.query(f"istio_requests_total{{{of}}}[{window}]", now)
        return counted_by_rate(raw, now - seconds(window), now)

    def scrape_interval(self) -> float | None:
        """Seconds between two scrapes, as Prometheus itself reports; the longest of its targets', None without any.
        Raises Unreachable."""
        from canary_tutorial.kube.manifests import seconds

        targets = self._ask("get_targets", "active")["activeTargets"]
        return max((seconds(target["scrapeInterval"]) for target in targets), default=None)

    def ever_counted(self, workload: str) -> bool:
        """Whether Prometheus has counted any request of this workload in the last hour."""
        of = _OF.format(namespace=self.namespace, workload=workload)
        return bool(self.query(f"count(last_over_time(istio_requests_total{{{of}}}[1h]))"))

    def requests(self, start: float, end: float | None = None, reporter: str = "destination") -> list[RequestCount]:
        """How many requests each workload got in a span, by host and code: differences of counters, no estimates."""
        end = end or time.time()
        return requests(self.counters(start, end, reporter), start, end)

    def counters(self, start: float, end: float, reporter: str = "destination") -> list[Series]:
        """The raw scrapes of `istio_requests_total` in a span, and for LOOKBACK seconds before it."""
        selector = f'reporter="{reporter}", destination_workload_namespace="{self.namespace}"'
        return self.query(f"istio_requests_total{{{selector}}}[{end - start + LOOKBACK:.0f}s]", end)

    def impact(self, start: float, end: float | None = None, service: str = "podinfo") -> Impact:
        """What users of a service saw: requests without -shadow in their host, counted by the client's sidecar. What was
        sent to the primary or the canary by its own name, as a load test is, no user sent."""
        end, halves = end or time.time(), (service, f"{service}-primary")
        at_pods, at_users = self.counters(start, end), self.counters(start, end, "source")
        served = [r for r in requests(at_pods, start, end) if r.workload in halves]
        asked = requests(at_users, start, end)  # one that reached no pod has a host, but may have no workload
        sent = [r for r in asked if r.role in USERS and (r.service == service or r.workload in halves)]
        theirs = sent or [r for r in served if r.role in USERS]
        copies = [r for r in served if r.mirrored]
        (answered, failed), (mirrored, mirrored_failed) = map(_counted, (theirs, copies))
        uncounted = began_anew([*at_pods, *at_users], start, end)
        return Impact(answered, failed, mirrored, mirrored_failed, "source" if sent else "destination", uncounted)

    def check(self) -> None:
        """Whether the plot can be drawn: Prometheus answers, requests are counted, with the label request_host.

        Raises NoData with the cause that applies.
        """
        of = f'istio_requests_total{{reporter="destination", destination_workload_namespace="{self.namespace}"}}'
        found = self.query(f"count by(request_host) ({of})")
        if not found:
            raise NoData(
                f'Prometheus has no requests in namespace "{self.namespace}".',
                "Three causes are usual: the pods have no sidecar (READY must say 2/2), the load tester does not run, "
                "or Prometheus does not scrape the sidecars. cluster.get('pods') shows the first two.",
            )
        if not any(series.labels.get("request_host") for series in found):
            raise NoData(
                "Cannot tell mirrored requests from shifted ones: the metrics have no label request_host.",
                "Istio adds it where a Telemetry resource says so: cluster.apply('telemetry.yaml')",
            )


class _Token:
    """requests' hook: the cluster's token, fresh for each request."""

    def __init__(self, cluster: Cluster) -> None:
        self.api = cluster.api

    def __call__(self, request: Any) -> Any:
        request.headers.update(self.api.headers())
        return request


def _counted(found: Sequence[RequestCount]) -> tuple[float, float]:
    """(all, those that failed)."""
    return sum(r.count for r in found), sum(r.count for r in found if r.failed)
