"""Which requests a rule is for: a table from Istio's words to Envoy's."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab.mesh.matches import compile_match, labels_text

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing asked matches everything": ({}, {"prefix": "/"}),
    "uri exact": ({"uri": {"exact": "/a"}}, {"path": "/a"}),
    "uri prefix": ({"uri": {"prefix": "/a"}}, {"prefix": "/a"}),
    "uri regex": ({"uri": {"regex": "/a+"}}, {"safe_regex": {"regex": "/a+"}}),
    "case ignored": ({"uri": {"exact": "/A"}, "ignoreUriCase": True}, {"path": "/A", "case_sensitive": False}),
    "header names are written small": (
        {"headers": {"X-Canary": {"exact": "insider"}}},
        {"prefix": "/", "headers": [{"name": "x-canary", "string_match": {"exact": "insider"}}]},
    ),
    "a cookie is a header with a regex": (
        {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}},
        {
            "prefix": "/",
            "headers": [
                {"name": "cookie", "string_match": {"safe_regex": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}}
            ],
        },
    ),
    "an empty header match asks for presence": (
        {"headers": {"x-a": {}}},
        {"prefix": "/", "headers": [{"name": "x-a", "present_match": True}]},
    ),
    "withoutHeaders is turned around": (
        {"withoutHeaders": {"x-a": {"prefix": "b"}}},
        {"prefix": "/", "headers": [{"name": "x-a", "string_match": {"prefix": "b"}, "invert_match": True}]},
    ),
    "method, authority and scheme are pseudo headers": (
        {"method": {"exact": "GET"}, "authority": {"prefix": "app."}, "scheme": {"exact": "http"}},
        {
            "prefix": "/",
            "headers": [
                {"name": ":method", "string_match": {"exact": "GET"}},
                {"name": ":authority", "string_match": {"prefix": "app."}},
                {"name": ":scheme", "string_match": {"exact": "http"}},
            ],
        },
    ),
    "query parameters": (
        {"queryParams": {"v": {"exact": "2"}, "debug": {}}},
        {
            "prefix": "/",
            "query_parameters": [
                {"name": "v", "string_match": {"exact": "2"}},
                {"name": "debug", "present_match": True},
            ],
        },
    ),
    "labels of the asking pod": (
        {"sourceLabels": {"app": "web"}},
        {"prefix": "/", "headers": [{"name": "x-lab-source-labels", "string_match": {"contains": ",app=web,"}}]},
    ),
}


@pytest.mark.parametrize(("match", "expected"), CASES.values(), ids=CASES.keys())
def test_a_match_becomes(match: dict[str, Any], expected: dict[str, Any]) -> None:
    assert compile_match(match) == expected


def test_labels_are_told_so_that_each_can_be_found_whole() -> None:
    assert labels_text({"b": "2", "a": "1"}) == ",a=1,b=2,"


def test_a_bad_regex_is_refused_before_envoy_sees_it() -> None:
    with pytest.raises(ValueError, match=r"\[a.* is not a regular expression"):
        compile_match({"uri": {"regex": "[a"}})
