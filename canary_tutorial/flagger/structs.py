"""Routes as Flagger's Go types have them. Pure.

Whatever Flagger reads or writes of a VirtualService passes through these types: fields come in their order, those that are
empty are left out, but for a few that are always there, and those that the types do not know are lost.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.flagger.effects import Obj

Shape = Any  # {field: shape}, or [shape of each item], or Map(shape of each value), or Always(value), or SCALAR
SCALAR = None  # left out where it is empty


class Map(dict[str, Any]):
    """Any keys, sorted; `""` has the shape of their values."""


class Always:
    """Written also where it is empty, as `value`."""

    def __init__(self, value: Any) -> None:
        self.value = value


TEXTS, NAMES = Map({"": Always("")}), [Always("")]
TEXT = dict.fromkeys(("exact", "prefix", "suffix", "regex"))
DESTINATION = {"host": Always(""), "subset": SCALAR, "port": dict.fromkeys(("number", "name"))}
OPERATIONS = {"set": TEXTS, "add": TEXTS, "remove": NAMES}
HEADERS = {"request": OPERATIONS, "response": OPERATIONS}
ROUTE = {"destination": DESTINATION, "weight": Always(0), "headers": HEADERS}
MATCH = {
    "name": SCALAR,
    **dict.fromkeys(("uri", "scheme", "method", "authority"), TEXT),
    "headers": Map({"": TEXT}),
    "port": SCALAR,
    "sourceLabels": TEXTS,
    "gateways": NAMES,
    "queryParams": Map({"": TEXT}),
    "ignoreUriCase": SCALAR,
    "withoutHeaders": Map({"": TEXT}),
    "sourceNamespace": SCALAR,
}
REWRITE = dict.fromkeys(("uri", "authority"))
CORS = {
    "allowOrigin": NAMES,
    "allowOrigins": [TEXT],
    **dict.fromkeys(("allowMethods", "allowHeaders", "exposeHeaders"), NAMES),
    "maxAge": SCALAR,
    "allowCredentials": SCALAR,
}
HTTP = {
    "name": SCALAR,
    "match": [MATCH],
    "route": [ROUTE],
    "redirect": REWRITE,
    "rewrite": REWRITE,
    "timeout": SCALAR,
    "retries": {"attempts": Always(0), "perTryTimeout": SCALAR, "retryOn": SCALAR},
    "fault": {
        "delay": {"percent": SCALAR, "fixedDelay": Always(""), "exponentialDelay": SCALAR},
        "abort": {"percent": SCALAR, "httpStatus": Always(0)},
    },
    "mirror": DESTINATION,
    "mirrorPercentage": {"value": SCALAR},
    "corsPolicy": CORS,
    "headers": HEADERS,
}
L4_MATCH = {
    "destinationSubnet": SCALAR,
    "port": SCALAR,
    "sourceSubnet": SCALAR,
    "sourceLabel": TEXTS,
    "gateways": NAMES,
}
VIRTUALSERVICE = {"gateways": NAMES, "http": [HTTP], "tcp": [{"match": [L4_MATCH], "route": [ROUTE]}]}


def virtualservice(spec: Obj) -> Obj:
    """A VirtualService's spec as Go writes it; a delegate's hosts are an empty list."""
    hosts = {} if spec.get("hosts") is None else {"hosts": spec["hosts"]}
    written: Obj = hosts | _written(spec, VIRTUALSERVICE)
    return written


def _written(value: Any, shape: Shape) -> Any:
    """The value through a shape; None where it is left out."""
    if isinstance(shape, Always):
        return shape.value if value is None else value
    if isinstance(shape, list):
        return [_written(each, shape[0]) for each in value or ()] or None
    if isinstance(shape, Map):
        return {key: _written(value[key], shape[""]) for key in sorted(value or ())} or None
    if isinstance(shape, dict):
        if value is None:
            return None
        fields = ((field, _written(value.get(field), of)) for field, of in shape.items())
        return {field: written for field, written in fields if written is not None}
    return value or None
