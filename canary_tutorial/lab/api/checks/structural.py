"""Custom objects against their CustomResourceDefinition's schema: defaults, types and values, in the usual words.

`check` finds all faults, as a real server does, and speaks as it does ("spec.replicas in body must be of type integer:
"string""), because that text is what people meet and search for. A schema and an object of modest size can together be
the work of hours, or of gigabytes: `Steps` and `bounds` end it. Pure; interprets the schema as it stands.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.kinds import expressions
from canary_tutorial.lab.api.wire import bounds
from canary_tutorial.lab.errors import BadRequest, Cause
from canary_tutorial.lab.objects import Obj, clone
from canary_tutorial.lab.schema import Schema

DURATION = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$")
DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)$")
FORMATS = {
    "date": re.compile(r"^\d{4}-\d\d-\d\d$"),
    "date-time": DATE_TIME,
    "duration": DURATION,
    "uuid": re.compile(r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$"),
    "byte": re.compile(r"^[A-Za-z0-9+/]*={0,2}$"),
}


STEPS = 50_000  # values visited, and what costs as much, in checking one object


class Steps:
    """What is left of the work, and of the room for defaults, that one object may be."""

    def __init__(self) -> None:
        self.left = STEPS
        self.nodes = self.text = 0

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise BadRequest("the object and its schema together take too long to check")

    def add(self, default: Any) -> None:
        nodes, text, _ = bounds.check(default)
        self.nodes, self.text = self.nodes + nodes, self.text + text
        bounds.refuse(self.nodes, self.text, 0)


def defaulted(value: Any, shape: Schema) -> Any:
    """The value with the schema's defaults where fields are absent, or null where null is not allowed."""
    return _defaulted(value, shape, Steps())


def _defaulted(value: Any, shape: Schema, steps: Steps) -> Any:
    if isinstance(value, list):
        item = schema.items(shape)
        return [_defaulted(each, item, steps) for each in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    properties = shape.get("properties") or {}
    steps.spend(len(properties) // 4)
    for name, inner in properties.items():
        absent = name not in filled or (filled[name] is None and not inner.get("nullable"))
        if absent and "default" in inner:
            steps.add(inner["default"])
            filled[name] = clone(inner["default"])
    return {name: _defaulted(inner, schema.field(shape, name) or schema.FREE, steps) for name, inner in filled.items()}


def check(obj: Obj, shape: Schema) -> list[Cause]:
    """All faults of an object."""
    return _check(obj, shape, "", Steps())


def check_metadata(obj: Obj) -> None:
    """The types within metadata, which every other part relies on; `BadRequest`."""
    meta = obj.get("metadata", {})
    if not isinstance(meta, dict):
        raise BadRequest(
            'error decoding from json: json: cannot unmarshal into Go struct field ".metadata" of type ObjectMeta'
        )
    for name, inner in list(meta.items()):
        if inner is None:
            del meta[name]
            continue
        faults = _check(
            inner, schema.field(schema.resolve({"$ref": schema.OBJECT_META}), name) or {}, f"metadata.{name}", Steps()
        )
        if faults:
            raise BadRequest(f"unable to decode metadata: {faults[0]}")


def _check(value: Any, shape: Schema, path: str, steps: Steps) -> list[Cause]:
    steps.spend(1 + len(path) // 500)
    if value is None:
        if shape.get("nullable") or "type" not in shape:
            return []
        return [Cause.wrong_type(path, "null", f'{path} in body must be of type {shape["type"]}: "null"')]
    causes = _type(value, shape, path)
    if causes:
        return causes
    if shape.get("enum"):
        steps.spend(len(shape["enum"]) // 2)
        if not any(_equal(value, choice) for choice in shape["enum"]):
            causes.append(Cause.unsupported(path, value, shape["enum"]))
    if isinstance(value, str):
        causes += _string(value, shape, path, steps)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        causes += _number(value, shape, path)
    elif isinstance(value, list):
        causes += _list(value, shape, path, steps)
    elif isinstance(value, dict):
        causes += _object(value, shape, path, steps)
    for cause in causes:
        steps.spend(1 + len(cause.message) // 100)
    return causes + _combined(value, shape, path, steps)


def _type(value: Any, shape: Schema, path: str) -> list[Cause]:
    wanted = "integer,string" if shape.get("x-kubernetes-int-or-string") else shape.get("type")
    found = type_name(value)
    if not wanted or found in wanted.split(",") or (wanted == "number" and found == "integer"):
        return []
    if wanted == "integer" and found == "number" and value.is_integer():
        return []
    return [Cause.wrong_type(path, found, f'{path} in body must be of type {wanted}: "{found}"')]


def type_name(value: Any) -> str:
    names = {bool: "boolean", str: "string", list: "array", dict: "object", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _string(value: str, shape: Schema, path: str, steps: Steps) -> list[Cause]:
    causes = []
    if len(value) > shape.get("maxLength", len(value)):
        hint = f"may not be more than {shape['maxLength']} bytes"
        causes.append(Cause(path, "FieldValueTooLong", f"Too long: {hint}"))
    if len(value) < shape.get("minLength", 0):
        causes.append(Cause.invalid(path, value, f"{path} in body should be at least {shape['minLength']} chars long"))
    if "pattern" in shape:
        steps.spend(expressions.cost(shape["pattern"], value))
        if not expressions.matches(shape["pattern"], value):
            causes.append(Cause.invalid(path, value, f"{path} in body should match '{shape['pattern']}'"))
    if not _formatted(value, shape.get("format", "")):
        format_ = shape["format"]
        causes.append(Cause.invalid(path, value, f'{path} in body must be of type {format_}: "{value}"'))
    return causes


def _number(value: float, shape: Schema, path: str) -> list[Cause]:
    causes = []
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is not None and (value <= low if shape.get("exclusiveMinimum") else value < low):
        word = "greater than" if shape.get("exclusiveMinimum") else "greater than or equal to"
        causes.append(Cause.invalid(path, value, f"{path} in body should be {word} {low}"))
    if high is not None and (value >= high if shape.get("exclusiveMaximum") else value > high):
        word = "less than" if shape.get("exclusiveMaximum") else "less than or equal to"
        causes.append(Cause.invalid(path, value, f"{path} in body should be {word} {high}"))
    step = shape.get("multipleOf")
    if step and value % step:
        causes.append(Cause.invalid(path, value, f"{path} in body should be a multiple of {step}"))
    return causes


def _list(value: list[Any], shape: Schema, path: str, steps: Steps) -> list[Cause]:
    causes = []
    if len(value) < shape.get("minItems", 0):
        causes.append(Cause.invalid(path, len(value), f"{path} in body should have at least {shape['minItems']} items"))
    if len(value) > shape.get("maxItems", len(value)):
        hint = f"must have at most {shape['maxItems']} items"
        causes.append(Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: {hint}"))
    item = schema.items(shape)
    keys = shape.get("x-kubernetes-list-map-keys")
    unique = keys or shape.get("x-kubernetes-list-type") == "set"
    seen: set[str] = set()
    for i, each in enumerate(value):
        causes += _check(each, item, f"{path}[{i}]", steps)
        if unique:
            steps.spend(len(keys or ()))
            identity = json.dumps({key: each.get(key) for key in keys} if keys and isinstance(each, dict) else each)
            if identity in seen:
                causes.append(Cause(f"{path}[{i}]", "FieldValueDuplicate", f"Duplicate value: {identity}"))
            seen.add(identity)
    return causes


def _object(value: Obj, shape: Schema, path: str, steps: Steps) -> list[Cause]:
    steps.spend(len(shape.get("required", ())) // 2)
    dot = f"{path}." if path else ""
    causes = [Cause.required(dot + name) for name in shape.get("required", []) if name not in value]
    if len(value) < shape.get("minProperties", 0):
        causes.append(
            Cause.invalid(path, len(value), f"{path} in body should have at least {shape['minProperties']} properties")
        )
    if len(value) > shape.get("maxProperties", len(value)):
        causes.append(
            Cause(
                path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {shape['maxProperties']} items"
            )
        )
    for name, inner in value.items():
        causes += _check(inner, schema.field(shape, name) or schema.FREE, dot + name, steps)
    return causes


def _combined(value: Any, shape: Schema, path: str, steps: Steps) -> list[Cause]:
    """allOf, anyOf, oneOf and not; with none fitting, the faults of the branch that came closest are told too."""
    causes = [cause for branch in shape.get("allOf", ()) for cause in _check(value, branch, path, steps)]
    for word, said in (("anyOf", "must validate at least one schema (anyOf)"),
                       ("oneOf", "must validate one and only one schema (oneOf)")):  # fmt: skip
        if not shape.get(word):
            continue
        results = [_check(value, branch, path, steps) for branch in shape[word]]
        fitting = sum(not faults for faults in results)
        if fitting == 0:
            found = ". Found none valid" if word == "oneOf" else ""
            causes.append(_nameless(f'"{path}" {said}{found}'))
            causes += sorted(results, key=len)[0]
        elif word == "oneOf" and fitting > 1:
            causes.append(_nameless(f'"{path}" {said}. Found {fitting} valid alternatives'))
    if "not" in shape and not _check(value, shape["not"], path, steps):
        causes.append(_nameless(f'"{path}" must not validate the schema (not)'))
    return causes


def _nameless(message: str) -> Cause:
    return Cause("<nil>", "FieldValueInvalid", f'Invalid value: "": {message}')


def _equal(value: Any, choice: Any) -> bool:
    return type_name(value) == type_name(choice) and bool(value == choice)


def _formatted(value: str, name: str) -> bool:
    if name in ("ipv4", "ipv6", "cidr"):
        try:
            (ipaddress.ip_network if name == "cidr" else ipaddress.ip_address)(value)
        except ValueError:
            return False
        return True
    return name not in FORMATS or bool(FORMATS[name].match(value))
