"""Label and field selectors, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab import selectors
from canary_tutorial.lab.errors import BadRequest

LABELS = {"app": "podinfo", "tier": "web", "n": "5", "flagger.app/x": "y"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("app=podinfo", True), ("app==podinfo", True), ("app=other", False), ("app!=other", True),
        ("app!=podinfo", False), ("missing!=x", True), ("app", True), ("missing", False), ("!missing", True),
        ("!app", False), ("app in (podinfo, x)", True), ("app in (x)", False), ("app notin (x,y)", True),
        ("missing notin (x)", True), ("missing in (x)", False), ("app=podinfo,tier=web", True), ("app=podinfo,tier=db", False),
        ("app in (a,podinfo),tier", True), ("n>4", True), ("n<5", False), ("n > 4", True), ("flagger.app/x=y", True),
        ("app=", False),
    ],
)  # fmt: skip
def test_label_selectors(text: str, matches: bool) -> None:
    assert selectors.labels(text)({"metadata": {"labels": LABELS}}) is matches


@pytest.mark.parametrize("text", ["=", "a b", "a in b", "a in (b", "app=(x)", "a=b=c", "%"])
def test_what_is_no_label_selector_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        selectors.labels(text)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False), ({}, True), ({"matchLabels": {"app": "podinfo"}}, True), ({"matchLabels": {"app": "x"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["podinfo"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["podinfo"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)  # fmt: skip
def test_selectors_inside_objects(selector: Any, matches: bool) -> None:
    assert selectors.label_selector(selector)(LABELS) is matches


def test_a_selector_as_text_selects_the_same() -> None:
    selector = {
        "matchLabels": {"app": "podinfo"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["web", "db"]},
            {"key": "x", "operator": "DoesNotExist"},
        ],
    }
    text = selectors.as_text(selector)
    assert text == "app=podinfo,tier in (db,web),!x"
    assert selectors.label_test(text)(LABELS)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=p", True), ("metadata.name!=p", False), ("status.phase=Running,metadata.name=p", True),
        ("status.phase!=Running", False), ("spec.nodeName=", True), ("spec.hostNetwork=false", True),
    ],
)  # fmt: skip
def test_field_selectors(text: str, matches: bool) -> None:
    obj = {"metadata": {"name": "p"}, "status": {"phase": "Running"}, "spec": {"hostNetwork": False}}
    assert selectors.fields(text)(obj) is matches


@pytest.mark.parametrize("text", ["x", "a>b", "spec.color=red"])
def test_unknown_fields_cannot_be_selected_by(text: str) -> None:
    def stored(path: str) -> str:
        if not path.startswith("metadata."):
            raise BadRequest(path)
        return path

    with pytest.raises(BadRequest):
        selectors.fields(text, stored)
