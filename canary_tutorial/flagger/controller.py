"""The loops: a cache of Canaries by list and watch, one job per Canary, ticks on a fixed cadence. I/O: asyncio, the API.

Nothing but Canaries is watched. Every control-loop interval, each cached Canary without a job gets one, which ticks at
once and then each analysis interval; late ticks come together and never overlap.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from canary_tutorial.flagger import finalizing, objects
from canary_tutorial.flagger.effects import Obj, Refused, Rules, TickEnds
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.rules import Settings, advance
from canary_tutorial.flagger.spec import Canary
from canary_tutorial.flagger.status import INITIALIZING, TERMINATING, with_fields

RESYNC = 30.0  # seconds between looks at Canaries whose deletion is not finished
Key = tuple[str, str]  # namespace, name


class Job:
    """Ticks of one Canary: at once, then on the beat of `interval` (seconds); late beats coalesce, as Go's ticker's."""

    def __init__(self, tick: Callable[[], Awaitable[None]], interval: float) -> None:
        self.interval = interval
        self._tick = tick
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        began = time.monotonic()
        beat = 0
        while True:
            await self._tick()
            beat = max(beat + 1, int((time.monotonic() - began) / self.interval))
            await asyncio.sleep(max(0.0, began + beat * self.interval - time.monotonic()))

    def stop(self) -> None:
        self._task.cancel()


class Controller:
    """Keeps jobs for all Canaries of `namespace` ("" for every one)."""

    def __init__(self, performer: Performer, settings: Settings, control_loop: float, namespace: str = "") -> None:
        self._performer, self._settings = performer, settings
        self._control_loop, self._namespace = control_loop, namespace
        self._cache: dict[Key, Obj] = {}  # the last object seen of each Canary
        self._scheduled: dict[Key, Canary] = {}  # those that are in order
        self._jobs: dict[Key, Job] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await asyncio.gather(self._follow(), self._schedule())

    # -- the cache

    async def _follow(self) -> None:
        pause = 0.2
        while True:
            try:
                found, version = await self._performer.kube.list("Canary", self._namespace)
                self._take(found)
                pause = 0.2
                async for type_, obj in self._performer.kube.watch("Canary", self._namespace, version):
                    self._changed(type_, obj)
            except Refused as refused:
                self._performer.logger.log("error", f"watching canaries failed: {refused.message}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10)

    def _take(self, found: list[Obj]) -> None:
        now = {_key(obj): obj for obj in found}
        for key in self._cache.keys() - now.keys():
            self._changed("DELETED", self._cache[key])
        for obj in found:
            self._changed("MODIFIED" if _key(obj) in self._cache else "ADDED", obj)

    def _changed(self, type_: str, obj: Obj) -> None:
        key, old = _key(obj), self._cache.get(_key(obj))
        if type_ == "DELETED":
            self._performer.logger.log("info", f"Deleting {key[1]}.{key[0]} from cache")
            self._cache.pop(key, None)
            self._scheduled.pop(key, None)
            self._performer.correlator.forget(obj["metadata"].get("uid", ""))
            return
        self._cache[key] = obj
        if key in self._scheduled:
            self._scheduled[key] = Canary(obj)
        if old is None or _needs_sync(old, obj):
            self._in_background(self.sync(key))

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def sync(self, key: Key) -> None:
        """Take a new or edited Canary in, or see to its deletion."""
        obj = self._cache.get(key)
        if obj is None:
            return
        c, log = Canary(obj), self._performer.logger
        who = f"{c.name}.{c.namespace}"
        error = invalid(c)
        if error:
            log.log("error", error, canary=who)
            return
        try:
            if "deletionTimestamp" in obj["metadata"]:
                if _has_finalizer(obj):
                    await self._finalize(c)
                return
            reverting = bool(c.spec.get("revertOnDeletion"))
            if _has_finalizer(obj) and not reverting:
                log.log("info", f"{who} opting out, deleting finalizers", canary=who)
                await self._drive(finalizing.drop_finalizer(c), c)
            if not c.status.get("conditions"):
                await self._initializing(c)
            self._scheduled[key] = c
            if reverting and not _has_finalizer(obj):
                await self._drive(finalizing.add_finalizer(c), c)
            log.log("info", f"Synced {c.namespace}/{c.name}", canary=who)
        except (Refused, TickEnds) as refused:
            log.log("error", str(refused), canary=who)

    async def _initializing(self, c: Canary) -> None:
        def status(current: Obj) -> Obj:
            before = current.get("status") or {}
            return with_fields(before, {"phase": INITIALIZING}, c.kind, datetime.now(UTC))

        await self._performer.kube.write_status(c.name, c.namespace, status)

    async def _finalize(self, c: Canary) -> None:
        """revertOnDeletion: wake the target, wait for it, give everything back."""
        if c.phase != TERMINATING:
            await self._drive(finalizing.begin(c), c)
        pause = 3.0
        why = None
        for _ in range(4):
            why = await self._drive(objects.target_readiness(c), c)
            if why is None:
                await self._drive(finalizing.finish(c, self._settings), c)
                return
            await asyncio.sleep(min(pause, c.interval(self._settings.least_interval)))
            pause *= 2
        raise TickEnds(f"canary not ready during finalizing: {why.text if why else ''}")

    async def _drive(self, rules: Rules, c: Canary) -> object:
        return await self._performer.drive(rules, c.name, c.namespace)

    # -- the jobs

    async def _schedule(self) -> None:
        began, beat, resynced = time.monotonic(), 1, time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, began + beat * self._control_loop - time.monotonic()))
            beat = max(beat + 1, int((time.monotonic() - began) / self._control_loop))
            self.schedule()
            if time.monotonic() - resynced >= RESYNC:
                resynced = time.monotonic()
                for key, obj in list(self._cache.items()):
                    if "deletionTimestamp" in obj["metadata"] or (
                        obj["spec"].get("revertOnDeletion") and not _has_finalizer(obj)
                    ):
                        self._in_background(self.sync(key))

    def schedule(self) -> None:
        """Start, restart and stop jobs; count Canaries; complain of two with one target."""
        for key in self._jobs.keys() - self._scheduled.keys():
            self._jobs.pop(key).stop()
        for key, c in self._scheduled.items():
            interval = c.interval(self._settings.least_interval)
            job = self._jobs.get(key)
            if job is None or job.interval != interval:
                if job:
                    job.stop()
                self._jobs[key] = Job(self._ticker(key), interval)
        totals = Counter(namespace for namespace, _ in self._scheduled)
        for namespace, number in totals.items():
            self._performer.recorder.total.labels(namespace).set(number)
        targets = Counter((c.target, c.namespace) for c in self._scheduled.values())
        for (target, namespace), number in targets.items():
            if number > 1:
                text = f"Bad things will happen! Found more than one canary with the same target {target}.{namespace}"
                self._performer.logger.log("error", text)

    def _ticker(self, key: Key) -> Callable[[], Awaitable[None]]:
        namespace, name = key

        async def tick() -> None:
            try:
                await self._performer.drive(advance(name, namespace, self._settings), name, namespace)
            except Exception as error:  # one Canary's trouble must not end the loop of its ticks
                self._performer.logger.log("error", f"tick failed: {error!r}", canary=f"{name}.{namespace}")

        return tick

    @property
    def sizes(self) -> dict[str, int]:
        """How much is remembered, for a test that looks for leaks."""
        return {"cache": len(self._cache), "scheduled": len(self._scheduled), "jobs": len(self._jobs)}


def invalid(c: Canary) -> str | None:
    """Why a Canary cannot be scheduled, or None."""
    if not c.spec.get("analysis") and not c.skip_analysis:
        return f"Canary {c.name}.{c.namespace} has no spec.analysis"
    affinity = c.analysis.get("sessionAffinity")
    if affinity and not affinity.get("cookieName"):
        return f"can't use session affinity without a cookie name for canary {c.name}.{c.namespace}"
    return None


def _needs_sync(old: Obj, new: Obj) -> bool:
    deleting = "deletionTimestamp" in new["metadata"]
    finalizer = _has_finalizer(new)
    spec = json.dumps(old["spec"], sort_keys=True) != json.dumps(new["spec"], sort_keys=True)
    return spec or (deleting and finalizer) or bool(new["spec"].get("revertOnDeletion") and not finalizer)


def _has_finalizer(obj: Obj) -> bool:
    return finalizing.FINALIZER in (obj["metadata"].get("finalizers") or [])


def _key(obj: Obj) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


