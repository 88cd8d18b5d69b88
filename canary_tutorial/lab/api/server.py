"""The API server's front door: who asks, and which room answers.

One handler takes every request. It checks the token (only health is open to all), in whose name the request is made and
whether they may, finds the room for the path and passes the request on; whatever goes wrong on the way leaves as a
Kubernetes `Status`. Between reading a request's body and sending its answer nothing waits, so each write is atomic: the
event loop is the lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from canary_tutorial.lab.api import asks
from canary_tutorial.lab.api.access.authorization import MASTERS, Authorizer
from canary_tutorial.lab.api.pages import Pages
from canary_tutorial.lab.api.wire.bodies import Encoder, failure
from canary_tutorial.lab.contracts import Node, User
from canary_tutorial.lab.errors import ApiError, InternalError, Unauthorized
from canary_tutorial.lab.store import Store

log = logging.getLogger(__name__)

USER = web.RequestKey("user", User)
HEALTH = ("/healthz/", "/livez/", "/readyz/")


def healthy(path: str) -> str:
    """What `kubectl get --raw '/readyz?verbose'` prints: an API that answers has all that it needs."""
    return f"[+]ping ok\n{path.strip('/').partition('/')[0]} check passed\n"


@dataclass
class Api:
    """What every room of the API server needs."""

    store: Store
    node: Node
    authenticate: Callable[[str], User | None]
    version: str
    issue_token: Callable[[str, str], str] | None = None
    rooms: Mapping[str, Room] = field(default_factory=dict)
    encoder: Encoder = field(default_factory=Encoder)
    pages: Pages = field(default_factory=Pages)
    _client: aiohttp.ClientSession | None = None

    def __post_init__(self) -> None:
        self.authorizer = Authorizer(self.store)

    def client(self) -> aiohttp.ClientSession:
        """For what is proxied: no cookies of its own, no environment, bodies untouched."""
        if self._client is None:
            jar, connector = aiohttp.DummyCookieJar(), aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None, connect=10)
            self._client = aiohttp.ClientSession(
                cookie_jar=jar, connector=connector, timeout=timeout, auto_decompress=False, trust_env=False
            )
        return self._client

    async def close(self, app: web.Application) -> None:
        if self._client is not None:
            await self._client.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; raises only when the client is gone."""
        answer = await self._answer(request)
        if "Content-Encoding" in request.headers and not answer.prepared:
            answer.force_close()  # what is left of the body may be unreadable, and so what follows it
        return answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            if f"{request.path}/".startswith(HEALTH):
                return web.Response(text=healthy(request.path) if "verbose" in request.query else "ok")
            user = request[USER] = self._acting(self._user(request), request)
            if MASTERS not in user.groups:
                self.authorizer.check(user, asks.of(request, self.store.kinds))
            return await self._room(request.path)(self, request)
        except ApiError as error:
            return failure(error)
        except (asyncio.CancelledError, ConnectionError, web.HTTPException):
            raise
        except Exception as exc:
            log.exception("%s %s", request.method, request.path)
            return failure(InternalError(f"Internal error occurred: {exc}"))

    def _user(self, request: web.Request) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self.authenticate(token.strip()) if scheme.lower() == "bearer" and token else None
        if user is None:
            raise Unauthorized
        return user

    def _acting(self, user: User, request: web.Request) -> User:
        """In whose name a request is made: another user's, for those who may (`kubectl --as`)."""
        other = asks.impersonated(request.headers)
        if other is None:
            return user
        for ask in other[1]:
            self.authorizer.check(user, ask)
        return other[0]

    def _room(self, path: str) -> Room:
        """The room of the longest known beginning of the path."""
        steps = path.rstrip("/").split("/")
        while len(steps) > 1:
            room = self.rooms.get("/".join(steps))
            if room:
                return room
            steps.pop()
        return self.rooms[""]


Room = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]
