"""Reading: one object, or a list of them with selectors, pages and the view that the client asked for."""

from __future__ import annotations

import yaml
from aiohttp import web

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api import options, pages
from canary_tutorial.lab.api.kinds import conversion
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.server import USER, Api
from canary_tutorial.lab.api.verbs import tables
from canary_tutorial.lab.api.wire import negotiation, zeros
from canary_tutorial.lab.api.wire.bodies import answer, encode
from canary_tutorial.lab.errors import BadRequest, Gone, Timeout
from canary_tutorial.lab.kinds import EVENTS, NODES, PODS, SECRETS
from canary_tutorial.lab.objects import Obj

PRETTY = 32 * 1024  # bytes of JSON up to which YAML is written in lines
FIELDS = {
    PODS.key: {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
               "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"},
    NODES.key: {"spec.unschedulable"},
    SECRETS.key: {"type"},
    EVENTS.key: {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
                 "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
                 "reason", "reportingComponent", "source", "type"},
    ("", "namespaces"): {"status.phase"},
    ("apps", "replicasets"): {"status.replicas"},
}  # fmt: skip


def one(api: Api, request: web.Request, target: Target) -> web.Response:
    obj = api.store.get(target.kind, target.name or "", target.namespace)
    check_version(api, request.query.get("resourceVersion", ""))
    return show(api, request, target, obj)


def show(api: Api, request: web.Request, target: Target, obj: Obj, status: int = 200) -> web.Response:
    """An object as the answer to any verb."""
    view = negotiation.wanted(request.headers.get("Accept", ""))
    if view.form == "plain" and not view.yaml:
        return answer(request, plain(api, target, obj), status)
    if view.form == "table":
        table = tables.table(api.store, target, [obj], request.query.get("includeObject", "Metadata"))
        return answer(request, encode(table), status)
    return written(
        request, negotiation.metadata_only(obj) if view.form == "metadata" else zeros.shown(obj), view, status
    )


def written(request: web.Request, value: Obj, view: negotiation.View, status: int = 200) -> web.Response:
    encoded = encode(value)
    if not view.yaml:
        return answer(request, encoded, status)
    if len(encoded) < PRETTY:  # JSON is YAML, too, and made in a hundredth of the time
        encoded = yaml.dump(value, sort_keys=False, Dumper=yaml.CSafeDumper).encode()
    return answer(request, encoded, status, "application/yaml")


def plain(api: Api, target: Target, obj: Obj) -> bytes:
    """An object's JSON in the version of the URL."""
    if target.stored_form:
        return api.encoder(obj)
    return encode(zeros.shown(conversion.from_stored(target.api_version, target.kind.kind, obj)))


def many(api: Api, request: web.Request, target: Target) -> web.Response:
    view = negotiation.wanted(request.headers.get("Accept", ""))
    objects, meta = page(api, request, target)
    if view.form == "table":
        table = tables.table(api.store, target, objects, request.query.get("includeObject", "Metadata"))
        return answer(request, encode(table | {"metadata": meta}))
    if view.form == "metadata":
        listed = [negotiation.metadata_only(obj) for obj in objects]
        whole = {"kind": "PartialObjectMetadataList", "apiVersion": negotiation.META, "metadata": meta, "items": listed}
        return written(request, whole, view)
    head = {
        "kind": target.kind.list_kind or f"{target.kind.kind}List",
        "apiVersion": target.api_version,
        "metadata": meta,
    }
    if view.yaml:
        return written(request, {**head, "items": [zeros.shown(obj) for obj in objects]}, view)
    items = b",".join([plain(api, target, obj) for obj in objects])
    return answer(request, encode(head)[:-1] + b',"items":[' + items + b"]}")


def page(api: Api, request: web.Request, target: Target) -> tuple[list[Obj], Obj]:
    """The objects of this page and the list's metadata.

    With `limit`, the rest is kept as it is now under a token, so that all pages show one moment. Objects are never
    changed in place, which makes such a snapshot a mere list.
    """
    query = request.query
    options.check_list(query)
    limit = number(query.get("limit", ""), "limit")
    token = query.get("continue", "")
    key = (request[USER], target.kind, target.api_version, target.namespace,
           query.get("labelSelector", ""), query.get("fieldSelector", ""))  # fmt: skip
    if token:
        found = api.pages.find(token, key)
        version, start, objects = found.version, found.start, found.objects
    else:
        check_version(api, query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""))
        version, start, objects = str(api.store.version), 0, chosen(api, request, target)
    meta: Obj = {"resourceVersion": version}
    rest = len(objects) - start - limit
    if limit <= 0 or rest <= 0:
        return objects[start:], meta
    meta["continue"] = api.pages.keep(pages.Rest(key, version, objects, start + limit))
    if not query.get("labelSelector") and not query.get("fieldSelector"):
        meta["remainingItemCount"] = rest
    return objects[start : start + limit], meta


def chosen(api: Api, request: web.Request, target: Target) -> list[Obj]:
    test = selection(request, target)
    objects = api.store.list(target.kind, target.namespace)
    return objects if test is selectors.everything else [obj for obj in objects if test(obj)]


def selection(request: web.Request, target: Target) -> selectors.Test:
    """The label and field selectors of a list or watch as one test."""
    by_label, by_field = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    labels = selectors.labels(by_label)
    try:
        fields = selectors.fields(by_field, lambda path: _stored_path(target, path))
    except BadRequest as error:
        resource = f"{target.group}/{target.version}, Resource={target.kind.plural}"
        raise BadRequest(f'Unable to find "{resource}" that match label selector "{by_label}", field selector '
                         f'"{by_field}": {error.message}') from None  # fmt: skip
    if target.name:
        name = target.name
        return lambda obj: obj["metadata"]["name"] == name and labels(obj) and fields(obj)
    if labels is selectors.everything:
        return fields
    return labels if fields is selectors.everything else lambda obj: labels(obj) and fields(obj)


def _stored_path(target: Target, path: str) -> str | None:
    """Where a stored object has what a field selector names; None if it cannot be selected by that."""
    stored = conversion.path_to_stored(target.api_version, target.kind.kind, path)
    known = stored in ("metadata.name", "metadata.namespace") or stored in FIELDS.get(target.kind.key, ())
    return stored if known else None


def check_version(api: Api, version: str, match: str = "") -> None:
    """Refuse a resourceVersion that is no number, or that this server has not reached."""
    wanted = number(version, "resourceVersion")
    if wanted > api.store.version:
        raise TooNew(f"Too large resource version: {wanted}, current: {api.store.version}",
                     {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                      "retryAfterSeconds": 1})  # fmt: skip
    if match == options.EXACT and wanted and wanted != api.store.version:
        raise Gone(f"The resourceVersion for the provided list is too old: {wanted}")


class TooNew(Timeout):
    """A version from the future, e.g. of a lab that was restarted."""


def number(text: str, what: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest(f'invalid {what}: strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)
