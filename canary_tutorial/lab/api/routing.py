"""Below /api and /apis: each request to the function for its verb and sub-resource."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from canary_tutorial.lab.api import options, paths
from canary_tutorial.lab.api.connect import logs, portforward, proxy, streams
from canary_tutorial.lab.api.meta import discovery, reviews
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.server import Api
from canary_tutorial.lab.api.verbs import apply, deleting, reading, subresources, watch, writing
from canary_tutorial.lab.api.wire import bodies
from canary_tutorial.lab.errors import MethodNotAllowed, NotFound
from canary_tutorial.lab.kinds import NAMESPACES, PODS, SERVICEACCOUNTS, SERVICES

Verb = Callable[[Api, web.Request, Target], Awaitable[web.StreamResponse]]


async def serve(api: Api, request: web.Request) -> web.StreamResponse:
    steps = request.path.strip("/").split("/")
    if len(steps) <= (2 if steps[0] == "api" else 3):
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed
        return discovery.serve(api, request, steps)
    review = reviews.find(request.raw_path)
    if review:
        return await reviews.serve(api, request, review)
    target = paths.parse(request.raw_path, api.store.kinds)
    return await verb(request, target)(api, request, target)


def verb(request: web.Request, target: Target) -> Verb:
    """What to do; `MethodNotAllowed` or `NotFound` if nothing."""
    if target.subresource:
        return _subresource(request.method, target)
    method = "GET" if request.method == "HEAD" else request.method
    if options.is_watch(request.method, request.query):
        return watch.serve
    found = (OBJECT if target.name else COLLECTION).get(method)
    if found is None:
        raise MethodNotAllowed
    return found


def _subresource(method: str, target: Target) -> Verb:
    name, kind = target.subresource or "", target.kind
    methods: dict[str, Verb] = CONNECTING.get((kind.key, name), {})
    if name == "status" and kind.status:
        methods = {"GET": get, "PUT": writing.update, "PATCH": patch}
    elif name == "scale" and kind.scale:
        scale = subresources.change_scale
        methods = {"GET": subresources.get_scale, "PUT": scale, "PATCH": scale}
    if not methods or not target.name:
        raise NotFound.path()
    found = methods.get(method) or methods.get("*")
    if found is None:
        raise MethodNotAllowed
    return found


async def get(api: Api, request: web.Request, target: Target) -> web.StreamResponse:
    return reading.one(api, request, target)


async def list_(api: Api, request: web.Request, target: Target) -> web.StreamResponse:
    return reading.many(api, request, target)


async def patch(api: Api, request: web.Request, target: Target) -> web.StreamResponse:
    server_side = bodies.media_type(request) in ("application/apply-patch+yaml", "application/apply-patch+json")
    return await (apply.serve if server_side else writing.patch)(api, request, target)


COLLECTION: dict[str, Verb] = {"GET": list_, "POST": writing.create, "DELETE": deleting.collection}
OBJECT: dict[str, Verb] = {"GET": get, "PUT": writing.update, "PATCH": patch, "DELETE": deleting.one}
CONNECTING: dict[tuple[tuple[str, str], str], dict[str, Verb]] = {
    (PODS.key, "log"): {"GET": logs.serve},
    (PODS.key, "exec"): {"GET": streams.serve, "POST": streams.serve},
    (PODS.key, "attach"): {"GET": streams.serve, "POST": streams.serve},
    (PODS.key, "portforward"): {"GET": portforward.serve, "POST": portforward.serve},
    (PODS.key, "proxy"): {"*": proxy.serve},
    (PODS.key, "eviction"): {"POST": subresources.evict},
    (SERVICES.key, "proxy"): {"*": proxy.serve},
    (SERVICEACCOUNTS.key, "token"): {"POST": subresources.token},
    (NAMESPACES.key, "finalize"): {"PUT": subresources.finalize},
}
