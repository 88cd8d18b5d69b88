"""Keeping the world up to date, with an API that comes, goes and forgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import mesh_objects as make
import pytest
from lightkube.core.exceptions import ApiError

from canary_tutorial.lab.mesh import watch
from canary_tutorial.lab.mesh.watch import WATCHED, Watcher
from canary_tutorial.lab.mesh.world import World

NAMES = {id(resource): name for name, resource in WATCHED.items()}


def api_error(code: int) -> ApiError:
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": "", "message": "no"}
    request = httpx2.Request("GET", "https://lab")
    return ApiError(request=request, response=httpx2.Response(code, content=json.dumps(status), request=request))


class FakeList:
    resourceVersion = "7"

    def __init__(self, found: list[dict[str, Any]], error: Exception | None) -> None:
        self.found, self.error = found, error

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if self.error:
            raise self.error
        for obj in self.found:
            yield obj


class FakeClient:
    """Serves `objects`; `errors` are raised by the next lists of a kind; `events` are what its watch tells."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.errors: dict[str, list[Exception]] = {}
        self.events: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue() for name in WATCHED}
        self.versions: list[str] = []

    def list(self, resource: Any, namespace: str) -> FakeList:
        name = NAMES[id(resource)]
        errors = self.errors.get(name) or []
        return FakeList(self.objects.get(name, []), errors.pop(0) if errors else None)

    async def watch(self, resource: Any, namespace: str, resource_version: str) -> AsyncIterator[Any]:
        self.versions.append(resource_version)
        while True:
            event = await self.events[NAMES[id(resource)]].get()
            if isinstance(event, Exception):
                raise event
            yield event


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SHORTEST", 0.001)


class Watched:
    """A watcher on a fake client, with what it told."""

    def __init__(self) -> None:
        self.client, self.world, self.told = FakeClient(), World(), 0

    def changed(self) -> None:
        self.told += 1

    async def __aenter__(self) -> Watched:
        watcher = Watcher(self.client, self.world, self.changed)  # type: ignore[arg-type]
        self.task = asyncio.create_task(watcher.run())
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def settle(self) -> None:
        await asyncio.sleep(0.02)


def test_the_world_follows_what_is_listed_and_watched() -> None:
    async def story() -> None:
        watched = Watched()
        watched.client.objects["pods"] = [make.pod("a")]
        async with watched:
            assert set(watched.world.pods) == {("test", "a")}
            watched.client.events["pods"].put_nowait(("ADDED", make.pod("b")))
            watched.client.events["pods"].put_nowait(("DELETED", make.pod("a")))
            await watched.settle()
            assert set(watched.world.pods) == {("test", "b")}
            assert set(watched.client.versions) == {"7"}

    asyncio.run(story())


def test_nobody_is_told_before_every_kind_is_known() -> None:
    async def story() -> None:
        watched = Watched()
        watched.client.errors["virtualservices"] = [httpx2.ConnectError("away")] * 1000
        async with watched:
            assert watched.told == 0
            watched.client.errors.clear()
            await asyncio.sleep(0.2)
            assert watched.told > 0

    asyncio.run(story())


def test_a_kind_that_the_cluster_does_not_have_holds_nobody_up() -> None:
    async def story() -> None:
        watched = Watched()
        watched.client.errors["gateways"] = [api_error(404)] * 1000
        async with watched:
            assert watched.told > 0

    asyncio.run(story())


@pytest.mark.parametrize("error", [api_error(410), httpx2.ReadError("cut"), OSError("reset")], ids=["410", "cut", "os"])
def test_after_a_watch_that_broke_all_is_listed_anew(error: Exception) -> None:
    async def story() -> None:
        watched = Watched()
        watched.client.objects["services"] = [make.service("a")]
        async with watched:
            watched.client.objects["services"] = [make.service("b")]
            watched.client.events["services"].put_nowait(error)
            await watched.settle()
            assert set(watched.world.services) == {("test", "b")}

    asyncio.run(story())
