"""Walks an object along its schema, for built-in and for custom kinds.

A `Walk` copies an object without the fields that its schema does not have, with whole numbers and quantities as they are
stored. Its subclasses check and add more: `decoding` does what Go's decoder does for built-in kinds, `structural` validates
custom objects and sets their defaults. Pure.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from canary_tutorial.lab import schema
from canary_tutorial.lab.quantity import canonical
from canary_tutorial.lab.schema import Schema

# Where a value is: the place of what holds it, and its key or index there. Few are ever needed as text.
Place: TypeAlias = "tuple[Place, str | int] | None"
NAMES = {bool: "boolean", str: "string", list: "array", dict: "object", int: "integer", float: "number"}


def steps(at: Place) -> list[str | int]:
    """The keys and indexes that lead to a place."""
    found: list[str | int] = []
    while at is not None:
        at, step = at
        found.append(step)
    return found[::-1]


def path_of(at: Place) -> str:
    """A place as messages name it: `spec.containers[0].image`."""
    text = ""
    for step in steps(at):
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def type_name(value: Any) -> str:
    return NAMES.get(type(value), "null")


def mismatch(value: Any, shape: Schema) -> str:
    """The type that a schema wants, if the value has another one."""
    wanted = "integer,string" if shape.get("x-kubernetes-int-or-string") else shape.get("type")
    if wanted is None and "x-quantity" in shape:
        wanted = "string"
    found = type_name(value)
    if not wanted or found == wanted or found in wanted.split(",") or (found == "integer" and wanted == "number"):
        return ""
    return str(wanted)


def stored(value: Any, shape: Schema) -> Any:
    """A number or quantity in the form in which Kubernetes stores it."""
    whole = isinstance(value, float) and value.is_integer()
    if whole and (shape.get("type") == "integer" or shape.get("x-kubernetes-int-or-string")):
        return int(value)
    if "x-quantity" in shape and isinstance(value, str | int | float) and not isinstance(value, bool):
        return canonical(str(value))
    return value


class Walk:
    """The walk itself, which notes the fields that the schema does not have."""

    null_is_absent = False
    prunes = True

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def accepts(self, value: Any, shape: Schema, at: Place) -> bool:
        """Called for each value before those within it; the walk goes into what is accepted."""
        return True

    def after(self, value: Any, shape: Schema, at: Place) -> None:
        """Called for each accepted value after those within it."""

    def visit(self, value: Any, shape: Schema, at: Place = None) -> Any:
        value = stored(value, shape)
        if not self.accepts(value, shape, at):
            return value
        kept = value
        if isinstance(value, list):
            item = schema.items(shape)
            kept = [self.visit(each, item, (at, i)) for i, each in enumerate(value)]
        elif isinstance(value, dict):
            kept = {}
            absent = self.null_is_absent and not shape.get("x-kubernetes-preserve-unknown-fields")
            for name, inner in value.items():
                if inner is None and absent:
                    continue
                field = schema.field(shape, name)
                if field is None and (not self.prunes or _of_any_object(shape, name)):
                    field = schema.FREE
                if field is None:
                    self.unknown.append(path_of((at, name)))
                else:
                    kept[name] = self.visit(inner, field, (at, name))
        self.after(value, shape, at)
        return kept


def _of_any_object(shape: Schema, name: str) -> bool:
    return "x-kubernetes-embedded-resource" in shape and name in ("apiVersion", "kind", "metadata")
