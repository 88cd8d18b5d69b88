"""What every verb receives: the parts of the server (`Api`), and one request (`Call`).

A request is parsed once. What only some verbs need of it (options, negotiated form, body) is read on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import aiohttp
from aiohttp import web

from canary_tutorial.lab.api import options
from canary_tutorial.lab.api.access.authorization import Attributes, Authorizer
from canary_tutorial.lab.api.options import ListOptions, WriteOptions
from canary_tutorial.lab.api.pages import Pages
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.wire import bodies, negotiation
from canary_tutorial.lab.api.wire.bodies import Encoder
from canary_tutorial.lab.contracts import Accounts, Node, User
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Store

VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
OF_COLLECTION = {"get": "list", "delete": "deletecollection"}


@dataclass
class Api:
    """`authenticate` turns a bearer token into its user, `accounts` makes the tokens of ServiceAccounts."""

    store: Store
    node: Node
    authenticate: Callable[[str], User | None]
    version: str
    accounts: Accounts | None = None
    service_addresses: Callable[[], Iterable[str]] = tuple
    encoder: Encoder = field(default_factory=Encoder)
    pages: Pages = field(default_factory=Pages)
    _client: aiohttp.ClientSession | None = None

    def __post_init__(self) -> None:
        self.authorizer = Authorizer(self.store)

    def find(self, target: Target) -> Obj | None:
        return self.store.find(target.kind, target.name, target.namespace)

    def get(self, target: Target) -> Obj:
        """The stored object that a URL names, or `NotFound`."""
        return self.store.get(target.kind, target.name, target.namespace)

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


@dataclass(frozen=True)
class Call:
    """One request: who asks (`user`), for what (`target`), to do what (`verb`), and how."""

    user: User
    target: Target
    verb: str
    request: web.Request

    @classmethod
    def read(cls, user: User, target: Target, request: web.Request) -> Call:
        verb = VERBS.get(request.method, request.method.lower())
        if not target.path and not target.subresource:
            if request.method == "GET" and "watch" in request.query and options.flag(request.query, "watch"):
                verb = "watch"  # HEAD never is one: its answer would not end
            elif not target.name:
                verb = OF_COLLECTION.get(verb, verb)
        return cls(user, target, verb, request)

    @property
    def attributes(self) -> Attributes:
        """What the authorizer must know."""
        target = self.target
        if target.path:
            return Attributes(self.verb, path=target.path)
        resource = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
        # So that a role of a namespace can allow to see the namespace itself.
        namespace = target.name if (target.group, target.resource) == ("", "namespaces") else target.namespace
        return Attributes(self.verb, target.group, resource, namespace, target.name or self._only_name())

    def _only_name(self) -> str:
        """The one name that a list or watch is confined to by its field selector."""
        selector = self.request.query.get("fieldSelector", "")
        path, _, name = selector.replace("==", "=").partition("=")
        return name if path == "metadata.name" and "," not in name and "=" not in name else ""

    @cached_property
    def list_options(self) -> ListOptions:
        return ListOptions.read(self.request.query, watch=self.verb == "watch")

    @cached_property
    def write_options(self) -> WriteOptions:
        return WriteOptions.read(self.request.query)

    @property
    def manager(self) -> str:
        """Who writes: the name given, or the first word of the User-Agent, as a real server has it."""
        agent = self.request.headers.get("User-Agent", "unknown")
        return self.write_options.field_manager or agent.split("/")[0][:128]

    @property
    def view(self) -> negotiation.View:
        """The form in which the client wants objects; `NotAcceptable` if this server has none of those."""
        include = self.request.query.get("includeObject", "Metadata")
        return negotiation.wanted(self.request.headers.get("Accept", ""), include)

    @property
    def media_type(self) -> str:
        return self.request.headers.get("Content-Type", "").split(";")[0].strip().lower()

    async def body(self) -> Obj:
        """The body as one object; an absent Content-Type means JSON."""
        return bodies.parse_object(await bodies.read(self.request), self.media_type)

    async def body_or_nothing(self) -> Obj:
        return await self.body() if (await bodies.read(self.request)).strip() else {}

    async def change(self, prefix: str = bodies.NO_OBJECT) -> Any:
        """The body of a patch, which may be any value; `prefix` begins what is said of one that cannot be read."""
        return bodies.parse(await bodies.read(self.request), self.media_type, prefix)

    def answer(self, value: Any, status: int = 200) -> web.Response:
        """A response with a value, or with bytes as they are; large ones are compressed for clients that take gzip."""
        body = value if isinstance(value, bytes) else bodies.encode(value)
        response = web.Response(body=body, status=status, content_type="application/json")
        if len(body) > bodies.COMPRESS_FROM and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response
