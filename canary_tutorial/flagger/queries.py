"""Questions to Prometheus, verdicts on the answers, and numbers as Go prints them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from canary_tutorial.flagger import texts
from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.spec import Canary, name_of

SUCCESS_RATE, DURATION = "request-success-rate", "request-duration"
_WORKLOAD = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}", destination_workload=~"{{ target }}"'
)
_GOOD = _WORKLOAD + ', response_code!~"5.*"'
_REQUESTS = f"istio_requests_total{{{_WORKLOAD}}}"
_GOOD_REQUESTS = f"istio_requests_total{{{_GOOD}}}"
_BUCKETS = f"istio_request_duration_milliseconds_bucket{{{_WORKLOAD}}}"
_WINDOW = "[{{ interval }}]"
BUILT_IN = {
    SUCCESS_RATE: f"sum(rate({_GOOD_REQUESTS}{_WINDOW})) / sum(rate({_REQUESTS}{_WINDOW})) * 100",
    DURATION: f"histogram_quantile(0.99, sum(rate({_BUCKETS}{_WINDOW})) by (le))",
}


class TemplateError(Exception):
    """A query's template cannot be filled in."""


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


def render(template: str, values: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """Go's text/template as far as queries use it: `{{ target }}`, `{{ variables.reporter }}`. Errors are in its words."""

    # The pattern has one way to match a text: queries are users', and a second one would take them minutes.
    def replace(match: re.Match[str]) -> str:
        word = match[1].removeprefix("-").removesuffix("-").strip()
        if word in values:
            return values[word]
        key = word.removeprefix("variables.")
        if word.startswith("variables.") and key in variables:
            return variables[key]
        before = template[: match.start(1) + match[1].find(word)]
        line = before.count("\n") + 1
        if word.startswith("variables."):
            column = len((before[before.rfind("\n") + 1 :] + "variables").encode())
            where = f'template: tmpl:{line}:{column}: executing "tmpl" at <{word}>'
            raise TemplateError(f'template excution failed: {where}: map has no entry for key "{key}"')  # its spelling
        raise TemplateError(f'template parsing failed: template: tmpl:{line}: function "{word}" not defined')

    return collapse(re.sub(r"\{\{([^{}]*)\}\}", replace, template))


def collapse(query: str) -> str:
    """Flagger sends every run of white space as one blank."""
    return re.sub(r"\s+", " ", query)


def go_float(value: float) -> str:
    """Go's %v: the shortest text that means the number; an exponent below 1e-4 and from 1e21 on."""
    if not math.isfinite(value):
        return go_fixed(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def go_fixed(value: float) -> str:
    """Go's %.2f."""
    if math.isnan(value):
        return "NaN"
    return f"{value:.2f}" if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def whole_milliseconds(value: float) -> int:
    return int(value) if math.isfinite(value) else 0  # infinity overflows to nothing in Go


def go_milliseconds(milliseconds: int) -> str:
    """Go's duration text of whole milliseconds: 0s, 520ms, 1s, 1.515s, 1m1s, 1h0m0s."""
    if milliseconds < 0:
        return f"-{go_milliseconds(-milliseconds)}"
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{seconds}s"


# -- providers


OTHER_PROVIDERS = frozenset(
    [
        "cloudwatch",
        "datadog",
        "dynatrace",
        "elasticsearch",
        "graphite",
        "influxdb",
        "keptn",
        "newrelic",
        "signalfx",
        "splunk",
        "stackdriver",
    ]
)


def is_url(address: str) -> bool:
    """Whether Go's url.Parse takes it: `prometheus:9090` is one with an odd scheme, `127.0.0.1:9090` is none."""
    if not address or re.search(r"[\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})", address):
        return False
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address)
    rest = address[scheme.end() :] if scheme else address
    if rest.startswith("//"):
        authority = re.split("[/?#]", rest[2:], maxsplit=1)[0].rpartition("@")[2]
        return bool(re.fullmatch(r"(\[[^\[\]]+\]|[^\s\[\]:<>\"\\^`{|}]*)(:\d*)?", authority))
    return bool(scheme) or ":" not in rest.split("/")[0]


def not_a_url(kind: str, address: str) -> str:
    return f"{kind} address {address} is not a valid URL"


def check_provider(provider: Obj, secret: Obj | None) -> None:
    """Refused if a MetricTemplate's provider cannot be asked: not Prometheus, no address, no password."""
    kind, address = provider.get("type"), str(provider.get("address") or "")
    if kind in OTHER_PROVIDERS:
        raise Refused(texts.not_built_in("provider", str(kind), "prometheus"))
    if not is_url(address):
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
