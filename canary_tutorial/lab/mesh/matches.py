"""Which requests a rule is for: HTTPMatchRequest to Envoy's RouteMatch. Pure."""

from __future__ import annotations

import re
from typing import Any

Obj = dict[str, Any]

LABELS_HEADER = "x-lab-source-labels"  # the labels of the pod that asks, as labels_text() writes them


def labels_text(labels: dict[str, str]) -> str:
    return "," + "".join(f"{key}={value}," for key, value in sorted(labels.items()))


def compile_match(match: Obj) -> Obj:
    """All that a match asks must hold; what it leaves out holds for every request."""
    compiled = _path(match)
    headers = [{"name": name.lower(), **_matcher(want)} for name, want in (match.get("headers") or {}).items()]
    headers += [
        {"name": name.lower(), **_matcher(want), "invert_match": True}
        for name, want in (match.get("withoutHeaders") or {}).items()
    ]
    pseudo = (("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme"))
    headers += [{"name": name, **_matcher(match[key])} for key, name in pseudo if match.get(key)]
    headers += [
        {"name": LABELS_HEADER, "string_match": {"contains": f",{key}={value},"}}
        for key, value in sorted((match.get("sourceLabels") or {}).items())
    ]
    if headers:
        compiled["headers"] = headers
    if match.get("queryParams"):
        compiled["query_parameters"] = [{"name": name, **_matcher(want)} for name, want in match["queryParams"].items()]
    return compiled


def _path(match: Obj) -> Obj:
    uri = match.get("uri") or {}
    if "regex" in uri:
        return {"safe_regex": string_matcher(uri)["safe_regex"]}
    path: Obj = {"path": uri["exact"]} if "exact" in uri else {"prefix": uri.get("prefix") or "/"}
    return path | ({"case_sensitive": False} if match.get("ignoreUriCase") else {})


def _matcher(want: Obj) -> Obj:
    """An empty StringMatch asks only that the thing is there."""
    return {"string_match": string_matcher(want)} if want else {"present_match": True}


def string_matcher(want: Obj) -> Obj:
    """`{exact: x}`, `{prefix: x}` or `{regex: x}`; ValueError for a regex that Envoy would refuse."""
    kind, value = next(iter(want.items()))
    if kind != "regex":
        return {kind: value}
    try:
        re.compile(value)
    except re.error as exc:
        raise ValueError(f"{value!r} is no regular expression: {exc}") from None
    return {"safe_regex": {"regex": value}}
