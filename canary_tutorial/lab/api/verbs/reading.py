"""get and list: one object, or a list with selectors and pages, in the form that the client accepts."""

from __future__ import annotations

from aiohttp import web

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api import options
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.checks import schemas
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.pages import Rest
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.verbs import tables
from canary_tutorial.lab.api.wire import negotiation
from canary_tutorial.lab.api.wire.bodies import encode
from canary_tutorial.lab.errors import BadRequest, Gone, Timeout
from canary_tutorial.lab.objects import Obj


async def get(api: Api, call: Call) -> web.StreamResponse:
    obj = api.get(call.target)
    check_version(api, options.version(call.request.query))
    return show(api, call, obj)


def show(api: Api, call: Call, obj: Obj, status: int = 200) -> web.Response:
    """An object as the answer to any verb."""
    view = call.view
    if view.form == "table":
        return call.answer(tables.table(api.store, call.target, [obj], view.include), status)
    if view.form == "metadata":
        return call.answer(negotiation.metadata_only(obj), status)
    return call.answer(plain(api, call.target, obj), status)


def plain(api: Api, target: Target, obj: Obj) -> bytes:
    """An object's JSON in the version of the URL."""
    resource = resource_of(target.kind)
    return api.encoder(obj, resource.written) if target.stored_form else encode(resource.shown(obj, target.api_version))


async def list_(api: Api, call: Call) -> web.StreamResponse:
    view, target = call.view, call.target
    objects, meta = page(api, call)
    if view.form == "table":
        return call.answer(tables.table(api.store, target, objects, view.include) | {"metadata": meta})
    if view.form == "metadata":
        listed = [negotiation.metadata_only(obj) for obj in objects]
        whole = {"kind": "PartialObjectMetadataList", "apiVersion": negotiation.META, "metadata": meta, "items": listed}
        return call.answer(whole)
    kind = target.kind.list_kind or f"{target.kind.kind}List"
    head = {"kind": kind, "apiVersion": target.api_version, "metadata": meta}
    items = b",".join([_item(api, target, obj) for obj in objects])
    return call.answer(encode(head)[:-1] + b',"items":[' + items + b"]}")


def _item(api: Api, target: Target, obj: Obj) -> bytes:
    """An object in a list, where those of built-in kinds do not repeat what the list says of their kind."""
    text = plain(api, target, obj)
    named = b'{"kind":"%b","apiVersion":"%b",' % (target.kind.kind.encode(), target.api_version.encode())
    return b"{" + text[len(named) :] if not target.kind.custom and text.startswith(named) else text


def page(api: Api, call: Call) -> tuple[list[Obj], Obj]:
    """The objects of this page and the list's metadata.

    With `limit`, the rest is kept as it is now under a `continue` token, so that all pages show one moment. Objects are
    never changed in place, which makes such a snapshot a mere list.
    """
    target, given = call.target, call.list_options
    key = (call.user, target.kind, target.api_version, target.namespace, given.label_selector, given.field_selector)
    if given.token:
        found = api.pages.find(given.token, key)
        version, start, objects = found.version, found.start, found.objects
    else:
        check_version(api, given.resource_version, given.match)
        version, start, objects = str(api.store.version), 0, chosen(api, call)
    meta: Obj = {"resourceVersion": version}
    rest = len(objects) - start - given.limit
    if given.limit <= 0 or rest <= 0:
        return objects[start:], meta
    meta["continue"] = api.pages.keep(Rest(key, version, objects, start + given.limit))
    if not given.label_selector and not given.field_selector:
        meta["remainingItemCount"] = rest
    return objects[start : start + given.limit], meta


def chosen(api: Api, call: Call) -> list[Obj]:
    test = selection(api, call)
    objects = api.store.list(call.target.kind, call.target.namespace)
    return objects if test is selectors.everything else [obj for obj in objects if test(obj)]


def selection(api: Api, call: Call) -> selectors.Test:
    """The label and field selectors of a list or watch as one test."""
    target, by_label, by_field = call.target, call.list_options.label_selector, call.list_options.field_selector
    labels = selectors.labels(by_label)
    fields = selectors.fields(by_field, lambda path: _stored_path(api, target, path))
    if target.name:
        name = target.name
        return lambda obj: obj["metadata"]["name"] == name and labels(obj) and fields(obj)
    if labels is selectors.everything:
        return fields
    return labels if fields is selectors.everything else lambda obj: labels(obj) and fields(obj)


def _stored_path(api: Api, target: Target, path: str) -> str:
    """Where a stored object has what a field selector names; `BadRequest` if it cannot be selected by that."""
    resource, known = resource_of(target.kind), ["metadata.name", "metadata.namespace"]
    if target.kind.custom:
        listed = schemas.version_of(api.store, target.kind, target.version).get("selectableFields") or []
        known += [each["jsonPath"].removeprefix(".") for each in listed]
    stored = resource.stored_path(path, target.api_version)
    if stored in known or stored in resource.selectable:
        return stored
    if resource.selectable:
        raise BadRequest(resource.unselectable.format(path))
    raise BadRequest(f'"{path}" is not a known field selector: only ' + ", ".join(f'"{each}"' for each in known))


def check_version(api: Api, wanted: int, match: str = "") -> None:
    """Refuse a resourceVersion that this server has not reached, or that is wanted exactly and gone."""
    if wanted > api.store.version:  # e.g. of a lab that was restarted
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        said = f"Too large resource version: {wanted}, current: {api.store.version}"
        raise Timeout(said, {"causes": causes, "retryAfterSeconds": 1})
    if match == options.EXACT and wanted and wanted != api.store.version:
        raise Gone(f"The resourceVersion for the provided list is too old: {wanted}")
