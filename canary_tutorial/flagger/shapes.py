"""The Go types of a Canary's fields that the rules read, and the check of a Canary against them. Pure.

A Canary's schema catches most errors. What it accepts nevertheless (1.5 failed checks, a port of 10 digits), and what
another schema accepts, is found once, when the Canary enters the cache. So the rules need no checks of their own. Null,
an empty value and a missing field mean the same, as everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Shape = Any  # a type's name, or {field: shape}, or [shape of each item], or Each(shape of each value)
WHOLE = {"int": (-(2**63), 2**63 - 1), "int32": (-(2**31), 2**31 - 1)}


class Each(dict[str, Any]):
    """A map of any keys to values of one shape."""


TEXTS, MATCHES = Each({"": "string"}), Each({"": Each({"": "string"})})
REFERENCE = {"name": "string", "namespace": "string", "kind": "string"}
METADATA = {"labels": TEXTS, "annotations": TEXTS}
MATCH = {
    **dict.fromkeys(("uri", "scheme", "method", "authority", "sourceLabels"), TEXTS),
    **dict.fromkeys(("headers", "withoutHeaders", "queryParams"), MATCHES),
    "port": "int",
    "gateways": ["string"],
}
METRIC = {
    **dict.fromkeys(("name", "interval", "query"), "string"),
    "threshold": "float64",
    "thresholdRange": {"min": "float64", "max": "float64"},
    "templateRef": REFERENCE,
    "templateVariables": TEXTS,
}
WEBHOOK = {
    **dict.fromkeys(("name", "type", "url", "timeout"), "string"),
    **dict.fromkeys(("muteAlert", "disableTLS"), "bool"),
    "retries": "int",
    "metadata": TEXTS,
}
SERVICE = {
    **dict.fromkeys(("name", "portName", "appProtocol", "trafficDistribution", "timeout"), "string"),
    **dict.fromkeys(("headless", "portDiscovery", "delegation"), "bool"),
    **{field: {} for field in ("retries", "headers", "corsPolicy", "rewrite", "trafficPolicy")},
    **dict.fromkeys(("apex", "primary", "canary"), METADATA),
    **{field: ["string"] for field in ("gateways", "hosts")},
    "port": "int32",
    "targetPort": "int or string",
    "match": [MATCH],
    "unmanagedMetadata": {"labels": ["string"], "annotations": ["string"]},
}
AFFINITY = {
    **dict.fromkeys(("cookieName", "primaryCookieName", "domain", "path", "sameSite"), "string"),
    **dict.fromkeys(("httpOnly", "partitioned", "secure"), "bool"),
    "maxAge": "int",
}
NUMBERS = ("threshold", "maxWeight", "stepWeight", "stepWeightPromotion", "iterations", "mirrorWeight")
ANALYSIS = {
    **dict.fromkeys((*NUMBERS, "primaryReadyThreshold", "canaryReadyThreshold"), "int"),
    "interval": "string",
    "mirror": "bool",
    "stepWeights": ["int"],
    "match": [MATCH],
    "metrics": [METRIC],
    "webhooks": [WEBHOOK],
    "alerts": [{"name": "string", "severity": "string", "providerRef": REFERENCE}],
    "sessionAffinity": AFFINITY,
}
REPLICAS = dict.fromkeys(("minReplicas", "maxReplicas"), "int32")
SPEC = {
    **dict.fromkeys(("provider", "metricsServer"), "string"),
    **dict.fromkeys(("skipAnalysis", "revertOnDeletion", "suspend"), "bool"),
    **dict.fromkeys(("targetRef", "ingressRef", "routeRef"), REFERENCE),
    "autoscalerRef": {**REFERENCE, "primaryScalerReplicas": REPLICAS},
    "progressDeadlineSeconds": "int32",
    "service": SERVICE,
    "analysis": ANALYSIS,
}
COOKIES = ("sessionAffinityCookie", "primarySessionAffinityCookie", "previousSessionAffinityCookie")
CONDITION = dict.fromkeys(("type", "status", "reason", "message", "lastUpdateTime", "lastTransitionTime"), "string")
STATUS = {
    **dict.fromkeys(("phase", "lastAppliedSpec", "lastPromotedSpec", "lastTransitionTime", *COOKIES), "string"),
    **dict.fromkeys(("canaryWeight", "failedChecks", "iterations"), "int"),
    "trackedConfigs": TEXTS,
    "conditions": [CONDITION],
}
CANARY = {"spec": SPEC, "status": STATUS}


def misfit(obj: Any, shape: Shape = CANARY, path: str = "") -> str:
    """The first field that Go could not read, and why, in the words of its decoder; "" if there is none."""
    return next(_misfits(obj, shape, path), "")


def _misfits(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None:
        return
    if isinstance(shape, str):
        if not _is(value, shape):
            yield f"{path}: cannot unmarshal {_shown(value)} into Go value of type {shape}"
    elif isinstance(shape, list):
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from _misfits({} if item is None else item, shape[0], f"{path}[{number}]")
        else:
            yield f"{path}: cannot unmarshal {_shown(value)} into Go value of type slice"
    elif not isinstance(value, dict):
        kind = "map" if isinstance(shape, Each) else "struct"
        yield f"{path}: cannot unmarshal {_shown(value)} into Go value of type {kind}"
    else:
        fields = value if isinstance(shape, Each) else shape
        for field in fields:
            if value.get(field) is not None:
                inner = shape[""] if isinstance(shape, Each) else shape[field]
                yield from _misfits(value[field], inner, f"{path}.{field}" if path else field)


def _is(value: Any, type_: str) -> bool:
    if type_ == "string":
        return isinstance(value, str)
    if type_ == "bool":
        return isinstance(value, bool)
    if type_ == "int or string":
        return isinstance(value, str) or _is(value, "int32")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if type_ == "float64":
        return abs(value) <= 1.7976931348623157e308
    low, high = WHOLE[type_]
    return low <= value <= high and value == int(value)


def _shown(value: Any) -> str:
    """A value as Go's decoder names it: `string`, `bool`, `number 1.5`, `array`, `object`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"number {json.dumps(value)[:40]}"
    return {str: "string", bool: "bool", list: "array"}.get(type(value), "object")
