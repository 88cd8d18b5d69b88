"""JSON patch, merge patch and strategic merge patch: the three that do not depend on who owns a field.

Each takes an object and a patch and returns a new object; nothing is changed in place. A strategic merge patch reads
from the schema which lists are merged and by which key, and has its directives: `$patch`, `$retainKeys`,
`$setElementOrder/LIST` and `$deleteFromPrimitiveList/LIST`. Pure.
"""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import jsonpointer

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.wire import bounds
from canary_tutorial.lab.api.wire.bodies import go_type
from canary_tutorial.lab.errors import BadRequest, Invalid
from canary_tutorial.lab.objects import Obj, clone, listed, without
from canary_tutorial.lab.schema import Schema

MAX_OPERATIONS = 10_000
UNREADABLE = (TypeError, KeyError, IndexError, AttributeError, ValueError)
DELETE, ORDER, RETAIN, DIRECTIVE = "$deleteFromPrimitiveList/", "$setElementOrder/", "$retainKeys", "$patch"


def json_patch(obj: Obj, operations: Any) -> Any:
    """RFC 6902."""
    if not isinstance(operations, list):
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {go_type(operations)} into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > MAX_OPERATIONS:
        raise BadRequest(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}")
    try:
        return _operated(clone(obj), operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, *UNREADABLE):
        raise Invalid("the server rejected our request due to an error in our request", {}) from None


def _operated(obj: Any, operations: list[Any]) -> Any:
    """The object after all operations; those that copy may together double it over and over, so they are counted."""
    nodes, text, _ = bounds.check(obj, 2)
    for each in operations:
        if isinstance(each, dict) and each.get("op") == "copy":
            more, longer, _ = bounds.check(jsonpointer.resolve_pointer(obj, each["from"]), 2)
            nodes, text = nodes + more, text + longer
            bounds.refuse(nodes // 2, text, 0)
        obj = jsonpatch.apply_patch(obj, [each], in_place=True)
    return obj


def merge(obj: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, objects are merged, anything else replaces."""
    if not isinstance(patch, dict):
        return clone(patch)
    merged = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def strategic(obj: Any, patch: Obj, shape: Schema) -> Obj:
    """A strategic merge patch by the object's schema."""
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        replacement: Obj = _without_directives(without(patch, DIRECTIVE))
        return replacement
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"Unknown patch type found: {directive}")
    merged: Obj = dict(obj) if isinstance(obj, dict) else {}
    retained = patch.get(RETAIN)
    if isinstance(retained, list):
        names = {each for each in retained if isinstance(each, str)}
        merged = {key: value for key, value in merged.items() if key in names}
    for key, value in patch.items():
        if key.startswith(DELETE):
            name, gone = key.removeprefix(DELETE), set(map(_identity, listed(value)))
            merged[name] = [each for each in listed(merged.get(name)) if _identity(each) not in gone]
        elif key.startswith((ORDER, DIRECTIVE, RETAIN)):
            continue
        elif value is None:
            merged.pop(key, None)
        else:
            inner = schema.field(shape, key) or schema.FREE
            merged[key] = _value(merged.get(key), value, inner, patch.get(ORDER + key))
    for key, order in patch.items():
        name = key.removeprefix(ORDER)
        if key.startswith(ORDER) and name not in patch and name in merged:
            merged[name] = _ordered(
                listed(merged[name]), order, schema.merge_key(schema.field(shape, name) or {}) or ""
            )
    return merged


def _value(old: Any, new: Any, shape: Schema, order: Any) -> Any:
    if isinstance(new, dict):
        return strategic(old, new, shape)
    if not isinstance(new, list):
        return new
    key = schema.merge_key(shape)
    if key is None or {DIRECTIVE: "replace"} in new:
        return [_without_directives(each) for each in new if each != {DIRECTIVE: "replace"}]
    if key == "":  # a list of plain values, merged as a set
        have = set(map(_identity, listed(old)))
        merged = [*listed(old), *(each for each in new if _identity(each) not in have)]
    else:
        merged = _merged_list(listed(old), new, key, schema.items(shape))
    return _ordered(merged, order, key)


def _merged_list(old: list[Any], new: list[Any], key: str, item: Schema) -> list[Any]:
    merged, gone = list(old), set()
    at: dict[str, list[int]] = {}
    for i, each in enumerate(old):
        if isinstance(each, dict) and key in each:
            at.setdefault(_identity(each[key]), []).append(i)
    for change in new:
        if not isinstance(change, dict) or key not in change:
            raise BadRequest(f"map: {str(change)[:200]} does not contain declared merge key: {key}")
        name = _identity(change[key])
        if change.get(DIRECTIVE) == "delete":
            gone.update(at.pop(name, []))
        elif name in at:
            merged[at[name][0]] = strategic(merged[at[name][0]], change, item)
        else:
            at[name] = [len(merged)]
            merged.append(_without_directives(change))
    return [each for i, each in enumerate(merged) if i not in gone]


def _ordered(merged: list[Any], order: Any, key: str) -> list[Any]:
    """The order that the patch wants; what it does not name keeps its place behind its former neighbor."""
    if not isinstance(order, list):
        return merged

    def identity(each: Any) -> str:
        return _identity(each.get(key) if key and isinstance(each, dict) else each)

    wanted: dict[str, int] = {}
    for index, each in enumerate(order):
        wanted.setdefault(identity(each), index)
    named: dict[int, list[Any]] = {}
    behind: dict[int, list[Any]] = {}
    position = -1
    for each in merged:
        place = wanted.get(identity(each))
        position = position if place is None else place
        (behind if place is None else named).setdefault(position, []).append(each)
    found = sorted(named.keys() | behind.keys())
    return [each for index in found for each in [*reversed(named.get(index, [])), *behind.get(index, [])]]


def _identity(value: Any) -> str:
    """A text that is equal for equal values, so that lists need not be searched."""
    return json.dumps(value, sort_keys=True)


def _without_directives(value: Any) -> Any:
    """A patch's value as a new value: nulls and directives mean nothing where there was nothing."""
    if isinstance(value, list):
        return [_without_directives(each) for each in value if not _is_directive(each)]
    if not isinstance(value, dict):
        return value
    kept = {key: inner for key, inner in value.items() if inner is not None and not key.startswith((DELETE, ORDER))}
    return {key: _without_directives(inner) for key, inner in kept.items() if key not in (DIRECTIVE, RETAIN)}


def _is_directive(each: Any) -> bool:
    return isinstance(each, dict) and each.get(DIRECTIVE) in ("delete", "replace") and len(each) <= 2
