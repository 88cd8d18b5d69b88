"""`metadata.managedFields`: which manager owns which fields.

An object's leaves are paths such as `("f:spec", "f:containers", 'k:{"name":"podinfo"}', "f:image")`; a manager's entry
is a set of them, kept in the nested form `fieldsV1`. A plain write makes its writer the manager of what it changed.
Only writes that come through the API are counted: the lab's own controllers leave no entries. Pure.
"""

from __future__ import annotations

import json
from typing import Any

from canary_tutorial.lab import schema
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.schema import Schema

Path = tuple[str, ...]
Leaves = dict[Path, Any]

KEY_DEFAULTS = {"protocol": "TCP"}  # the one key field that manifests leave out
MAX_STEP = 10_000  # characters
NOBODYS = {"apiVersion", "kind"}
NOBODYS_METADATA = {
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
    "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generateName",
}  # fmt: skip


class Doubled(ValueError):
    """Two items of a list have the same key, so that nobody could own one of them."""


def leaves(obj: Obj | None, shape: Schema, *, strict: bool = False) -> Leaves:
    """The values of an object by path, as far as somebody can own them; `strict` raises Doubled."""
    found: Leaves = {}
    for name, value in (obj or {}).items():
        if name == "metadata":
            value = {key: inner for key, inner in value.items() if key not in NOBODYS_METADATA}
            if not value:
                continue
        if name not in NOBODYS:
            _collect(value, schema.field(shape, name) or schema.FREE, (f"f:{name}",), found, strict)
    return found


def _collect(value: Any, shape: Schema, path: Path, found: Leaves, strict: bool) -> None:
    if isinstance(value, dict) and value and shape.get("x-kubernetes-map-type") != "atomic":
        for name, inner in value.items():
            _collect(inner, schema.field(shape, name) or schema.FREE, (*path, f"f:{name}"), found, strict)
    elif isinstance(value, list) and value and shape.get("x-kubernetes-list-type") in ("map", "set"):
        keys, item = shape.get("x-kubernetes-list-map-keys"), schema.items(shape)
        for each in value:
            step = item_step(each, keys)
            if (*path, step) in found and strict:
                raise Doubled(f"{shown(path)}: duplicate entries for key {shown((step,))}")
            found[*path, step] = each if keys is None else None
            if keys and isinstance(each, dict):
                _collect(each, item, (*path, step), found, strict)
    else:
        found[path] = value


def item_step(item: Any, keys: list[str] | None) -> str:
    if keys and isinstance(item, dict):
        item = KEY_DEFAULTS | item
        chosen = {key: item[key] for key in sorted(keys) if key in item}
        return "k:" + json.dumps(chosen, separators=(",", ":"))
    return "v:" + json.dumps(item, separators=(",", ":"), sort_keys=True)


def fields_v1(paths: set[Path]) -> Obj:
    tree: Obj = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return {step: _trimmed(inner) for step, inner in tree.items()}


def _trimmed(node: Obj) -> Obj:
    """`{".": {}}` alone is written `{}`."""
    return {} if set(node) == {"."} else {step: _trimmed(inner) if step != "." else {} for step, inner in node.items()}


def paths_of(fields: Any) -> set[Path]:
    """The inverse of `fields_v1`; what is malformed owns nothing."""
    found: set[Path] = set()

    def walk(node: Any, path: Path) -> None:
        if not isinstance(node, dict):
            return
        if not node and path:
            found.add(path)
        for step, inner in node.items():
            if step == ".":
                found.add(path)
            elif is_step(step):
                walk(inner, (*path, step))

    walk(fields, ())
    return found


def is_step(text: str) -> bool:
    """Whether a client's text is a step of a path: `f:name`, `k:{"key":"value"}` or `v:"value"`."""
    if text.startswith("f:"):
        return True
    try:
        value = json.loads(text[2:]) if text.startswith(("k:", "v:")) and len(text) < MAX_STEP else None
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) if text.startswith("k:") else value is not None


def shown(path: Path) -> str:
    """A path as messages print it: `.spec.containers[name="podinfo"].image`."""
    text = ""
    for step in path:
        prefix, value = step[:2], step[2:]
        if prefix == "f:":
            text += f".{value}"
        elif prefix == "k:":
            text += "[" + ",".join(f"{key}={json.dumps(inner)}" for key, inner in json.loads(value).items()) + "]"
        else:
            text += f"[={value}]"
    return text


def record(
    old: Obj | None, new: Obj, shape: Schema, manager: str, api_version: str, subresource: str, time: str
) -> None:
    """Note in `new` (which is changed) that `manager` made of `old` what is new in it."""
    before, after = leaves(old, shape), leaves(new, shape)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    listed = new["metadata"].get("managedFields")
    entries = [each for each in listed if isinstance(each, dict) and each.get("manager")] if listed else []
    mine = None
    kept = []
    for each in entries:
        same = each["manager"] == manager and each.get("operation") == "Update"
        if same and each.get("apiVersion") == api_version and (each.get("subresource") or "") == subresource:
            mine = each
            continue
        left = paths_of(each.get("fieldsV1")) - changed - gone
        if left:
            kept.append(each if not changed and not gone else {**each, "fieldsV1": fields_v1(left)})
    own = (paths_of(mine.get("fieldsV1")) if mine else set()) - gone | changed
    if own:
        unchanged = mine is not None and not changed and not gone
        kept.append(mine if unchanged and mine else entry(manager, "Update", api_version, own, subresource, time))
    new["metadata"].pop("managedFields", None)
    if kept:
        new["metadata"]["managedFields"] = in_order(kept)


def in_order(entries: list[Obj]) -> list[Obj]:
    """Applied before updated, then by time, then by manager."""
    return sorted(
        entries,
        key=lambda each: tuple(
            str(each.get(name) or "") for name in ("operation", "time", "manager", "apiVersion", "subresource")
        ),
    )


def entry(manager: str, operation: str, api_version: str, own: set[Path], subresource: str, time: str) -> Obj:
    made = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": time,
             "fieldsType": "FieldsV1", "fieldsV1": fields_v1(own)}  # fmt: skip
    return made | ({"subresource": subresource} if subresource else {})
