"""Deleting one object, or all that a selector means, with the options that clients send in the body or the query."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.server import Api
from canary_tutorial.lab.api.verbs import reading, writing
from canary_tutorial.lab.api.wire import bodies, zeros
from canary_tutorial.lab.api.wire.bodies import answer, encode
from canary_tutorial.lab.errors import BadRequest, Cause, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound
from canary_tutorial.lab.kinds import NAMESPACES
from canary_tutorial.lab.objects import Obj

POLICIES = ("Orphan", "Background", "Foreground")
AT_ONCE = 50
IMMORTAL = ("default", "kube-system", "kube-public")


async def one(api: Api, request: web.Request, target: Target) -> web.StreamResponse:
    how = await options(request)
    name = target.name or ""
    if target.kind is NAMESPACES and name in IMMORTAL:
        raise Forbidden.to(target.kind, name, "this namespace may not be deleted")
    uid = api.store.get(target.kind, name, target.namespace)["metadata"]["uid"]
    last = api.store.delete(target.kind, name, target.namespace, **how)
    if (
        how["dry_run"]
        or api.store.find(target.kind, name, target.namespace) is not None
        or target.kind.key == ("", "pods")
    ):
        return reading.show(api, request, target, last)
    details: Obj = {"name": name, **({"group": target.kind.group} if target.kind.group else {})}
    details |= {"kind": target.kind.plural, "uid": uid}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return answer(request, encode(status))


async def collection(api: Api, request: web.Request, target: Target) -> web.StreamResponse:
    if target.kind is NAMESPACES:
        raise MethodNotAllowed
    how = await options(request)
    objects, meta = reading.page(api, request, target)
    deleted: list[Obj] = []
    for obj in objects:
        meta = obj["metadata"]
        with contextlib.suppress(NotFound, Conflict):  # gone with one before it, or another of the same name since
            only = how | {"uid": how["uid"] or meta["uid"]}
            deleted.append(api.store.delete(target.kind, meta["name"], meta.get("namespace"), **only))
        if len(deleted) % AT_ONCE == 0:
            await asyncio.sleep(0)  # others get their turn
    kind = target.kind.list_kind or f"{target.kind.kind}List"
    whole = {
        "kind": kind,
        "apiVersion": target.api_version,
        "metadata": meta,
        "items": [zeros.shown(obj) for obj in deleted],
    }
    return answer(request, encode(whole))


async def options(request: web.Request) -> Obj:
    """The DeleteOptions of a request as the store's `delete` takes them."""
    body = await bodies.read(request)
    return understood(bodies.parse_object(body, bodies.media_type(request)) if body.strip() else {}, request)


def understood(given: Obj, request: web.Request) -> Obj:
    """DeleteOptions from a body, and from the query, as the store's `delete` takes them."""
    query = request.query
    grace = given.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    policy = given.get("propagationPolicy", query.get("propagationPolicy"))
    orphan = given.get("orphanDependents")
    if policy is None:
        policy = "Orphan" if orphan is True or query.get("orphanDependents") == "true" else "Background"
    if policy not in POLICIES:
        cause = Cause.unsupported("propagationPolicy", policy, [*POLICIES, "nil"])
        raise Invalid.asked("DeleteOptions.meta.k8s.io", cause)
    preconditions = given.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise BadRequest("preconditions of DeleteOptions must be an object")
    dry = bool(given.get("dryRun")) or writing.is_dry(request)
    return {
        "propagation": policy,
        "grace": _seconds(grace),
        "uid": preconditions.get("uid"),
        "resource_version": preconditions.get("resourceVersion"),
        "dry_run": dry,
    }


def _seconds(grace: Any) -> int | None:
    if grace in (None, ""):
        return None
    try:
        seconds = int(grace)
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"gracePeriodSeconds must be a number of seconds, not {str(grace)[:40]!r}") from None
    return min(max(seconds, 0), 2**31)
