"""create, update and patch: from the body to the stored object.

The order for every write: read the body, drop or refuse unknown fields, check types, set defaults, check the kind's
rules, admit it (the mesh's sidecar), store it. `dryRun=All` does all but the last.
"""

from __future__ import annotations

import random
from typing import Any

from aiohttp import web

from canary_tutorial.lab import schema
from canary_tutorial.lab.api import options
from canary_tutorial.lab.api.access import authorization
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.checks import admission, decoding, rules, schemas, structural
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.verbs import managed_fields, patches, reading
from canary_tutorial.lab.api.wire import bodies, bounds
from canary_tutorial.lab.errors import BadRequest, Cause, Invalid, UnsupportedMediaType
from canary_tutorial.lab.kinds import SERVICES
from canary_tutorial.lab.objects import SAFE, Obj, clone, timestamp, without

OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
STRATEGIC = "application/strategic-merge-patch+json"
MAX_WARNINGS = 4096  # characters
PATCHES = {"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"}


async def create(api: Api, call: Call) -> web.StreamResponse:
    obj, warnings = decoded(api, call, await call.body())
    meta = obj["metadata"]
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:58] + "".join(random.choices(SAFE, k=5))
    return respond(api, call, store_new(api, call, obj), warnings, 201)


def store_new(api: Api, call: Call, obj: Obj, *, noted: bool = False) -> Obj:
    """Complete, check and store a decoded object."""
    target, kind, meta = call.target, call.target.kind, obj["metadata"]
    if kind.namespaced:
        if not target.namespace:
            raise BadRequest("an empty namespace may not be set during creation")
        _same_namespace(target, meta)
        meta["namespace"] = target.namespace
    else:
        meta.pop("namespace", None)
    if kind.status:
        obj.pop("status", None)
    if meta.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    obj = completed(api, target, obj)
    meta = obj["metadata"]
    causes = rules.check(kind, obj) + structural_causes(api, target, obj)
    if causes:
        raise Invalid.of(kind, meta.get("name") or meta.get("generateName", ""), causes)
    obj = admission.admit(api.store, kind, obj)
    if kind is SERVICES:
        obj = admission.addressed(api.store, obj, api.service_addresses())
    if kind in authorization.KINDS:
        authorization.check_escalation(api.authorizer, call.user, kind, obj, name=target.name)
    if not noted:
        obj["metadata"].pop("managedFields", None)
        note(api, call, None, obj)
    return api.store.create(kind, obj, dry_run=call.write_options.dry_run)


async def update(api: Api, call: Call) -> web.StreamResponse:
    obj, warnings = decoded(api, call, await call.body())
    target, meta = call.target, obj["metadata"]
    old = api.get(target)
    if meta.get("name"):
        _same_name(target, meta)
    _same_namespace(target, meta)
    meta |= {"name": target.name} | ({"namespace": target.namespace} if target.namespace else {})
    if target.kind.custom and not meta.get("resourceVersion"):
        cause = Cause.invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise Invalid.of(target.kind, meta["name"], [cause])
    return respond(api, call, store_changed(api, call, old, obj), warnings)


def store_changed(api: Api, call: Call, old: Obj, obj: Obj, *, noted: bool = False) -> Obj:
    """Check and store a decoded object in place of another, or its status only."""
    target, kind = call.target, call.target.kind
    status = target.subresource == "status"
    obj["metadata"].setdefault("managedFields", clone(old["metadata"].get("managedFields", [])))
    if status:
        meta = {name: value for name, value in obj["metadata"].items() if name in ("managedFields", "resourceVersion")}
        obj = {**old, "metadata": old["metadata"] | meta, "status": obj.get("status", {})}
    elif kind.status:
        obj = {**obj, "status": old.get("status", {})} if "status" in old else without(obj, "status")
    if not target.subresource:
        resource_of(kind).carry_over(old, obj)
    obj = completed(api, target, obj)
    causes = [] if status else rules.check(kind, obj) + rules.check_change(kind, old, obj)
    causes += structural_causes(api, target, obj)
    if causes:
        raise Invalid.of(kind, old["metadata"]["name"], causes)
    if kind in authorization.KINDS:
        authorization.check_escalation(api.authorizer, call.user, kind, obj, old)
    if not noted:
        note(api, call, old, obj)
    return api.store.update(kind, obj, "status" if status else None, dry_run=call.write_options.dry_run)


async def patch(api: Api, call: Call) -> web.StreamResponse:
    target, media = call.target, call.media_type
    accepted = PATCHES - ({"application/strategic-merge-patch+json"} if target.kind.custom else set())
    if media not in accepted:
        known = ", ".join([*sorted(accepted), "application/apply-patch+yaml"])
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {known}"
        )
    change = await call.change("error decoding patch: " if media == "application/json-patch+json" else "")
    old = api.get(target)
    shown = resource_of(target.kind).from_stored(old, target.api_version)
    if media == "application/json-patch+json":
        new = patches.json_patch(shown, change)
    elif not isinstance(change, dict):
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {bodies.go_type(change)} into Go value of type map"
        )
    elif media == "application/merge-patch+json":
        new = patches.merge(shown, change)
    else:
        new = patches.strategic(shown, change, schema.builtin(target.api_version, target.kind.kind) or schema.FREE)
    bounds.check(new, 2)  # a patch of no great size can make an object of any
    said = in_go(change) if media == STRATEGIC else ""
    new, warnings = decoded(api, call, clone(new), patched=True, patch=said)
    keep_identity(target, old, new)
    return respond(api, call, store_changed(api, call, old, new), warnings)


def decoded(
    api: Api, call: Call, given: Any, *, patched: bool = False, partial: bool = False, patch: str = ""
) -> tuple[Obj, list[str]]:
    """A value as an object of the target's kind, and the warnings about fields that the kind does not have.

    The object has the right apiVersion, kind and types, and if it is not `partial` all that is required. `patch` is the
    strategic merge patch that it comes from, as a refusal shows it.
    """
    target, kind, mode = call.target, call.target.kind, call.write_options.field_validation
    if not isinstance(given, dict):
        raise BadRequest(f"cannot restore struct from: {bodies.go_type(given)}")
    obj = _of_kind(target, given)
    shape = schemas.schema_of(api.store, kind, target.version, target.group)
    found = decoding.decode(obj, shape, kind, target.version, partial=partial)
    faults = [f'duplicate field "{path}"' for path in getattr(given, "again", ())]
    faults += [f'unknown field "{path}"' for path in found.unknown]
    if faults and mode == options.STRICT:
        strict = f"strict decoding error: {', '.join(faults)}"
        if patched:
            raise BadRequest(strict)
        raise BadRequest(f'{kind.kind} in version "{target.version}" cannot be handled as a {kind.kind}: {strict}')
    if found.refusal and patch:
        cause = Cause("patch", "FieldValueInvalid", f'Invalid value: "{patch[:1000]}": {found.mistyped}')
        raise Invalid("the patch cannot be applied", {"causes": [cause.as_dict()]})
    if found.refusal:
        raise found.refusal
    if found.missing:
        raise Invalid.of(kind, (found.obj.get("metadata") or {}).get("name", ""), _all_causes(api, target, found))
    stored = resource_of(kind).to_stored(found.obj, target.api_version)
    return {"metadata": {}} | stored, faults if mode == options.WARN else []


def _all_causes(api: Api, target: Target, found: decoding.Decoded) -> list[Cause]:
    """What is missing, and what else is wrong, as far as that can be seen without it."""
    causes = list(found.missing)
    try:
        stored = resource_of(target.kind).to_stored(found.obj, target.api_version)
        obj = completed(api, target, {"metadata": {}} | stored)
        return causes + [each for each in rules.check(target.kind, obj) if rules.UNREADABLE not in each.message]
    except (AttributeError, KeyError, TypeError):
        return causes


def completed(api: Api, target: Target, obj: Obj) -> Obj:
    """An object with its defaults, as it is to be stored: Go leaves out what is empty."""
    obj = admission.defaulted(api.store, target.kind, target.version, obj)
    if target.kind.custom:
        return obj
    whole: Obj = decoding.without_empty(obj, schemas.stored_schema(api.store, target.kind, target.version))
    return whole


def in_go(value: Any) -> str:
    """A value as Go prints it with `%v`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{in_go(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(in_go, value)) + "]"
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def structural_causes(api: Api, target: Target, obj: Obj) -> list[Cause]:
    if not target.kind.custom:
        return []
    return structural.check(obj, schemas.schema_of(api.store, target.kind, target.version))


def _of_kind(target: Target, given: Obj) -> Obj:
    """The object with its apiVersion and kind, which may be left out; `BadRequest` if they are not the target's."""
    kind = target.kind
    if kind.custom and not given.get("kind"):
        raise BadRequest("Object 'Kind' is missing in the body")
    obj = {"apiVersion": target.api_version, "kind": kind.kind} | given
    api_version, name = obj["apiVersion"], obj["kind"]
    if api_version != target.api_version:
        raise BadRequest(f"the API version in the data ({api_version}) does not match the expected API version "
                         f"({target.api_version})")  # fmt: skip
    if name != kind.kind:
        version = target.version
        raise BadRequest(f'{name} in version "{version}" cannot be handled as a {kind.kind}: it is of another kind')
    return obj


def _same_namespace(target: Target, meta: Obj) -> None:
    if target.namespace and meta.get("namespace") not in (None, "", target.namespace):
        raise BadRequest(OTHER_NAMESPACE)


def keep_identity(target: Target, old: Obj, new: Obj) -> None:
    """Name and namespace are the URL's, the uid is the object's."""
    meta, known = new["metadata"], old["metadata"]
    _same_name(target, meta)
    if meta.get("namespace", "") != known.get("namespace", ""):
        raise BadRequest(OTHER_NAMESPACE)
    if meta.get("uid") not in (None, "", known["uid"]):
        cause = Cause.invalid("metadata.uid", meta["uid"], "field is immutable")
        raise Invalid.of(target.kind, known["name"], [cause])


def _same_name(target: Target, meta: Obj) -> None:
    name = meta.get("name", "")
    if name != target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({target.name})")


def note(api: Api, call: Call, old: Obj | None, obj: Obj) -> None:
    """Enter the field manager of this change in the object's managedFields."""
    target, now = call.target, timestamp(api.store.now())
    shape = schemas.stored_schema(api.store, target.kind, target.version)
    managed_fields.record(old, obj, shape, call.manager, target.api_version, target.subresource, now)


def respond(api: Api, call: Call, obj: Obj, warnings: list[str], status: int = 200) -> web.Response:
    response = reading.show(api, call, obj, status)
    warn(response, [*warnings, *(resource_of(call.target.kind).warnings(obj) if status == 201 else ())])
    return response


def warn(response: web.StreamResponse, warnings: list[str]) -> None:
    """Say something with an answer that is not an error; kubectl prints it."""
    for warning in _shortened(warnings):
        printable = "".join(each if each.isprintable() else " " for each in warning)  # it goes into a header
        quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def _shortened(warnings: list[str]) -> list[str]:
    """Warnings are headers: each is cut as soon as all together would be too long for that."""
    if sum(map(len, warnings)) <= MAX_WARNINGS:
        return warnings
    return [warning[:256] for warning in warnings[: MAX_WARNINGS // 256]]
