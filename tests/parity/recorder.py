"""Everything that a controller does to a cluster, as it happens: what it writes, in the order in which it was seen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parity.kube import Kube

Obj = dict[str, Any]
WATCHED = (
    *("Canary", "VirtualService", "DestinationRule", "Deployment", "Service", "HorizontalPodAutoscaler"),
    *("ConfigMap", "Secret", "Lease", "Event"),
)
ROUTES = ("VirtualService", "DestinationRule", "Lease")  # kinds of which every write is kept; the leader's, too
OTHERS = ("Deployment", "Service", "HorizontalPodAutoscaler", "ConfigMap", "Secret")  # as well, but apart from routes
CONFIGS = ("ConfigMap", "Secret")  # of these only the copies that a controller made
OWN_CONFIGMAP = "kube-root-ca.crt"  # the system's own, in every namespace
LIMIT = 240.0  # seconds that a state is waited for: a busy machine is no fault


@dataclass
class Record:
    """What was seen in one namespace, raw."""

    canaries: list[Obj] = field(default_factory=list)  # one for each write
    routes: list[tuple[str, Obj]] = field(default_factory=list)  # (ADDED, MODIFIED or DELETED, object)
    others: list[tuple[str, Obj]] = field(default_factory=list)
    events: list[Obj] = field(default_factory=list)


class Recorder:
    """Watches every kind that Flagger touches."""

    def __init__(self, kube: Kube) -> None:
        self.latest: dict[tuple[str, str, str], Obj] = {}  # kind, namespace, name
        self.records: defaultdict[str, Record] = defaultdict(Record)
        self._kube, self._changed = kube, asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._watch(kind)) for kind in WATCHED]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, kind: str) -> None:
        async for type_, obj in self._kube.watch(kind):
            if type_ not in ("ADDED", "MODIFIED", "DELETED"):
                raise RuntimeError(f"the watch of {kind} broke: {obj}")
            self._note(kind, type_, obj)
            async with self._changed:
                self._changed.notify_all()

    def _note(self, kind: str, type_: str, obj: Obj) -> None:
        meta = obj["metadata"]
        namespace = meta.get("namespace", "")
        key = (kind, namespace, meta["name"])
        if type_ == "DELETED":
            self.latest.pop(key, None)
        else:
            self.latest[key] = obj
        record = self.records[namespace]
        if kind == "Canary" and type_ != "DELETED":
            record.canaries.append(obj)
        elif kind in ROUTES:
            record.routes.append((type_, obj))
        elif kind in OTHERS and (kind not in CONFIGS or meta.get("ownerReferences")):
            record.others.append((type_, obj))
        elif kind == "Event" and obj.get("source", {}).get("component") == "flagger" and type_ != "DELETED":
            record.events.append(obj)

    async def until(self, check: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
        """Wait until `check` says something true, asked anew after each change; returns that."""
        try:
            async with asyncio.timeout(limit), self._changed:
                while not (found := check()):
                    await self._changed.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"it never came true: {what}") from None

    def final(self, namespace: str) -> list[Obj]:
        """What is there now, but for what the system itself keeps in each namespace."""
        kept = [
            {"kind": kind, **obj}
            for (kind, where, name), obj in self.latest.items()
            if where == namespace and kind != "Event" and name != OWN_CONFIGMAP
        ]
        return sorted(kept, key=lambda obj: (obj["kind"], obj["metadata"]["name"]))
