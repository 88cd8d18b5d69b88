"""The lab's API server: Kubernetes' HTTP interface to the store.

Belongs here: what goes over the wire (paths, bodies, patches, tables, watches, streams) and what is checked before an
object is stored (schemas, defaults, rules). Does not belong here: what happens because an object exists; that is for the
controllers and the kubelet, which this package knows only as `lab.contracts.Node`.

A request enters at `door` (token, impersonation, authorization, errors), is read into one `Call`, and goes by `routing` to
a function of `meta` (discovery, OpenAPI, reviews), `verbs` (reads and writes, with `kinds` and `checks`) or `connect`
(logs, exec, port-forward, proxy). `wire` turns bytes into objects and back, `access` has RBAC.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from canary_tutorial.lab.api import door
from canary_tutorial.lab.api.call import Api
from canary_tutorial.lab.api.kinds import definitions
from canary_tutorial.lab.api.wire import bodies
from canary_tutorial.lab.contracts import Accounts, Node, User
from canary_tutorial.lab.store import Store


def own_faults(record: logging.LogRecord) -> bool:
    """Whether a line of the HTTP server's log tells of a fault of the lab: a client's is the client's to know."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | RequestPayloadError | ConnectionError)


def make_app(
    store: Store,
    node: Node,
    authenticate: Callable[[str], User | None],
    version: str = "v1.32.4",
    accounts: Accounts | None = None,
    service_addresses: Callable[[], Iterable[str]] = tuple,
) -> web.Application:
    """The API server as an aiohttp application.

    `authenticate` turns a bearer token into its user (None: 401); `accounts` makes tokens for `kubectl create token`;
    `service_addresses` are those that Services may get.
    """
    definitions.Definitions(store)
    logging.getLogger("aiohttp.server").addFilter(own_faults)
    api = Api(store, node, authenticate, version, accounts, service_addresses)
    app = web.Application(client_max_size=bodies.LIMIT)
    app.on_cleanup.append(api.close)
    app.router.add_route("*", "/{path:.*}", partial(door.handle, api))
    return app
