"""What a controller asks beside the API: Prometheus, webhooks, chat rooms. Each scenario scripts its own answers.

One HTTP server for all: `/prometheus/api/v1/query` (also below `/NAMESPACE/`), `/NAMESPACE/hooks/NAME` and
`/NAMESPACE/alerts/NAME`. It keeps what was asked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

Obj = dict[str, Any]
Measure = Callable[[str], Awaitable[list[str]]]  # PromQL -> the values of its series


@dataclass
class Answer:
    """An HTTP answer after `delay` seconds."""

    status: int = 200
    text: str = ""
    delay: float = 0.0


@dataclass
class Script:
    """The answers for one namespace, and what came. A metric is a number, None (no value) or an Answer."""

    success_rate: float | Answer | None = 100.0
    duration: float | Answer | None = 20.0  # milliseconds
    custom: dict[str, float | Answer | None] = field(default_factory=dict)  # by a word of the query
    hooks: dict[str, Answer] = field(default_factory=dict)  # by name; one that is not there says yes
    measure: Measure | None = None  # who answers instead, where requests are real
    measured: list[Obj] = field(default_factory=list)  # what that said
    queries: list[str] = field(default_factory=list)
    calls: list[Obj] = field(default_factory=list)
    alerts: list[Obj] = field(default_factory=list)

    def metric(self, query: str) -> float | Answer | None:
        for word, value in self.custom.items():
            if word in query:
                return value
        if "vector(1)" in query:
            return 1.0
        return self.duration if "duration" in query else self.success_rate


class Answers:
    """All scripts, served on a loopback port."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{where:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def of(self, namespace: str) -> Script:
        return self.scripts.setdefault(namespace, Script())

    async def _serve(self, request: web.Request) -> web.Response:
        parts = request.path.strip("/").split("/")
        if parts[-3:] == ["api", "v1", "query"]:
            return await self._query(parts[0], request.query.get("query", ""))
        if len(parts) >= 3 and parts[1] in ("hooks", "alerts"):
            return await self._told(*parts[:3], await request.text())
        return web.Response(status=404)

    async def _query(self, first: str, query: str) -> web.Response:
        named = re.search(r'namespace="([^"]+)"', query)
        namespace = named[1] if named else first
        script = self.of(namespace)
        text = packed(query)
        if text not in script.queries:
            script.queries.append(text)
        if script.measure:
            values = await script.measure(query)
            script.measured.append({"query": text, "values": values})
        else:
            value = script.metric(query)
            if isinstance(value, Answer):
                return await said(value)
            values = [] if value is None else [str(value)]
        series = [{"metric": {}, "value": [0, each]} for each in values]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": series}})

    async def _told(self, namespace: str, what: str, name: str, text: str) -> web.Response:
        script = self.of(namespace)
        (script.calls if what == "hooks" else script.alerts).append({"to": name, "body": json.loads(text)})
        return await said(script.hooks.get(name, Answer()))


def packed(query: str) -> str:
    """A query without blanks, which mean nothing in PromQL."""
    return "".join(query.split())


async def said(answer: Answer) -> web.Response:
    await asyncio.sleep(answer.delay)
    return web.Response(status=answer.status, text=answer.text)


def again(measured: Iterable[Obj]) -> Measure:
    """What was measured once, in its order; who asks more often than then gets no value."""
    left = list(measured)

    async def measure(query: str) -> list[str]:
        text = packed(query)
        found = next((each for each in left if each["query"] == text), None)
        if found is None:
            return []
        left.remove(found)
        values: list[str] = found["values"]
        return values

    return measure


def prometheus(get: Callable[[str, str], Awaitable[Obj]]) -> Measure:
    """The lab's own, asked through the API server: `get(method, path)`."""

    async def measure(query: str) -> list[str]:
        where = "/api/v1/namespaces/istio-system/services/prometheus:9090/proxy/api/v1/query?query="
        found = await get("GET", where + quote(query))
        return [series["value"][1] for series in found["data"]["result"]]

    return measure
