"""Decodes what a client sent into an object of its kind: drops unknown fields, refuses wrong types with Kubernetes' texts.

A built-in kind is read as Go's decoder reads it: the first value of a wrong type ends it (400); then all required fields
that are missing are named (422). Of a custom kind only the metadata has fixed types; the rest is checked against its schema
by `structural` when defaults are there. What depends on the meaning of fields is in `rules`. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.checks import structural
from canary_tutorial.lab.api.checks.walk import Place, Walk, mismatch, path_of, steps
from canary_tutorial.lab.api.wire.bodies import go_type
from canary_tutorial.lab.errors import ApiError, BadRequest, Cause
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj, without
from canary_tutorial.lab.quantity import amount
from canary_tutorial.lab.schema import Schema

INTEGERS = {"int32": 2**31, "int64": 2**63}
OWNERS = "metadata.ownerReferences["  # what these lack is said by `rules`, in other words
QUANTITIES = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@dataclass(frozen=True)
class Decoded:
    """An object as its kind knows it, the paths of the fields that were left out, and what is wrong with it."""

    obj: Obj
    unknown: list[str]
    refusal: ApiError | None = None
    missing: tuple[Cause, ...] = ()  # fields that must be there
    mistyped: str = ""  # what a strategic merge patch says of the first value of a wrong type


def decode(obj: Obj, shape: Schema, kind: Kind, version: str, *, partial: bool = False) -> Decoded:
    """An object by the schema of its kind's version; one that is `partial` may lack what is required."""
    if kind.custom:
        walk = Walk()
        known = walk.visit(obj, shape)
        return Decoded(known, walk.unknown, structural.refused_metadata(known))
    decoder = GoDecoder(kind.kind, shape)
    known = decoder.visit(obj if partial else _with_spec(obj, shape), decoder.root)
    if decoder.wrong:
        refusal = BadRequest(f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: {decoder.wrong}')
        return Decoded(known, decoder.unknown, refusal, mistyped=decoder.mistyped)
    return Decoded(known, decoder.unknown, missing=() if partial else tuple(decoder.missing))


def without_empty(value: Any, shape: Schema) -> Any:
    """A copy of a built-in kind's object without empty maps and lists, which Go leaves out where nothing requires them."""
    if isinstance(value, list):
        item = schema.items(shape)
        return [without_empty(each, item) for each in value]
    if not isinstance(value, dict):
        return value
    kept, needed = {}, shape.get("required") or ()
    for name, inner in value.items():
        below = schema.field(shape, name) or schema.FREE
        if inner or name in needed or not _left_out(inner, below):
            kept[name] = without_empty(inner, below)
    return kept


def _left_out(value: Any, shape: Schema) -> bool:
    return value == [] or (value == {} and bool(shape.get("additionalProperties")))


def lacking(obj: Obj, shape: Schema, kind: Kind) -> list[Cause]:
    """What an object that was put together of parts lacks to be a whole one; its status is not the parts' affair."""
    decoder = GoDecoder(kind.kind, shape)
    decoder.visit(_with_spec(without(obj, "status"), shape), decoder.root)
    return decoder.missing


def _with_spec(obj: Obj, shape: Schema) -> Obj:
    """The published schemas do not require a `spec`, but some require fields in it."""
    spec = schema.field(shape, "spec")
    return {**obj, "spec": {}} if spec and spec.get("required") and obj.get("spec") is None else obj


class GoDecoder(Walk):
    """Reads a built-in kind: `wrong` is what Go says of the first value of a wrong type, `missing` all required fields."""

    null_is_absent = True

    def __init__(self, kind: str, shape: Schema) -> None:
        super().__init__()
        self.root = shape | {"name": kind}
        self.wrong = self.mistyped = ""
        self.missing: list[Cause] = []

    def accepts(self, value: Any, shape: Schema, at: Place) -> bool:
        bound = INTEGERS.get(shape.get("format", ""))
        if mismatch(value, shape):
            fault = self._cannot_unmarshal(go_type(value), at)
        elif bound and not -bound <= value < bound:
            fault = self._cannot_unmarshal(f"number {value}", at)
        elif "x-quantity" in shape and isinstance(value, str) and amount(value) is None:
            fault = QUANTITIES
        elif shape.get("format") == "byte" and (wrong := illegal_byte(value)) is not None:
            fault = f"illegal base64 data at input byte {wrong}"
        else:
            if "required" in shape and not path_of(at).startswith(OWNERS):
                absent = [name for name in shape["required"] if value.get(name) is None]
                self.missing += [Cause.required(path_of((at, name))) for name in absent]
            return True
        self.mistyped = self.mistyped or _unconvertible(value, shape)
        self.wrong = self.wrong or fault
        return False

    def _cannot_unmarshal(self, found: str, at: Place) -> str:
        """`json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`."""
        shape, struct, names = self.root, "", []
        for step in steps(at):
            if isinstance(step, int):
                shape = _named(shape.get("items", {}))
            else:
                struct = shape.get("name", struct)
                if step in (shape.get("properties") or {}):  # Go names the map, not its key
                    names.append(step)
                shape = _named((shape.get("properties") or {}).get(step) or shape.get("additionalProperties") or {})
        place = f"Go struct field {struct}.{'.'.join(names)}" if names else "Go value"
        return f"json: cannot unmarshal {found} into {place} of type {_type_in_go(shape)}"


def _unconvertible(value: Any, shape: Schema) -> str:
    """What Go's converter says, which reads a patched object from a map rather than from text."""
    found = {bool: "bool", str: "string", int: "int64", float: "float64"}.get(type(value), "")
    wanted = str(shape.get("type", "string"))
    if wanted in ("object", "array") and found:
        holder = "slice" if wanted == "array" else "map" if shape.get("additionalProperties") else "struct"
        return f"cannot restore {holder} from{':' if holder == 'struct' else ''} {found}"
    kind = _type_in_go(shape)
    if found in ("int64", "float64") and kind == "string" and found == "int64":
        return "cannot convert int64 to string"
    return f"unrecognized type: {kind}"


def _type_in_go(shape: Schema) -> str:
    wanted = str(shape.get("type", "string"))
    if wanted == "array":
        item = _named(shape.get("items", {}))
        return "[]" + (f"v1.{item['name']}" if "name" in item else str(item.get("type", "interface {}")))
    if wanted == "object":
        return f"v1.{shape['name']}" if "name" in shape else "map[string]string"
    return {"integer": str(shape.get("format", "int64")), "boolean": "bool"}.get(wanted, wanted)


def _named(shape: Schema) -> Schema:
    """A schema with the name of its type, if it has one."""
    name = shape.get("$ref", "").rsplit(".", 1)[-1]
    return schema.resolve(shape) | ({"name": name} if name else {})


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
