"""Validates custom objects against their CustomResourceDefinition's schema, and sets its defaults.

`check` finds all faults, with Kubernetes' texts ("spec.replicas in body must be of type integer: "string""), because
people search for them. A schema and an object of modest size can together take hours of work, or gigabytes of memory:
`Steps` and `bounds` limit both. Pure; interprets the schema as it stands.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.checks.walk import Place, Walk, mismatch, path_of, type_name
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
# Faults with which a real server does not go on to the rules in CEL.
BLOCKING = {"FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)
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
    return _Defaults().visit(value, shape)


def check(obj: Obj, shape: Schema) -> list[Cause]:
    """All faults of an object."""
    checked = _Check()
    checked.visit(obj, shape)
    if any(each.fault in BLOCKING for each in checked.faults) and "x-kubernetes-validations" in str(shape):
        checked.faults.append(Cause("<nil>", "FieldValueInvalid", f'Invalid value: "null": {UNCHECKED}'))
    return checked.faults


def refused_metadata(obj: Obj) -> BadRequest | None:
    """What is wrong with the types within metadata, on which every other part relies. Nulls are taken out of it."""
    meta = obj.get("metadata", {})
    if not isinstance(meta, dict):
        return BadRequest(
            'error decoding from json: json: cannot unmarshal into Go struct field ".metadata" of type ObjectMeta'
        )
    for name in [name for name, inner in meta.items() if inner is None]:
        del meta[name]
    found = check({"metadata": meta}, {"properties": {"metadata": {"$ref": schema.OBJECT_META}}})
    faults = [each for each in found if each.fault != "FieldValueRequired"]  # `rules` says what is missing
    return BadRequest(f"unable to decode metadata: {faults[0]}") if faults else None


class _Defaults(Walk):
    prunes = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps()

    def visit(self, value: Any, shape: Schema, at: Place = None) -> Any:
        if isinstance(value, dict):
            properties = shape.get("properties") or {}
            self.steps.spend(len(properties) // 4)
            value = dict(value)
            for name, inner in properties.items():
                absent = name not in value or (value[name] is None and not inner.get("nullable"))
                if absent and "default" in inner:
                    self.steps.add(inner["default"])
                    value[name] = clone(inner["default"])
        return super().visit(value, shape, at)


class _Check(Walk):
    """Collects all faults, in the words of a real server."""

    prunes = False

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps()
        self.faults: list[Cause] = []

    def _fault(self, cause: Cause) -> None:
        self.faults.append(cause)
        self.steps.spend(1 + len(cause.message) // 100)

    def _invalid(self, at: Place, value: Any, said: str) -> None:
        path = path_of(at)
        self._fault(Cause.invalid(path, value, f"{path} in body {said}"))

    def accepts(self, value: Any, shape: Schema, at: Place) -> bool:
        self.steps.spend(1)
        if value is None and (shape.get("nullable") or "type" not in shape):
            return False
        if wanted := mismatch(value, shape):
            path, found = path_of(at), type_name(value)
            self._fault(Cause.wrong_type(path, found, f'{path} in body must be of type {wanted}: "{found}"'))
            return False
        if shape.get("enum"):
            self.steps.spend(len(shape["enum"]) // 2)
            if not any(_equal(value, choice) for choice in shape["enum"]):
                self._fault(Cause.unsupported(path_of(at), value, shape["enum"]))
        if isinstance(value, str):
            self._string(value, shape, at)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self._number(value, shape, at)
        elif isinstance(value, dict):
            self.steps.spend(len(shape.get("required", ())) // 2)
            for name in shape.get("required", ()):
                if name not in value:
                    self._fault(Cause.required(path_of((at, name))))
            self._size(value, shape, at, "Properties")
        elif isinstance(value, list):
            self._size(value, shape, at, "Items")
        return True

    def _string(self, value: str, shape: Schema, at: Place) -> None:
        if len(value) > shape.get("maxLength", len(value)):
            hint = f"may not be more than {shape['maxLength']} bytes"
            self._fault(Cause(path_of(at), "FieldValueTooLong", f"Too long: {hint}"))
            return
        if len(value) < shape.get("minLength", 0):
            self._invalid(at, value, f"should be at least {shape['minLength']} chars long")
        if "pattern" in shape:
            self.steps.spend(expressions.cost(shape["pattern"], value))
            if not expressions.matches(shape["pattern"], value):
                self._invalid(at, value, f"should match '{shape['pattern']}'")
        if not _formatted(value, shape.get("format", "")):
            self._invalid(at, value, f'must be of type {shape["format"]}: "{value}"')

    def _number(self, value: float, shape: Schema, at: Place) -> None:
        low, high, step = shape.get("minimum"), shape.get("maximum"), shape.get("multipleOf")
        if low is not None and (value <= low if shape.get("exclusiveMinimum") else value < low):
            word = "greater than" if shape.get("exclusiveMinimum") else "greater than or equal to"
            self._invalid(at, value, f"should be {word} {low}")
        if high is not None and (value >= high if shape.get("exclusiveMaximum") else value > high):
            word = "less than" if shape.get("exclusiveMaximum") else "less than or equal to"
            self._invalid(at, value, f"should be {word} {high}")
        if step and value % step:
            self._invalid(at, value, f"should be a multiple of {step}")

    def _size(self, value: list[Any] | Obj, shape: Schema, at: Place, what: str) -> None:
        size, least, most = len(value), shape.get(f"min{what}", 0), shape.get(f"max{what}")
        if size < least:
            self._invalid(at, size, f"should have at least {least} {what.lower()}")
        if most is not None and size > most:
            self._fault(Cause(path_of(at), "FieldValueTooMany", f"Too many: {size}: must have at most {most} items"))

    def after(self, value: Any, shape: Schema, at: Place) -> None:
        if isinstance(value, list):
            self._unique(value, shape, at)
        self._combined(value, shape, at)

    def _unique(self, value: list[Any], shape: Schema, at: Place) -> None:
        keys = shape.get("x-kubernetes-list-map-keys")
        if not keys and shape.get("x-kubernetes-list-type") != "set":
            return
        seen: set[str] = set()
        for i, each in enumerate(value):
            self.steps.spend(len(keys or ()))
            identity = json.dumps({key: each.get(key) for key in keys} if keys and isinstance(each, dict) else each)
            if identity in seen:
                self._fault(Cause(path_of((at, i)), "FieldValueDuplicate", f"Duplicate value: {identity}"))
            seen.add(identity)

    def _combined(self, value: Any, shape: Schema, at: Place) -> None:
        """allOf, anyOf, oneOf and not; with none fitting, the faults of the branch that came closest are named too."""
        for branch in shape.get("allOf", ()):
            self.visit(value, branch, at)
        for word, said in (("anyOf", "must validate at least one schema (anyOf)"),
                           ("oneOf", "must validate one and only one schema (oneOf)")):  # fmt: skip
            if not shape.get(word):
                continue
            results = [self._apart(value, branch, at) for branch in shape[word]]
            fitting = sum(not faults for faults in results)
            if fitting == 0:
                found = ". Found none valid" if word == "oneOf" else ""
                self._fault(_nameless(f'"{path_of(at)}" {said}{found}'))
                self.faults += sorted(results, key=len)[0]
            elif word == "oneOf" and fitting > 1:
                self._fault(_nameless(f'"{path_of(at)}" {said}. Found {fitting} valid alternatives'))
        if "not" in shape and not self._apart(value, shape["not"], at):
            self._fault(_nameless(f'"{path_of(at)}" must not validate the schema (not)'))

    def _apart(self, value: Any, shape: Schema, at: Place) -> list[Cause]:
        """The faults by another schema, which do not count yet."""
        before, self.faults = self.faults, []
        self.visit(value, shape, at)
        found, self.faults = self.faults, before
        return found


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
