"""A Kubernetes API in a dict, with the interface of `flagger.kube.Kube`, and an event loop whose clock only tests move.

Deployments are ready as soon as they are written. Watches hear of every write.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import marshal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from flagger_world import PLURALS

from canary_tutorial.flagger.effects import Refused

Obj = dict[str, Any]


class FastLoop(asyncio.SelectorEventLoop):
    """Sleeping costs nothing: when nobody has anything to do, the clock jumps to the next one who has."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():  # asyncio drops these too, but only after the clock was read
            heapq.heappop(timers)._scheduled = False
            self._timer_cancelled_count -= 1
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it with a fast clock, and end what it left behind."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(work)


def twin(obj: Obj) -> Obj:
    """A deep copy of JSON, fast enough for ten thousand Canaries."""
    copied: Obj = marshal.loads(marshal.dumps(obj))
    return copied


class FakeKube:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Obj] = {}
        self.events: list[str] = []
        self.watches: list[asyncio.Queue[tuple[str, Obj] | None]] = []
        self.conflicts = 0  # how many PUTs of a Canary are answered with 409 first
        self.broken = 0  # how many lists fail
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)

    # -- what tests do

    def put(self, obj: Obj) -> Obj:
        key = (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"])
        obj = twin(obj)
        obj["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        return self._store(key, obj)

    def edit(self, kind: str, name: str, change: Callable[[Obj], None], namespace: str = "test") -> None:
        obj = twin(self.objects[kind, namespace, name])
        change(obj)
        self._store((kind, namespace, name), obj)

    def remove(self, kind: str, name: str, namespace: str = "test") -> None:
        """As a user deletes: an object with a finalizer is only marked."""
        obj = self.objects[kind, namespace, name]
        if obj["metadata"].get("finalizers"):
            self.edit(kind, name, lambda o: o["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"), namespace)
        else:
            del self.objects[kind, namespace, name]
            self._tell("DELETED", obj)

    def break_watches(self) -> None:
        for queue in self.watches:
            queue.put_nowait(None)

    # -- the interface

    async def get(self, kind: str, name: str, namespace: str) -> Obj:
        await asyncio.sleep(0)
        try:
            return twin(self.objects[kind, namespace, name])
        except KeyError:
            raise Refused(PLURALS.get(kind, f'{kind}s "{{}}" not found').format(name), missing=True) from None

    async def create(self, kind: str, obj: Obj) -> Obj:
        await asyncio.sleep(0)
        if kind == "Event":
            self.events.append(obj["message"])
            return obj
        return self.put({"kind": kind, **obj})

    async def update(self, kind: str, obj: Obj) -> Obj:
        await self.get(kind, obj["metadata"]["name"], obj["metadata"]["namespace"])
        meta = obj["metadata"]
        key = (kind, meta["namespace"], meta["name"])
        if kind == "Canary" and self.conflicts:
            self.conflicts -= 1
            raise Refused("the object has been modified", conflict=True)
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            del self.objects[key]
            self._tell("DELETED", obj)
            return obj
        return self._store(key, twin(obj))

    async def patch(self, kind: str, name: str, namespace: str, body: Obj) -> Obj:
        if kind == "Event":
            self.events.append(body["message"])
            return body
        self.edit(kind, name, lambda obj: obj["spec"].update(body["spec"]), namespace)
        return self.objects[kind, namespace, name]

    async def write_status(self, name: str, namespace: str, fields: Callable[[Obj], Obj]) -> Obj:
        obj = await self.get("Canary", name, namespace)
        return self._store(("Canary", namespace, name), {**obj, "status": fields(obj)})

    async def list(self, kind: str, namespace: str) -> tuple[list[Obj], str]:
        await asyncio.sleep(0)
        if self.broken:
            self.broken -= 1
            raise Refused("connection refused")
        found = [twin(obj) for (k, _, _), obj in self.objects.items() if k == kind]
        return found, str(next(self._versions))

    async def watch(self, kind: str, namespace: str, version: str) -> AsyncIterator[tuple[str, Obj]]:
        queue: asyncio.Queue[tuple[str, Obj] | None] = asyncio.Queue()
        self.watches.append(queue)
        try:
            while news := await queue.get():
                yield news
        finally:
            self.watches.remove(queue)
        raise Refused("the watch broke")

    # -- inside

    def _store(self, key: tuple[str, str, str], obj: Obj) -> Obj:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        if key[0] == "Deployment":
            obj["metadata"]["generation"] = generation = obj["metadata"].get("generation", 0) + 1
            ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), obj["spec"]["replicas"])
            obj["status"] = {"observedGeneration": generation, **ready}
        type_ = "MODIFIED" if key in self.objects else "ADDED"
        self.objects[key] = obj
        if key[0] == "Canary":
            self._tell(type_, obj)
        return obj

    def _tell(self, type_: str, obj: Obj) -> None:
        for queue in self.watches:
            queue.put_nowait((type_, twin(obj)))
