"""Is this an object of its kind? Unknown fields, wrong types and missing values, in Kubernetes' words.

Built-in kinds: a library (fastjsonschema) checks types against the published schemas; its finding is translated into
what a Go decoder would have said (400) or into a field error (422). Custom kinds: `structural`. What depends on the
meaning of fields is in `rules`. Schemas are compiled on first use, some 100 ms for a Deployment. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import fastjsonschema

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.wire.bodies import go_type
from canary_tutorial.lab.errors import BadRequest, Cause, Invalid
from canary_tutorial.lab.kinds import AUTOSCALERS, CONFIGMAPS, CRDS, DEPLOYMENTS, PODS, REPLICASETS, SECRETS, Kind
from canary_tutorial.lab.machine.memory import give_back
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.quantity import canonical
from canary_tutorial.lab.schema import Schema

# Kinds whose spec has required fields but is itself optional in the published schema.
WITH_SPEC = {kind.key for kind in (PODS, DEPLOYMENTS, REPLICASETS, AUTOSCALERS, CRDS)}
BYTES = {SECRETS.key: ("data",), CONFIGMAPS.key: ("binaryData",)}
INTEGERS = {"int32": 2**31, "int64": 2**63}


def decode(obj: Obj, shape: Schema, kind: Kind) -> tuple[Obj, list[str]]:
    """The object as its kind knows it, and the paths of the fields that it does not know, which are left out."""
    unknown: list[str] = []
    return _known(obj, shape, "", unknown, typed=not kind.custom), unknown


def _known(value: Any, shape: Schema, path: str, unknown: list[str], typed: bool) -> Any:
    if isinstance(value, float) and shape.get("type") == "integer" and value.is_integer():
        return int(value)
    if shape.get("x-quantity") and isinstance(value, str | int | float) and not isinstance(value, bool):
        return canonical(str(value))
    if isinstance(value, list):
        item = schema.items(shape)
        return [_known(each, item, f"{path}[{i}]", unknown, typed) for i, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    embedded = shape.get("x-kubernetes-embedded-resource")
    kept = {}
    for name, inner in value.items():
        if inner is None and typed and not shape.get("x-kubernetes-preserve-unknown-fields"):
            continue  # null means absent
        field = schema.field(shape, name)
        if field is None and embedded and name in ("apiVersion", "kind", "metadata"):
            field = schema.FREE
        below = f"{path}.{name}" if path else name
        if field is None:
            unknown.append(below)
        else:
            kept[name] = _known(inner, field, below, unknown, typed)
    return kept


def check_types(obj: Obj, api_version: str, kind: Kind, *, partial: bool = False) -> None:
    """A built-in kind's types and (unless `partial`) required fields; `BadRequest` as a decoder says it, or `Invalid`."""
    version = api_version.rpartition("/")[2]
    if kind.key in WITH_SPEC and not partial:
        obj.setdefault("spec", {})
    try:
        compiled(api_version, kind.kind, partial)(obj)
    except fastjsonschema.JsonSchemaValueException as error:
        root = schema.builtin(api_version, kind.kind) or schema.FREE
        if error.rule == "required":
            raise Invalid.of(kind, _name(obj), missing(obj, root, "")) from None
        raise BadRequest(f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: '
                         + _go_message(error, root | {"name": kind.kind})) from None  # fmt: skip
    for part in BYTES.get(kind.key, ()):
        for text in (obj.get(part) or {}).values():
            wrong = illegal_byte(text)
            if wrong is not None:
                raise BadRequest(f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: '
                                 f"illegal base64 data at input byte {wrong}")  # fmt: skip


def illegal_byte(text: str) -> int | None:
    """Where text is no base64, as Go's decoder counts; None if it is."""
    whole = re.sub(r"[\r\n]", "", text)
    letters = len(re.match(r"[A-Za-z0-9+/]*", whole)[0])  # type: ignore[index]
    padding = whole[letters:]
    if (letters % 4 == 0 and not padding) or (letters % 4 > 1 and padding == "=" * (4 - letters % 4)):
        return None
    if padding == "=" and letters % 4 == 2:
        return len(whole)
    return letters if padding else letters - letters % 4


@cache
def compiled(api_version: str, kind: str, partial: bool = False) -> Callable[[Any], Any]:
    """A checking function made from the published schema of a built-in kind."""
    name = schema.published()["kinds"].get(f"{api_version}/{kind}")
    if name is None:
        return lambda value: value
    words = ("type",) if partial else ("type", "required")
    definitions = {name: _json_schema(shape, words) for name, shape in schema.published()["definitions"].items()}
    made: Callable[[Any], Any] = fastjsonschema.compile(
        {"$ref": f"#/definitions/{name}", "definitions": definitions}, use_default=False, use_formats=False
    )
    give_back()
    return made


def _json_schema(shape: Schema, words: tuple[str, ...]) -> Schema:
    """A published schema as JSON Schema proper, which of `type` and `required` are to be kept."""
    if "$ref" in shape:
        return {"$ref": f"#/definitions/{shape['$ref']}"}
    if shape.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    if shape.get("x-quantity"):
        return {"type": ["string", "number"]}
    made: Schema = {key: shape[key] for key in words if key in shape}
    bound = INTEGERS.get(shape.get("format", ""))
    if bound and shape.get("type") == "integer":
        made |= {"minimum": -bound, "maximum": bound - 1}
    if "properties" in shape:
        made["properties"] = {name: _json_schema(inner, words) for name, inner in shape["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(shape.get(key), dict):
            made[key] = _json_schema(shape[key], words)
    return made


def lacking(obj: Obj, shape: Schema, kind: Kind) -> list[Cause]:
    """What an object that was put together of parts lacks to be a whole one; its status is not the parts' affair."""
    if kind.key in WITH_SPEC:
        obj.setdefault("spec", {})
    return missing({name: value for name, value in obj.items() if name != "status"}, shape, "")


def missing(value: Any, shape: Schema, path: str) -> list[Cause]:
    """All required fields that are not there."""
    if isinstance(value, list):
        item = schema.items(shape)
        return [cause for i, each in enumerate(value) for cause in missing(each, item, f"{path}[{i}]")]
    if not isinstance(value, dict):
        return []
    dot = f"{path}." if path else ""
    causes = [Cause.required(dot + name) for name in shape.get("required", []) if name not in value]
    for name, inner in value.items():
        causes += missing(inner, schema.field(shape, name) or schema.FREE, dot + name)
    return causes


def _go_message(error: fastjsonschema.JsonSchemaValueException, root: Schema) -> str:
    """`json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`."""
    steps = [step for step in re.split(r"[.\[\]]+", (error.name or "").removeprefix("data")) if step]
    shape, struct, names = root, "", []
    for step in steps:
        if step.isdigit() and shape.get("type") == "array":
            shape = _named(shape.get("items", {}))
        else:
            struct = shape.get("name", struct)
            names.append(step)
            shape = _named((shape.get("properties") or {}).get(step) or shape.get("additionalProperties") or {})
    wanted = {"integer": shape.get("format", "int64"), "boolean": "bool", "array": f"[]{_item_type(shape)}"}.get(
        shape.get("type", ""), shape.get("type", "string")
    )
    if wanted == "object":
        wanted = f"v1.{shape['name']}" if "name" in shape else "map[string]string"
    value = f"number {error.value}" if error.rule in ("minimum", "maximum") else go_type(error.value)
    place = f"Go struct field {struct}.{'.'.join(names)}" if names else "Go value"
    return f"json: cannot unmarshal {value} into {place} of type {wanted}"


def _named(shape: Any) -> Schema:
    if not isinstance(shape, dict):
        return {}
    name = shape.get("$ref", "").rsplit(".", 1)[-1]
    return {**schema.resolve(shape), **({"name": name} if name else {})}


def _item_type(shape: Schema) -> str:
    item = _named(shape.get("items", {}))
    return f"v1.{item['name']}" if "name" in item else str(item.get("type", "interface {}"))


def _name(obj: Obj) -> str:
    meta = obj.get("metadata")
    return str(meta.get("name", "")) if isinstance(meta, dict) else ""
