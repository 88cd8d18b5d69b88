"""Server-side apply: a manager sends the fields that it wants, and owns them until it no longer sends them.

A field that another manager owns with another value is a conflict, unless the client forces it. A field that this
manager applied before and no longer sends is removed, unless another manager owns it too. `applied` decides all that and
is pure; `serve` handles the request.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.access.authorization import Attributes
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.checks import decoding, schemas
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.verbs import managed_fields, writing
from canary_tutorial.lab.api.verbs.managed_fields import Path
from canary_tutorial.lab.api.wire import bounds
from canary_tutorial.lab.errors import BadRequest, Cause, Conflict, Invalid, NotFound, Unreadable
from canary_tutorial.lab.objects import Obj, clone, timestamp
from canary_tutorial.lab.schema import Schema

MEDIA_TYPES = ("application/apply-patch+yaml", "application/apply-patch+json")


async def serve(api: Api, call: Call) -> web.StreamResponse:
    """PATCH with an apply patch: creates the object if it is not there."""
    target, manager, config = call.target, call.write_options.field_manager, await call.body()
    if not manager:
        cause = Cause.required("fieldManager", "is required for apply patch")
        raise Invalid.asked("PatchOptions.meta.k8s.io", cause)
    meta = config.get("metadata")
    if isinstance(meta, dict) and meta.get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    config, warnings = writing.decoded(api, call, config, partial=True)
    config["metadata"].setdefault("name", target.name)
    live = api.find(target)
    if live is None:
        _check_creation(api, call)
    shape = schemas.stored_schema(api.store, target.kind, target.version)
    now, force = timestamp(api.store.now()), call.write_options.force
    _check_keys(target, config, shape)
    new = applied(live, config, shape, manager, target.api_version, target.subresource, now, force)
    bounds.check(new, 2)  # many managers' small configurations can make an object of any size
    causes = [] if target.kind.custom or target.subresource else decoding.lacking(new, shape, target.kind)
    if causes:
        raise Invalid.of(target.kind, config["metadata"]["name"], causes)
    if live is None:
        if config["metadata"]["name"] != target.name:
            raise BadRequest(f"the name of the object does not match the name on the URL ({target.name})")
        return writing.respond(api, call, writing.store_new(api, call, new, noted=True), warnings, 201)
    writing.keep_identity(target, live, new)
    return writing.respond(api, call, writing.store_changed(api, call, live, new, noted=True), warnings)


def _check_keys(target: Target, config: Obj, shape: Schema) -> None:
    try:
        managed_fields.leaves(config, shape, strict=True)
    except managed_fields.Doubled as error:
        name = f"{target.namespace}/{target.name}; {target.api_version}, Kind={target.kind.kind}"
        raise Unreadable(f"failed to create typed patch object ({name}): {error}") from None


def _check_creation(api: Api, call: Call) -> None:
    """To make what is not there takes the right to create it, too; a sub-resource makes nothing."""
    target = call.target
    if target.subresource:
        raise NotFound.of(target.kind, target.name)
    needed = Attributes("create", target.group, target.resource, target.namespace, target.name)
    api.authorizer.check(call.user, needed)


def applied(
    live: Obj | None, config: Obj, shape: Schema, manager: str, api_version: str, subresource: str, time: str,
    force: bool = False,
) -> Obj:  # fmt: skip
    """The live object with a manager's configuration applied and noted; raises `Conflict`."""
    wanted = managed_fields.leaves(config, shape)
    have = managed_fields.leaves(live, shape)
    entries = [each for each in ((live or {}).get("metadata") or {}).get("managedFields", []) if isinstance(each, dict)]
    others, before = [], set()
    for entry in entries:
        own = managed_fields.paths_of(entry.get("fieldsV1"))
        mine = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if mine and (entry.get("subresource") or "") == subresource:
            before = own
        else:
            others.append((entry, own))
    contested = {path for path, value in wanted.items() if path in have and have[path] != value}
    disputes = [(entry, path) for entry, own in others for path in sorted(own & contested)]
    if disputes and not force:
        raise conflict(disputes)
    owned_by_others: set[Path] = set().union(*(own for _, own in others)) if others else set()
    new: Obj = _merged(live or {}, config, shape)
    gone = removable(before, wanted.keys() | owned_by_others)
    if gone:
        new = _without(new, managed_fields.fields_v1(set(gone)))
    kept = []
    for entry, own in others:
        left = own - contested
        if left:
            kept.append(entry if left == own else {**entry, "fieldsV1": managed_fields.fields_v1(left)})
    if wanted:
        unchanged = next((entry for entry in entries if managed_fields.paths_of(entry.get("fieldsV1")) == wanted.keys()
                          and entry.get("manager") == manager and entry.get("operation") == "Apply"), None)  # fmt: skip
        note = managed_fields.entry(manager, "Apply", api_version, set(wanted), subresource, time)
        kept.insert(0, unchanged or note)
    new["metadata"]["managedFields"] = managed_fields.in_order(kept)
    return new


def removable(before: set[Path], still_owned: set[Path]) -> list[Path]:
    """What nobody owns any more, shortest first: with a list's item goes all that is in it, and never its key alone."""
    gone = sorted(before - still_owned, key=len)
    held = {path[:length] for path in still_owned for length in range(1, len(path))}
    return [path for path in gone if path not in held and not _is_key(path)]


def _is_key(path: Path) -> bool:
    holder = path[-2] if len(path) > 1 else ""
    return holder.startswith("k:") and path[-1].removeprefix("f:") in json.loads(holder[2:])


def conflict(disputes: list[tuple[Obj, Path]]) -> Conflict:
    """One cause per field, grouped by manager in the message, as kubectl shows it."""
    causes: list[Obj] = []
    by_manager: dict[str, list[str]] = {}
    for entry, path in disputes:
        sub = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
        using = "" if entry.get("operation") == "Apply" else f" using {entry.get('apiVersion')}"
        who = f'"{entry.get("manager")}"{sub}{using}'
        field = managed_fields.shown(path)
        by_manager.setdefault(who, []).append(field)
        causes.append({"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field})
    if len(causes) == 1:
        text = f"{causes[0]['message']}: {causes[0]['field']}"
    else:
        text = "\n".join(f"conflicts with {who}:\n" + "\n".join(f"- {field}" for field in fields)
                         for who, fields in by_manager.items())  # fmt: skip
    plural = "" if len(causes) == 1 else "s"
    return Conflict(f"Apply failed with {len(causes)} conflict{plural}: {text}", {"causes": causes})


def _merged(live: Any, config: Any, shape: Schema) -> Any:
    if isinstance(config, dict) and shape.get("x-kubernetes-map-type") != "atomic":
        merged = dict(live) if isinstance(live, dict) else {}
        for name, value in config.items():
            merged[name] = _merged(merged.get(name), value, schema.field(shape, name) or schema.FREE)
        return merged
    kind = shape.get("x-kubernetes-list-type")
    if isinstance(config, list) and isinstance(live, list) and kind in ("map", "set"):
        keys, item = shape.get("x-kubernetes-list-map-keys"), schema.items(shape)
        merged_items = {managed_fields.item_step(each, keys): each for each in live}
        for each in config:
            step = managed_fields.item_step(each, keys)
            merged_items[step] = _merged(merged_items.get(step), each, item)
        return list(merged_items.values())
    return clone(config)


def _without(obj: Any, gone: Obj) -> Any:
    """The object without the values at the paths of a tree (`fieldsV1`), nor the maps and lists left empty by that.

    One walk takes them all away: one for each would look at every value as often as there are paths.
    """
    if isinstance(obj, dict):
        kept = {}
        for name, inner in obj.items():
            below = gone.get(f"f:{name}")
            left = inner if below is None else _left(inner, below)
            if below is None or left not in (GONE, {}, []):
                kept[name] = left
        return kept
    if isinstance(obj, list):
        keys = sorted({tuple(json.loads(step[2:])) for step in gone if step.startswith("k:")})[:4]  # of one list: one
        items = []
        for each in obj:
            steps = [managed_fields.item_step(each, list(some)) for some in keys] if isinstance(each, dict) else []
            below = next((gone[step] for step in [*steps, managed_fields.item_step(each, None)] if step in gone), None)
            left = each if below is None else _left(each, below)
            items += [] if left is GONE else [left]
        return items
    return obj


GONE = object()


def _left(value: Any, gone: Obj) -> Any:
    """What stays of a value whose own path ends here (`{}` or a dot: nothing), or goes on in the tree."""
    return GONE if not gone or "." in gone else _without(value, gone)
