"""Questions to Prometheus, and verdicts on the answers. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from canary_tutorial.flagger import texts
from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.golang import go_fixed, go_float, go_milliseconds, url_fault
from canary_tutorial.flagger.spec import Canary, name_of
from canary_tutorial.flagger.templates import render

SUCCESS_RATE, DURATION = "request-success-rate", "request-duration"
_WORKLOAD = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}", destination_workload=~"{{ target }}"'
)
_RATE = "sum( rate( istio_requests_total{{ {} }}[{{{{ interval }}}}] ) )".format  # of some requests
_BUCKETS = f"istio_request_duration_milliseconds_bucket{{ {_WORKLOAD} }}[{{{{ interval }}}}]"
BUILT_IN = {  # with Flagger's blanks: the address of a question that fails shows them
    SUCCESS_RATE: f""" {_RATE(_WORKLOAD + ', response_code!~"5.*"')} / {_RATE(_WORKLOAD)} * 100""",
    DURATION: f" histogram_quantile( 0.99, sum( rate( {_BUCKETS} ) ) by (le) )",
}


def variables_of(c: Canary, interval: str) -> dict[str, str]:
    ingress = ((c.spec.get("ingressRef") or {}).get("name")) or c.target
    return {
        "name": c.name,
        "namespace": c.namespace,
        "target": c.target,
        "service": c.apex,
        "ingress": ingress,
        "route": ((c.spec.get("routeRef") or {}).get("name")) or c.target,
        "interval": interval,
    }


@lru_cache(256)
def built_in(name: str, namespace: str, target: str, interval: str) -> str:
    """A built-in check's query."""
    return render(BUILT_IN[name], {"namespace": namespace, "target": target, "interval": interval}, {})


# -- providers


OTHER_PROVIDERS = (
    "cloudwatch", "datadog", "dynatrace", "elasticsearch", "graphite", "influxdb", "keptn", "newrelic", "signalfx",
    "splunk", "stackdriver",
)  # fmt: skip


def not_a_url(kind: str, address: str) -> str:
    return f"{kind} address {address} is not a valid URL"


def check_provider(provider: Obj, secret: Obj | None) -> None:
    """Refused if a MetricTemplate's provider cannot be asked: not Prometheus, no address, no password."""
    kind, address = provider.get("type"), str(provider.get("address") or "")
    if kind in OTHER_PROVIDERS:
        raise Refused(texts.not_built_in("provider", str(kind), "prometheus"))
    if not address or url_fault(address):
        raise Refused(not_a_url(str(kind), address))
    data = (secret or {}).get("data") or {}
    if secret is not None and "token" not in data:
        for key in ("username", "password"):
            if key not in data:
                raise Refused(f"{kind} credentials does not contain a {key}")


# -- verdicts: "" passes, else the event's text; bounds pass


def bounds(metric: Obj) -> tuple[float | None, float | None] | None:
    found = metric.get("thresholdRange")
    if found is None:
        return None
    return found.get("min"), found.get("max")


def threshold_text(metric: Obj) -> str:
    """The threshold for people: `>= 99`, `<= 500`."""
    found = bounds(metric)
    if found is None:
        sign = ">=" if name_of(metric) == SUCCESS_RATE else "<="
        return f"{sign} {go_float(float(metric.get('threshold') or 0))}"
    low, high = found
    words = [f"{sign} {go_float(float(v))}" for sign, v in ((">=", low), ("<=", high)) if v is not None]
    return ", ".join(words)


def success_rate_verdict(c: Canary, metric: Obj, value: float) -> str:
    low, high = bounds(metric) or (float(metric.get("threshold") or 0), None)
    why = _outside(value, low, high, lambda bound: f"{go_float(float(bound))}%")
    return texts.halt(c, f"success rate {go_fixed(value)}% {why}") if why else ""


def duration_verdict(c: Canary, metric: Obj, milliseconds: int) -> str:
    """Thresholds count in whole milliseconds."""
    low, high = bounds(metric) or (None, float(metric.get("threshold") or 0))
    low, high = (None if bound is None else int(bound) for bound in (low, high))
    why = _outside(milliseconds, low, high, lambda bound: go_milliseconds(int(bound)))
    return texts.halt(c, f"request duration {go_milliseconds(milliseconds)} {why}") if why else ""


def custom_verdict(c: Canary, metric: Obj, value: float) -> str:
    """Inline queries and templates."""
    low, high = bounds(metric) or (None, float(metric.get("threshold") or 0))
    why = _outside(value, low, high, lambda bound: go_float(float(bound)))
    return texts.halt(c, f"{name_of(metric)} {go_fixed(value)} {why}") if why else ""


def _outside(value: float, low: float | None, high: float | None, told: Callable[[float], str]) -> str:
    if low is not None and value < low:
        return f"< {told(low)}"
    if high is not None and value > high:
        return f"> {told(high)}"
    return ""
