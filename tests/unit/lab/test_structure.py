"""Which schemas of a CustomResourceDefinition are structural; the texts are those of a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary_tutorial.lab.api.kinds.structure import check

MANIFESTS = Path(__file__).parents[3] / "manifests"
TEXT = {"type": "string"}


def of(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


GOOD = {
    "an object": of(spec=of(a=TEXT)),
    "metadata, with its names": of(metadata=of(name={"type": "string", "pattern": "a"}), kind=TEXT, apiVersion=TEXT),
    "anything": of(spec={"x-kubernetes-preserve-unknown-fields": True}),
    "a number or a text": of(
        port={"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    ),
    "narrowed": of(
        spec={**of(a=TEXT, b=TEXT), "oneOf": [{"required": ["a"]}, {"properties": {"b": {"maxLength": 3}}}]}
    ),
    "narrowed items": of(list={"type": "array", "items": TEXT, "not": {"items": {"pattern": "a"}}}),
}
BAD = {
    "no type": ({}, [".type: Required value: must not be empty at the root"]),
    "a list": ({"type": "array", "items": TEXT}, ['.type: Invalid value: "array": must be object at the root']),
    "a map": (
        {"type": "object", "additionalProperties": TEXT},
        [".additionalProperties: Forbidden: must not be used at the root"],
    ),
    "a field without a type": (
        of(spec={"properties": {"a": TEXT}}),
        [".properties[spec].type: Required value: must not be empty for specified object fields"],
    ),
    "items without a type": (
        of(a={"type": "array", "items": {}}),
        [".properties[a].items.type: Required value: must not be empty for specified array items"],
    ),
    "a list without items": (of(a={"type": "array"}), [".properties[a].items: Required value: must be specified"]),
    "values of a map without a type": (
        of(a={"type": "object", "additionalProperties": {"maxLength": 3}}),
        [".properties[a].additionalProperties.type: Required value: must not be empty for specified object fields"],
    ),
    "a type in a junctor": (
        of(a={**TEXT, "allOf": [{"type": "string", "nullable": True, "default": "x"}]}),
        [
            ".properties[a].allOf[0].default: Forbidden: must be undefined to be structural",
            ".properties[a].allOf[0].nullable: Forbidden: must be false to be structural",
            ".properties[a].allOf[0].type: Forbidden: must be empty to be structural",
        ],
    ),
    "a field that is only narrowed": (
        {**of(a=TEXT), "anyOf": [{"properties": {"b": {"maxLength": 3}}}]},
        [".properties[b]: Required value: because it is defined in .anyOf[0].properties[b]"],
    ),
    "metadata with labels": (
        of(metadata=of(labels={"type": "object"})),
        [
            ".properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is "
            "implicitly specified"
        ],
    ),
    "a kind that is a number": (
        of(kind={"type": "integer"}), ['.properties[kind].type: Invalid value: "integer": must be string'],
    ),
    "anything, that is a number or a text": (
        of(a={"x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-int-or-string": True}),
        [
            ".properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
            "x-kubernetes-int-or-string is true"
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", GOOD.values(), ids=GOOD)
def test_a_structural_schema_is_taken(shape: dict[str, Any]):
    assert [str(fault) for fault in check(shape, "")] == []


@pytest.mark.parametrize(("shape", "faults"), BAD.values(), ids=BAD)
def test_what_is_not_structural_is_refused_with_the_place(shape: dict[str, Any], faults: list[str]):
    assert [str(fault) for fault in check(shape, "")] == faults


@pytest.mark.parametrize("name", ["flagger-crd.yaml", "mesh.yaml"])
def test_our_own_definitions_are_structural(name: str):
    found = [each for each in yaml.safe_load_all((MANIFESTS / name).read_text()) if each]
    definitions = [each for each in found if each["kind"] == "CustomResourceDefinition"]
    assert definitions
    for each in definitions:
        for version in each["spec"]["versions"]:
            assert [str(fault) for fault in check(version["schema"]["openAPIV3Schema"], "")] == []


def test_a_schema_with_many_faults_names_some():
    assert len(check(of(**{f"f{i}": {} for i in range(1000)}), "")) == 50
