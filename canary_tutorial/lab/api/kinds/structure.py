"""Whether a CustomResourceDefinition's schema is structural, as a real API server wants it: each value has a type, and
`allOf`, `anyOf`, `oneOf` and `not` only narrow what is defined outside of them. With Kubernetes' texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.schema import Schema

MOST = 50  # faults that are listed: paths can be long
ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
EMBEDDED, ANYTHING, EITHER = (
    f"x-kubernetes-{name}" for name in ("embedded-resource", "preserve-unknown-fields", "int-or-string")
)
# What may not stand within allOf, anyOf, oneOf and not.
NARROWS = {
    **dict.fromkeys(
        ("type", "title", "description", "x-kubernetes-list-map-keys", "x-kubernetes-validations"), "empty"
    ),
    **dict.fromkeys(
        ("additionalProperties", "default", "x-kubernetes-list-type", "x-kubernetes-map-type"), "undefined"
    ),
    **dict.fromkeys(("nullable", ANYTHING, EMBEDDED, EITHER), "false"),
}
METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"


def check(shape: Schema, path: str) -> list[Cause]:
    """Faults of a schema, whose keywords have values of the right types; `path` is where it stands."""
    found = chain(_defined(shape, path, ROOT), _narrowed(shape, shape, path, path))
    return sorted(islice(found, MOST), key=str)


def _defined(shape: Schema, path: str, level: str) -> Iterator[Cause]:
    """Faults of a schema that defines a value, and of all within it."""
    kind, properties, more = shape.get("type"), shape.get("properties") or {}, shape.get("additionalProperties")
    if kind == "array" and "items" not in shape:
        yield Cause.required(f"{path}.items", "must be specified")
    if "items" in shape:
        yield from _defined(shape["items"], f"{path}.items", ITEM)
    for name, inner in properties.items():
        yield from _defined(inner, f"{path}.properties[{name}]", FIELD)
    if more is not None and level == ROOT:
        yield Cause.forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(more, dict):
        yield from _defined(more, f"{path}.additionalProperties", FIELD)
    for flag in (ANYTHING, EMBEDDED):
        if shape.get(EITHER) and shape.get(flag):
            yield Cause.invalid(f"{path}.{flag}", True, f"must be false if {EITHER} is true")
    for at, inner in _junctors(shape, path):
        yield from _narrows(inner, at)
    if not kind and shape.get(EMBEDDED):
        yield Cause.required(f"{path}.type", f"must be object if {EMBEDDED} is true")
    elif not kind and not shape.get(EITHER) and not shape.get(ANYTHING):
        yield Cause.required(f"{path}.type", f"must not be empty {level}")
    if level == ROOT:
        yield from _root(shape, path)


def _root(shape: Schema, path: str) -> Iterator[Cause]:
    if shape.get("type") not in (None, "", "object"):
        yield Cause.invalid(f"{path}.type", shape["type"], "must be object at the root")
    properties = shape.get("properties") or {}
    for name in ("apiVersion", "kind"):
        if name in properties and properties[name].get("type") != "string":
            yield Cause.invalid(f"{path}.properties[{name}].type", properties[name].get("type", ""), "must be string")
    metadata = properties.get("metadata")
    if metadata is not None and metadata.get("type") != "object":
        yield Cause.invalid(f"{path}.properties[metadata].type", metadata.get("type", ""), "must be object")
    if metadata and (metadata.keys() - {"type", "properties", "default"} or _others(metadata)):
        yield Cause.forbidden(f"{path}.properties[metadata]", METADATA)


def _others(metadata: Schema) -> set[str]:
    return set(metadata.get("properties") or ()) - {"name", "generateName"}


def _narrows(shape: Schema, path: str) -> Iterator[Cause]:
    """Faults of a schema within allOf, anyOf, oneOf or not, which only narrows a value."""
    for word, what in NARROWS.items():
        if shape.get(word) not in (None, "", False, []) or (what == "undefined" and word in shape):
            yield Cause.forbidden(f"{path}.{word}", f"must be {what} to be structural")
    if "items" in shape:
        yield from _narrows(shape["items"], f"{path}.items")
    for name, inner in (shape.get("properties") or {}).items():
        yield from _narrows(inner, f"{path}.properties[{name}]")
    if "metadata" in (shape.get("properties") or {}):
        yield Cause.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")
    for at, inner in _junctors(shape, path):
        yield from _narrows(inner, at)


def _narrowed(shape: Schema, defined: Schema | None, path: str, where: str) -> Iterator[Cause]:
    """What junctors at the root narrow and nobody defines; Kubernetes looks at no others. `path` is where it should be
    defined, `where` leads to what narrows it."""
    if defined is None:
        yield Cause.required(path, f"because it is defined in {where}")
        return
    if path != where:  # within a junctor: what it says of fields and items
        if "items" in shape:
            yield from _narrowed(shape["items"], defined.get("items"), f"{path}.items", f"{where}.items")
        for name, inner in (shape.get("properties") or {}).items():
            at = f".properties[{name}]"
            yield from _narrowed(inner, (defined.get("properties") or {}).get(name), path + at, where + at)
    for at, inner in _junctors(shape, where, every=True):
        yield from _narrowed(inner, defined, path, at)


def _junctors(shape: Schema, path: str, every: bool = False) -> Iterator[tuple[str, Any]]:
    """The schemas within allOf, anyOf, oneOf and not, with where they stand; without the one that says "int or string"."""
    for word in ("anyOf", "allOf", "oneOf"):
        inner = shape.get(word) or []
        if every or word != "anyOf" or inner != INT_OR_STRING:
            yield from ((f"{path}.{word}[{i}]", each) for i, each in enumerate(inner))
    if "not" in shape:
        yield f"{path}.not", shape["not"]
