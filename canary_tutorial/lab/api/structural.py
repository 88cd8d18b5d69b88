"""Custom objects against their CustomResourceDefinition's schema: defaults, types and values, in the usual words.

`check` finds all faults, as a real server does, and speaks as it does ("spec.replicas in body must be of type integer:
"string""), because that text is what people meet and search for. Pure; interprets the schema as it stands.
"""

from __future__ import annotations

import ipaddress
import json
import re
from functools import lru_cache
from typing import Any

from canary_tutorial.lab import schema
from canary_tutorial.lab.errors import BadRequest, Cause
from canary_tutorial.lab.schema import Schema
from canary_tutorial.lab.store import clone

Obj = dict[str, Any]
DURATION = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$")
DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)$")
FORMATS = {
    "date": re.compile(r"^\d{4}-\d\d-\d\d$"),
    "date-time": DATE_TIME,
    "duration": DURATION,
    "uuid": re.compile(r"^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$"),
    "byte": re.compile(r"^[A-Za-z0-9+/]*={0,2}$"),
}


def defaulted(value: Any, shape: Schema) -> Any:
    """The value with the schema's defaults where fields are absent, or null where null is not allowed."""
    if isinstance(value, list):
        item = schema.items(shape)
        return [defaulted(each, item) for each in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, inner in (shape.get("properties") or {}).items():
        absent = name not in filled or (filled[name] is None and not inner.get("nullable"))
        if absent and "default" in inner:
            filled[name] = clone(inner["default"])
    return {name: defaulted(inner, schema.field(shape, name) or schema.FREE) for name, inner in filled.items()}


def check(obj: Obj, shape: Schema) -> list[Cause]:
    """All faults of an object."""
    return _check(obj, shape, "")


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
            inner, schema.field(schema.resolve({"$ref": schema.OBJECT_META}), name) or {}, f"metadata.{name}"
        )
        if faults:
            raise BadRequest(f"unable to decode metadata: {faults[0]}")


def _check(value: Any, shape: Schema, path: str) -> list[Cause]:
    if value is None:
        if shape.get("nullable") or "type" not in shape:
            return []
        return [Cause.wrong_type(path, "null", f'{path} in body must be of type {shape["type"]}: "null"')]
    causes = _type(value, shape, path)
    if causes:
        return causes
    if "enum" in shape and not any(_equal(value, choice) for choice in shape["enum"]):
        causes.append(Cause.unsupported(path, value, shape["enum"]))
    if isinstance(value, str):
        causes += _string(value, shape, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        causes += _number(value, shape, path)
    elif isinstance(value, list):
        causes += _list(value, shape, path)
    elif isinstance(value, dict):
        causes += _object(value, shape, path)
    return causes + _combined(value, shape, path)


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


def _string(value: str, shape: Schema, path: str) -> list[Cause]:
    causes = []
    if len(value) > shape.get("maxLength", len(value)):
        hint = f"may not be more than {shape['maxLength']} bytes"
        causes.append(Cause(path, "FieldValueTooLong", f"Too long: {hint}"))
    if len(value) < shape.get("minLength", 0):
        causes.append(Cause.invalid(path, value, f"{path} in body should be at least {shape['minLength']} chars long"))
    pattern = _pattern(shape["pattern"]) if "pattern" in shape else None
    if pattern and not pattern.search(value):
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


def _list(value: list[Any], shape: Schema, path: str) -> list[Cause]:
    causes = []
    if len(value) < shape.get("minItems", 0):
        causes.append(Cause.invalid(path, len(value), f"{path} in body should have at least {shape['minItems']} items"))
    if len(value) > shape.get("maxItems", len(value)):
        hint = f"must have at most {shape['maxItems']} items"
        causes.append(Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: {hint}"))
    item = schema.items(shape)
    keys = shape.get("x-kubernetes-list-map-keys")
    seen: list[Any] = []
    for i, each in enumerate(value):
        causes += _check(each, item, f"{path}[{i}]")
        identity = {key: each.get(key) for key in keys} if keys and isinstance(each, dict) else each
        if (keys or shape.get("x-kubernetes-list-type") == "set") and identity in seen:
            causes.append(Cause(f"{path}[{i}]", "FieldValueDuplicate", f"Duplicate value: {json.dumps(identity)}"))
        seen.append(identity)
    return causes


def _object(value: Obj, shape: Schema, path: str) -> list[Cause]:
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
        causes += _check(inner, schema.field(shape, name) or schema.FREE, dot + name)
    return causes


def _combined(value: Any, shape: Schema, path: str) -> list[Cause]:
    """allOf, anyOf, oneOf and not; with none fitting, the faults of the branch that came closest are told too."""
    causes = [cause for branch in shape.get("allOf", ()) for cause in _check(value, branch, path)]
    for word, said in (("anyOf", "must validate at least one schema (anyOf)"),
                       ("oneOf", "must validate one and only one schema (oneOf)")):  # fmt: skip
        if word not in shape:
            continue
        results = [_check(value, branch, path) for branch in shape[word]]
        fitting = sum(not faults for faults in results)
        if fitting == 0:
            found = ". Found none valid" if word == "oneOf" else ""
            causes.append(_nameless(f'"{path}" {said}{found}'))
            causes += sorted(results, key=len)[0]
        elif word == "oneOf" and fitting > 1:
            causes.append(_nameless(f'"{path}" {said}. Found {fitting} valid alternatives'))
    if "not" in shape and not _check(value, shape["not"], path):
        causes.append(_nameless(f'"{path}" must not validate the schema (not)'))
    return causes


def _nameless(message: str) -> Cause:
    return Cause("<nil>", "FieldValueInvalid", f'Invalid value: "": {message}')


def _equal(value: Any, choice: Any) -> bool:
    return type_name(value) == type_name(choice) and bool(value == choice)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:
        return None  # a Go pattern that Python cannot read checks nothing


def _formatted(value: str, name: str) -> bool:
    if name in ("ipv4", "ipv6", "cidr"):
        try:
            (ipaddress.ip_network if name == "cidr" else ipaddress.ip_address)(value)
        except ValueError:
            return False
        return True
    return name not in FORMATS or bool(FORMATS[name].match(value))
