"""Custom objects against their schema: a Canary in the shape of Flagger's own definition."""

# ruff: noqa: E501  (a case of a table is one line)

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.checks import decoding, structural
from canary_tutorial.lab.kinds import Kind

Obj = dict[str, Any]
KIND = Kind("flagger.app", "v1beta1", "Canary", "canaries", "canary", True, custom=True)
SCHEMA = schema.custom({
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["targetRef"],
            "properties": {
                "provider": {"type": "string", "default": "istio", "enum": ["istio", "kubernetes"]},
                "targetRef": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}},
                "port": {"type": "number"},
                "portName": {"x-kubernetes-int-or-string": True},
                "timeout": {"type": "integer", "minimum": 0, "maximum": 3600},
                "suspend": {"type": "boolean", "nullable": True},
                "since": {"type": "string", "format": "date-time"},
                "match": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {
                    "weight": {"type": "integer", "default": 1}}}},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "analysis": {
                    "type": "object",
                    "properties": {"interval": {"type": "string", "pattern": "^[0-9]+(m|s)"}, "iterations": {"type": "number"},
                                   "stepWeight": {"type": "number"}},
                    "oneOf": [{"required": ["interval", "iterations"]}, {"required": ["interval", "stepWeight"]}],
                },
            },
        },
    },
})  # fmt: skip


def canary(**spec: Any) -> Obj:
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "c"},
            "spec": {"targetRef": {"name": "podinfo"}, **spec}}  # fmt: skip


def faults(**spec: Any) -> list[str]:
    return [str(cause) for cause in structural.check(canary(**spec), SCHEMA)]


def test_a_good_canary_has_no_faults() -> None:
    assert faults(port=9898, portName="http", timeout=0, suspend=None, headers={"a": "b"}, match=[{"weight": 1}],
                  analysis={"interval": "30s", "stepWeight": 20}, since="2026-11-23T12:00:00Z", free={"x": [1]}) == []  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"timeout": "5"}, ['spec.timeout: Invalid value: "string": spec.timeout in body must be of type integer: "string"']),
        ({"timeout": 1.5}, ['spec.timeout: Invalid value: "number": spec.timeout in body must be of type integer: "number"']),
        ({"timeout": -1}, ["spec.timeout: Invalid value: -1: spec.timeout in body should be greater than or equal to 0"]),
        ({"timeout": 9999}, ["spec.timeout: Invalid value: 9999: spec.timeout in body should be less than or equal to 3600"]),
        ({"timeout": True}, ['spec.timeout: Invalid value: "boolean": spec.timeout in body must be of type integer: "boolean"']),
        ({"provider": "nginx"}, ['spec.provider: Unsupported value: "nginx": supported values: "istio", "kubernetes"']),
        ({"targetRef": {}}, ["spec.targetRef.name: Required value"]),
        ({"targetRef": {"name": ""}}, ['spec.targetRef.name: Invalid value: "": spec.targetRef.name in body should be at least 1 '
                                       "chars long"]),
        ({"portName": 1.5}, ['spec.portName: Invalid value: "number": spec.portName in body must be of type integer,string: "number"']),
        ({"match": [{}] * 3}, ["spec.match: Too many: 3: must have at most 2 items"]),
        ({"match": [{"weight": "x"}]}, ['spec.match[0].weight: Invalid value: "string": spec.match[0].weight in body must be of '
                                        'type integer: "string"']),
        ({"headers": {"a": 1}}, ['spec.headers.a: Invalid value: "integer": spec.headers.a in body must be of type string: "integer"']),
        ({"since": "now"}, ['spec.since: Invalid value: "now": spec.since in body must be of type date-time: "now"']),
        ({"port": None}, ['spec.port: Invalid value: "null": spec.port in body must be of type number: "null"']),
        ({"analysis": {"interval": "x", "stepWeight": 1}}, ["spec.analysis.interval: Invalid value: \"x\": spec.analysis.interval in "
                                                            "body should match '^[0-9]+(m|s)'"]),
        ({"analysis": {"interval": "30s"}}, ['<nil>: Invalid value: "": "spec.analysis" must validate one and only one schema '
                                             "(oneOf). Found none valid", "spec.analysis.iterations: Required value"]),
        ({"analysis": {"interval": "30s", "stepWeight": 1, "iterations": 1}},
         ['<nil>: Invalid value: "": "spec.analysis" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    ],
)  # fmt: skip
def test_faults_are_told_in_the_usual_words(spec: Obj, expected: list[str]) -> None:
    assert faults(**spec) == expected


def test_defaults_fill_what_is_absent_also_inside_lists() -> None:
    filled = structural.defaulted(canary(match=[{}, {"weight": 5}]), SCHEMA)
    assert filled["spec"]["provider"] == "istio"
    assert filled["spec"]["match"] == [{"weight": 1}, {"weight": 5}]
    assert structural.defaulted(canary(provider=None), SCHEMA)["spec"]["provider"] == "istio"


def test_unknown_fields_are_found_and_pruned_but_where_they_are_welcome() -> None:
    found = decoding.decode(
        canary(colour="red", free={"any": {"thing": 1}}, headers={"x": "y"}), SCHEMA, KIND, "v1beta1"
    )
    assert (found.unknown, found.refusal) == (["spec.colour"], None)
    assert found.obj["spec"] == {"targetRef": {"name": "podinfo"}, "free": {"any": {"thing": 1}}, "headers": {"x": "y"}}


@pytest.mark.parametrize("word", ["oneOf", "anyOf", "allOf", "enum"])
def test_an_empty_list_of_choices_is_none(word: str) -> None:
    assert structural.check({"a": "b"}, {"type": "object", "properties": {"a": {"type": "string", word: []}}}) == []
