"""watch: the changes of a kind from a version on, one JSON line per event, for as long as the client reads.

A watch begins with what the client missed (`resourceVersion`), with all objects (none, or 0), or, with
`sendInitialEvents`, with all objects and a bookmark after them. It ends after `timeoutSeconds`, when the client
disconnects, or, with an ERROR event of code 410, when it requests history that is no longer kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque

from aiohttp import web

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.verbs import reading, tables
from canary_tutorial.lab.api.wire import negotiation
from canary_tutorial.lab.api.wire.bodies import encode
from canary_tutorial.lab.errors import Gone
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Event

BOOKMARK_SECONDS = 60.0  # a real server's interval
CHECK_SECONDS = 5.0  # between two checks that the client is still there
BACKLOG = 20_000  # events that a client may lag behind before it is sent away to list again


class Watch:
    """One client's watch: chooses the events that concern it and turns them into lines."""

    def __init__(self, api: Api, call: Call) -> None:
        self.api, self.call, self.target = api, call, call.target
        self.options, self.view = call.list_options, call.view
        self.test = reading.selection(api, call)
        self.lines: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.headed = False  # the first table carries the column definitions, later ones do not

    def take(self, event: Event) -> None:
        """Called by the store on each write; an object that leaves the selection is a DELETED one."""
        if self.target.namespace and event.object["metadata"].get("namespace") != self.target.namespace:
            return
        type_, now = event.type, event.object
        if self.test is not selectors.everything:
            is_in = self.test(now)
            was_in = event.previous is not None and self.test(event.previous)
            if event.type == "DELETED":
                is_in = was_in = was_in or is_in
            if not is_in and not was_in:
                return
            if event.type == "MODIFIED" and is_in != was_in:
                type_ = "ADDED" if is_in else "DELETED"
        self.put(type_, now)

    def put(self, type_: str, obj: Obj) -> None:
        if len(self.lines) < BACKLOG:
            self.lines.append(self._line(type_, obj))
        self.wake.set()

    def _line(self, type_: str, obj: Obj) -> bytes:
        if self.view.form == "table" and type_ != "ERROR":
            table = tables.table(self.api.store, self.target, [] if type_ == "BOOKMARK" else [obj], self.view.include)
            table["metadata"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            if self.headed:
                table["columnDefinitions"] = None
            self.headed = True
            body = encode(table)
        elif self.view.form == "metadata" and type_ != "ERROR":
            body = encode(negotiation.metadata_only(obj))
        elif type_ in ("ERROR", "BOOKMARK"):
            body = encode(obj)
        else:
            body = reading.plain(self.api, self.target, obj)
        return b'{"type":"' + type_.encode() + b'","object":' + body + b"}\n"

    def bookmark(self, annotations: dict[str, str] | None = None) -> None:
        meta: Obj = {"resourceVersion": str(self.api.store.version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        self.put("BOOKMARK", {"kind": self.target.kind.kind, "apiVersion": self.target.api_version, "metadata": meta})

    def begin(self) -> None:
        """Put what the client is to see first."""
        version, send_all = self.options.resource_version, self.options.initial_events
        if not version or send_all:
            for obj in reading.chosen(self.api, self.call):
                self.put("ADDED", obj)
            if send_all and self.options.bookmarks:
                self.bookmark({"k8s.io/initial-events-end": "true"})
            return
        reading.check_version(self.api, version)
        for event in self.api.store.since(self.target.kind, version):
            self.take(event)


async def serve(api: Api, call: Call) -> web.StreamResponse:
    watch = Watch(api, call)
    over = False
    try:
        watch.begin()
    except Gone as error:  # a real server answers 200 and says it in the stream
        watch.put("ERROR", error.status_object())
        over = True
    unsubscribe = api.store.subscribe(watch.take, call.target.kind)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    try:
        await response.prepare(call.request)
        await _stream(watch, response, over)
    except (ConnectionError, asyncio.CancelledError):
        pass
    finally:
        unsubscribe()
    return response


async def _stream(watch: Watch, response: web.StreamResponse, over: bool) -> None:
    loop, request = asyncio.get_running_loop(), watch.call.request
    seconds = watch.options.seconds or random.randint(1800, 3600)  # all clients at once would come back at once
    end, last = loop.time() + seconds, loop.time()
    while True:
        while watch.lines:
            batch = b"".join(watch.lines)
            behind = len(watch.lines) >= BACKLOG
            watch.lines.clear()
            await response.write(batch)
            over = over or behind
        watch.wake.clear()
        left = end - loop.time()
        if over or left <= 0:
            break
        try:
            await asyncio.wait_for(watch.wake.wait(), min(left, CHECK_SECONDS))
            last = loop.time()
        except TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return
            if watch.options.bookmarks and left > BOOKMARK_SECONDS <= loop.time() - last:
                watch.bookmark()
    with contextlib.suppress(ConnectionError):
        await response.write_eof()
