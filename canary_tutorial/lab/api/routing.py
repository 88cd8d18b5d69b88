"""Maps each call to the function that answers it: by fixed path, or by verb, kind and sub-resource."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.connect import logs, portforward, proxy, streams
from canary_tutorial.lab.api.meta import discovery, openapi, reviews
from canary_tutorial.lab.api.verbs import apply, deleting, reading, subresources, watch, writing
from canary_tutorial.lab.errors import MethodNotAllowed, NotFound
from canary_tutorial.lab.kinds import NAMESPACES, PODS, SERVICEACCOUNTS, SERVICES

Verb = Callable[[Api, Call], Awaitable[web.StreamResponse]]


async def serve(api: Api, call: Call) -> web.StreamResponse:
    verb = find(call)
    if call.verb in WRITES and call.target.subresource in ("", "status"):
        call.view  # noqa: B018 - who takes no form that there is gets nothing done
    answer = await verb(api, call)
    if not answer.prepared:
        writing.warn(answer, discovery.deprecation(api, call.target))
    return answer


def find(call: Call) -> Verb:
    """What to do; `MethodNotAllowed` or `NotFound` if nothing."""
    target = call.target
    if target.path:
        return PAGES.get(target.steps[0] if target.steps else "", discovery.index)
    if reviews.serves(target):
        return reviews.serve
    kind, sub = target.kind, target.subresource
    if not sub:
        verbs = OBJECT if target.name else COLLECTION
    elif sub == "status" and kind.status:
        verbs = STATUS
    elif sub == "scale" and kind.scale:
        verbs = SCALE
    else:
        verbs = SUBRESOURCES.get((kind.key, sub), {})
    if not verbs:
        raise NotFound.path()
    found = verbs.get(call.verb) or verbs.get("*")
    if found is None or (sub and call.request.method == "HEAD" and "*" not in verbs):
        raise MethodNotAllowed
    return found


async def patch(api: Api, call: Call) -> web.StreamResponse:
    return await (apply.serve if call.media_type in apply.MEDIA_TYPES else writing.patch)(api, call)


WRITES = ("create", "update", "patch", "delete", "deletecollection")
PAGES: dict[str, Verb] = {
    "version": discovery.version, "metrics": discovery.metrics, ".well-known": discovery.keys, "openid": discovery.keys,
    "openapi": openapi.serve, "api": discovery.serve, "apis": discovery.serve,
}  # fmt: skip
COLLECTION: dict[str, Verb] = {
    "list": reading.list_, "watch": watch.serve, "create": writing.create, "deletecollection": deleting.collection,
}  # fmt: skip
OBJECT: dict[str, Verb] = {
    "get": reading.get, "watch": watch.serve, "update": writing.update, "patch": patch, "delete": deleting.delete,
}  # fmt: skip
STATUS: dict[str, Verb] = {"get": reading.get, "update": writing.update, "patch": patch}
SCALE: dict[str, Verb] = {
    "get": subresources.get_scale, "update": subresources.change_scale, "patch": subresources.change_scale,
}  # fmt: skip
SUBRESOURCES: dict[tuple[tuple[str, str], str], dict[str, Verb]] = {
    (PODS.key, "log"): {"get": logs.serve},
    (PODS.key, "exec"): {"get": streams.serve, "create": streams.serve},
    (PODS.key, "attach"): {"get": streams.serve, "create": streams.serve},
    (PODS.key, "portforward"): {"get": portforward.serve, "create": portforward.serve},
    (PODS.key, "proxy"): {"*": proxy.serve},
    (PODS.key, "eviction"): {"create": subresources.evict},
    (SERVICES.key, "proxy"): {"*": proxy.serve},
    (SERVICEACCOUNTS.key, "token"): {"create": subresources.token},
    (NAMESPACES.key, "finalize"): {"update": writing.update},
}
