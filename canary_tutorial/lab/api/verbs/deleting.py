"""Deletes one object, or all that a selector matches, with the options that clients send in the body or the query."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.options import delete_options
from canary_tutorial.lab.api.verbs import reading
from canary_tutorial.lab.errors import Conflict, Forbidden, MethodNotAllowed, NotFound
from canary_tutorial.lab.kinds import NAMESPACES, PODS
from canary_tutorial.lab.objects import Obj

AT_ONCE = 50
IMMORTAL = ("default", "kube-system", "kube-public")


async def delete(api: Api, call: Call) -> web.StreamResponse:
    how = delete_options(await call.body_or_nothing(), call.request.query)
    kind, name, namespace = call.target.kind, call.target.name, call.target.namespace
    if kind is NAMESPACES and name in IMMORTAL:
        raise Forbidden.to(kind, name, "this namespace may not be deleted")
    uid = api.get(call.target)["metadata"]["uid"]
    last = api.store.delete(kind, name, namespace, **how)
    if how["dry_run"] or api.find(call.target) is not None or kind is PODS:
        return reading.show(api, call, last)
    details = {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural, "uid": uid}
    return call.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


async def collection(api: Api, call: Call) -> web.StreamResponse:
    kind = call.target.kind
    if kind is NAMESPACES:
        raise MethodNotAllowed
    how = delete_options(await call.body_or_nothing(), call.request.query)
    objects, meta = reading.page(api, call)
    deleted: list[Obj] = []
    for obj in objects:
        one = obj["metadata"]
        with contextlib.suppress(NotFound, Conflict):  # gone with one before it, or another of the same name since
            how_this = how | {"uid": how["uid"] or one["uid"]}
            deleted.append(api.store.delete(kind, one["name"], one.get("namespace"), **how_this))
        if len(deleted) % AT_ONCE == 0:
            await asyncio.sleep(0)  # others get their turn
    name, version, resource = kind.list_kind or f"{kind.kind}List", call.target.api_version, resource_of(kind)
    items = [resource.shown(obj, version) for obj in deleted]
    return call.answer({"kind": name, "apiVersion": version, "metadata": meta, "items": items})
