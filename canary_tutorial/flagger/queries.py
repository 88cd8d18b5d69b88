"""Questions to Prometheus, verdicts on the answers, and numbers as Go prints them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from canary_tutorial.flagger import texts
from canary_tutorial.flagger.spec import Canary, Obj

SUCCESS_RATE, DURATION = "request-success-rate", "request-duration"
_WORKLOAD = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}", destination_workload=~"{{ target }}"'
)
_GOOD = _WORKLOAD + ', response_code!~"5.*"'
_REQUESTS = "sum(rate(istio_requests_total{%s}[{{ interval }}]))"
BUILT_IN = {
    SUCCESS_RATE: f"{_REQUESTS % _GOOD} / {_REQUESTS % _WORKLOAD} * 100",
    DURATION: "histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{%s}[{{ interval }}])) by (le))"
    % _WORKLOAD,
}


class TemplateError(Exception):
    """A query's template cannot be filled in."""


def variables_of(c: Canary, metric: Obj, interval: str) -> dict[str, str]:
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


def render(template: str, values: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """Go's text/template as far as queries use it: `{{ target }}`, `{{ variables.reporter }}`."""

    def replace(match: re.Match[str]) -> str:
        word = match[1].strip()
        if word in values:
            return values[word]
        key = word.removeprefix("variables.")
        if word.startswith("variables.") and key in variables:
            return variables[key]
        if word.startswith("variables."):
            raise TemplateError(f'map has no entry for key "{key}"')
        raise TemplateError(f'template: : function "{word}" not defined')

    return collapse(re.sub(r"\{\{-?\s*([^{}]*?)\s*-?\}\}", replace, template))


def collapse(query: str) -> str:
    return " ".join(query.split())


def go_float(value: float) -> str:
    """Go's %v: the shortest text, no trailing `.0`."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    return str(Decimal(text)) if "e" not in text else text


def go_milliseconds(milliseconds: int) -> str:
    """Go's duration text of whole milliseconds: 0s, 520ms, 1s, 1.515s, 1m1s, 1h0m0s."""
    if milliseconds == 0:
        return "0s"
    if abs(milliseconds) < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{Decimal(rest) / 1000:f}"
    seconds = (seconds.rstrip("0").rstrip(".") if "." in seconds else seconds) + "s"
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + seconds


def bounds(metric: Obj) -> tuple[float | None, float | None] | None:
    found = metric.get("thresholdRange")
    if not found:
        return None
    return found.get("min"), found.get("max")


def threshold_text(metric: Obj) -> str:
    """The threshold for people: `>= 99`, `<= 500`."""
    found = bounds(metric)
    if found is None:
        sign = ">=" if metric["name"] == SUCCESS_RATE else "<="
        return f"{sign} {go_float(float(metric.get('threshold') or 0))}"
    low, high = found
    words = [f"{sign} {go_float(float(v))}" for sign, v in ((">=", low), ("<=", high)) if v is not None]
    return ", ".join(words)


def verdict(c: Canary, metric: Obj, value: float) -> str | None:
    """None if the value passes, else the event's text. Bounds pass."""
    name = metric["name"]
    found = bounds(metric)
    legacy = float(metric.get("threshold") or 0)
    if name == SUCCESS_RATE:
        low, high = found if found else (legacy, None)
        if low is not None and value < low:
            return texts.halt(c, f"success rate {value:.2f}% < {go_float(float(low))}%")
        if high is not None and value > high:
            return texts.halt(c, f"success rate {value:.2f}% > {go_float(float(high))}%")
        return None
    if name == DURATION and not metric.get("query") and not metric.get("templateRef"):
        low, high = found if found else (None, legacy)
        milliseconds = int(value)
        for bound, sign, bad in ((low, "<", lambda b: milliseconds < b), (high, ">", lambda b: milliseconds > b)):
            if bound is not None and bad(int(bound)):
                text = f"request duration {go_milliseconds(milliseconds)} {sign} {go_milliseconds(int(bound))}"
                return texts.halt(c, text)
        return None
    low, high = found if found else (None, legacy)
    if low is not None and value < low:
        return texts.halt(c, f"{name} {value:.2f} < {go_float(float(low))}")
    if high is not None and value > high:
        return texts.halt(c, f"{name} {value:.2f} > {go_float(float(high))}")
    return None
