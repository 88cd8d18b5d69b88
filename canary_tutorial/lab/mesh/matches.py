"""Which requests a route applies to: HTTPMatchRequest to Envoy's RouteMatch. Pure."""

from __future__ import annotations

from canary_tutorial.lab.mesh import values
from canary_tutorial.lab.objects import Obj

LABELS_HEADER = "x-lab-source-labels"  # the labels of the pod that asks, as labels_text() writes them


def labels_text(labels: dict[str, str]) -> str:
    return "," + "".join(f"{key}={value}," for key, value in sorted(labels.items()))


def compile_match(match: Obj) -> Obj:
    """All that a match asks must hold; what it leaves out holds for every request. ValueError for what Envoy refuses."""
    compiled = _path(match)
    headers = [
        {"name": values.header_name(name.lower()), **_matcher(want), **more}
        for field, more in (("headers", {}), ("withoutHeaders", {"invert_match": True}))
        for name, want in (match.get(field) or {}).items()
    ]
    pseudo = (("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme"))
    headers += [{"name": name, **_matcher(match[key])} for key, name in pseudo if string_matcher(match.get(key))]
    headers += [
        {"name": LABELS_HEADER, "string_match": {"contains": f",{key}={values.text(value, 'sourceLabels')},"}}
        for key, value in sorted((match.get("sourceLabels") or {}).items())
    ]
    if headers:
        compiled["headers"] = headers
    if match.get("queryParams"):
        compiled["query_parameters"] = [
            {"name": values.required(name, "queryParams", 1024), **_matcher(want)}
            for name, want in match["queryParams"].items()
        ]
    return compiled


def _path(match: Obj) -> Obj:
    uri = string_matcher(match.get("uri")) or {"prefix": "/"}
    if "safe_regex" in uri:
        return uri
    renamed = {"exact": "path"}
    path: Obj = {renamed.get(kind, kind): value for kind, value in uri.items()}
    return path | ({"case_sensitive": False} if match.get("ignoreUriCase") else {})


def _matcher(want: Obj | None) -> Obj:
    """An empty StringMatch asks only that the thing is there."""
    matcher = string_matcher(want)
    return {"string_match": matcher} if matcher else {"present_match": True}


def string_matcher(want: Obj | None) -> Obj:
    """`{exact: x}`, `{prefix: x}` or `{regex: x}`; {} for none of them. ValueError for what Envoy would refuse."""
    given = {kind: value for kind, value in (want or {}).items() if value is not None}
    if len(given) > 1 or not given.keys() <= {"exact", "prefix", "regex"}:
        raise ValueError(f"a match is one of exact, prefix and regex, not {', '.join(map(repr, given))}")
    if "regex" in given:
        return {"safe_regex": {"regex": values.regex(given["regex"])}}
    if "prefix" in given:
        return {"prefix": values.required(given["prefix"], "prefix")}
    return {"exact": values.text(given["exact"], "exact")} if given else {}
