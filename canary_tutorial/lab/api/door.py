"""Handles each HTTP request: authentication, impersonation, authorization, and the answer to an error.

Every error is answered with a Kubernetes `Status`. Between reading a request's body and sending its answer no
other task runs, so each write is atomic: the event loop is the lock.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from canary_tutorial.lab.api import paths, routing
from canary_tutorial.lab.api.access.authorization import MASTERS
from canary_tutorial.lab.api.access.impersonation import impersonated
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.wire.bodies import failure
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import ApiError, InternalError, Unauthorized

log = logging.getLogger(__name__)

HEALTH = ("healthz", "livez", "readyz")


async def handle(api: Api, request: web.Request) -> web.StreamResponse:
    """Answer one request; raises only when the client is gone."""
    answer = await _answer(api, request)
    if "Content-Encoding" in request.headers and not answer.prepared:
        answer.force_close()  # what is left of the body may be unreadable, and so what follows it
    return answer


async def _answer(api: Api, request: web.Request) -> web.StreamResponse:
    try:
        target = paths.parse(request.rel_url.raw_path, api.store.kinds)
        if target.steps[:1] and target.steps[0] in HEALTH:  # open to all
            return web.Response(text=healthy(target.steps[0]) if "verbose" in request.query else "ok")
        user = _impersonating(api, _authenticated(api, request), request)
        call = Call.read(user, target, request)
        if MASTERS not in user.groups:
            api.authorizer.check(user, call.attributes)
        return await routing.serve(api, call)
    except ApiError as error:
        return failure(error)
    except (asyncio.CancelledError, ConnectionError, web.HTTPException):
        raise
    except Exception as exc:
        log.exception("%s %s", request.method, request.path)
        return failure(InternalError(f"Internal error occurred: {exc}"))


def healthy(check: str) -> str:
    """What `kubectl get --raw '/readyz?verbose'` prints: an API that answers has all that it needs."""
    return f"[+]ping ok\n{check} check passed\n"


def _authenticated(api: Api, request: web.Request) -> User:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = api.authenticate(token.strip()) if scheme.lower() == "bearer" and token else None
    if user is None:
        raise Unauthorized
    return user


def _impersonating(api: Api, user: User, request: web.Request) -> User:
    """The user in whose name the request is made."""
    other = impersonated(request.headers)
    if other is None:
        return user
    for attributes in other[1]:
        api.authorizer.check(user, attributes)
    return other[0]
