"""The control loop: a cache of Canaries by list and watch, one job per Canary. I/O: asyncio, the API.

Only Canaries are watched. At every control-loop interval, each cached Canary without a job gets one. The job ticks at
once and then at each analysis interval; ticks never overlap, and late ones are merged into one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from canary_tutorial.flagger import finalizing, status_writes, targets, texts
from canary_tutorial.flagger.effects import Obj, Refused, Rules, T, TickEnds
from canary_tutorial.flagger.job import Job
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.shapes import SPEC, misfit
from canary_tutorial.flagger.spec import Canary, Settings, mapping
from canary_tutorial.flagger.status import INITIALIZING

RESYNC = 30.0  # seconds between tries for Canaries whose deletion is not finished
Key = tuple[str, str]  # namespace, name


class Controller:
    """Keeps jobs for all Canaries of `namespace` ("" for every one)."""

    def __init__(self, performer: Performer, settings: Settings, control_loop: float, namespace: str = "") -> None:
        self._performer, self._settings = performer, settings
        self._control_loop, self._namespace = control_loop, namespace
        self._cache: dict[Key, Obj] = {}  # the last object seen of each Canary
        self._scheduled: dict[Key, Canary] = {}  # those that are in order
        self._jobs: dict[Key, Job] = {}
        self._queued: dict[Key, bool] = {}  # being synced -> and again afterwards
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; then ticks under way end with it."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._follow())
                loops.create_task(self._schedule())
        finally:
            for job in self._jobs.values():
                job.abort()

    @contextmanager
    def _alone(self, what: str, key: Key) -> Iterator[None]:
        """One Canary's trouble, whatever it is, is a line in the log: it ends neither a loop nor another's turn."""
        try:
            yield
        except (Refused, TickEnds) as refused:
            self._performer.logger.log("error", str(refused), canary=f"{key[1]}.{key[0]}")
        except Exception as error:
            self._performer.logger.log("error", f"{what} failed: {error!r}", canary=f"{key[1]}.{key[0]}")

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
            except Exception as error:  # whatever a list or a watch brings, this loop goes on
                why = error.message if isinstance(error, Refused) else repr(error)
                self._performer.logger.log("error", f"watching canaries failed: {why}")
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
        with self._alone("watching", key):
            if type_ == "DELETED":
                self._performer.logger.log("info", f"Deleting {key[1]}.{key[0]} from cache")
                self._cache.pop(key, None)
                self._scheduled.pop(key, None)
                self._performer.forget(Canary(obj))
                return
            self._cache[key] = obj
            if old is None or _needs_sync(old, obj):
                self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        """Let `sync` look at it; never twice at a time, and once more if something came in between."""
        waiting = key in self._queued
        self._queued[key] = True
        if not waiting:
            task = asyncio.create_task(self._work(key))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _work(self, key: Key) -> None:
        try:
            while self._queued[key]:
                self._queued[key] = False
                await self.sync(key)
        finally:
            del self._queued[key]

    async def sync(self, key: Key) -> None:
        """Take a new or edited Canary in, or see to its deletion. What fails waits for the Canary's next change."""
        obj = self._cache.get(key)
        if obj is None:
            return
        with self._alone("sync", key):
            c = Canary(obj)
            error = invalid(c, self._settings)
            if error:
                raise Refused(error)
            await self._sync(key, c)

    async def _sync(self, key: Key, c: Canary) -> None:
        log, who = self._performer.logger, f"{c.name}.{c.namespace}"
        reverting, marked = bool(c.spec.get("revertOnDeletion")), finalizing.has_finalizer(c.obj)
        if reverting and c.obj["metadata"].get("deletionTimestamp"):
            if marked:
                await self._finalize(c)
                await self._drive(finalizing.let_go(c), c)
            return
        if marked and not reverting:
            log.log("info", f"{who} opting out, deleting finalizers", canary=who)
            await self._drive(finalizing.drop_finalizer(c), c)
        if not c.status.get("conditions"):
            await self._drive(status_writes.write(c, {"phase": INITIALIZING}), c)
        if key in self._cache:
            self._scheduled[key] = c
        if reverting and not marked:
            await self._drive(finalizing.add_finalizer(c), c)
        log.log("info", f"Synced {c.namespace}/{c.name}", canary=who)

    async def _finalize(self, c: Canary) -> None:
        """Wake the target, wait for its pods, give everything back."""
        await self._drive(finalizing.announce(c), c)
        await self._drive(finalizing.wake_target(c), c)
        pause, longest = 3.0, c.interval(self._settings.least_interval)
        for left in (3, 2, 1, 0):
            why = await self._drive(targets.target_readiness(c), c)
            if why is None:
                break
            if not (why.retriable and left):
                raise TickEnds(f"canary not ready during finalizing: {why.text}")
            await asyncio.sleep(min(pause, longest))
            pause *= 2
        await self._drive(finalizing.give_back(c, self._settings), c)

    async def _drive(self, rules: Rules[T], c: Canary) -> T:
        return await self._performer.drive(rules, c.name, c.namespace)

    # -- the jobs

    async def _schedule(self) -> None:
        clock = asyncio.get_running_loop().time
        began, beat, resynced = clock(), 1, clock()
        while True:
            await asyncio.sleep(max(0.0, began + beat * self._control_loop - clock()))
            beat = max(beat + 1, int((clock() - began) / self._control_loop))
            try:
                self.schedule()
            except Exception as error:  # this loop outlives it, too
                self._performer.logger.log("error", f"scheduling failed: {error!r}")
            if clock() - resynced >= RESYNC:
                resynced = clock()
                for key, obj in list(self._cache.items()):
                    if _needs_sync(obj, obj):
                        self._enqueue(key)

    def schedule(self) -> None:
        """Start, restart and stop jobs; count Canaries; complain of two with one target."""
        for key in self._jobs.keys() - self._scheduled.keys():
            self._jobs.pop(key).stop()
        for key, c in self._scheduled.items():
            with self._alone("scheduling", key):
                interval = c.interval(self._settings.least_interval)
                job = self._jobs.get(key)
                if job is None or job.interval != interval:
                    if job:
                        job.stop()
                    self._jobs[key] = Job(self._ticker(key), interval, after=job)
        totals = Counter(namespace for namespace, _ in self._scheduled)
        for namespace, number in totals.items():
            self._performer.recorder.total.labels(namespace).set(number)
        shared = Counter((c.target, c.namespace) for c in self._scheduled.values())
        for c in self._scheduled.values():
            # Once for each Canary: a line for each pair would be a million for a thousand of them.
            if shared[c.target, c.namespace] > 1:
                text = (
                    f"Bad things will happen! Found more than one canary with the same target {c.target}.{c.namespace}"
                )
                self._performer.logger.log("error", text, canary=f"{c.name}.{c.namespace}")

    def _ticker(self, key: Key) -> Callable[[], Awaitable[None]]:
        namespace, name = key

        async def tick() -> None:
            with self._alone("tick", key):
                await self._performer.tick(name, namespace, self._settings)

        return tick


def invalid(c: Canary, settings: Settings) -> str | None:
    """Why a Canary cannot be scheduled, or None."""
    if why := misfit(c.obj.get("spec"), SPEC, "spec"):
        return texts.unreadable(c, why)
    if not c.spec.get("analysis") and not c.skip_analysis:
        return f"Canary {c.name}.{c.namespace} has no spec.analysis"
    if not c.target:
        return texts.no_target(c)
    affinity = c.analysis.get("sessionAffinity")
    if affinity and not affinity.get("cookieName"):
        return f"can't use session affinity without a cookie name for canary {c.name}.{c.namespace}"
    if settings.no_cross_namespace_refs:
        references = [("alert provider", alert.get("providerRef") or {}) for alert in c.analysis.get("alerts") or []]
        metrics = c.analysis.get("metrics") or []
        references += [("metric template", m["templateRef"]) for m in metrics if m.get("templateRef")]
        for what, reference in references:
            if (reference.get("namespace") or c.namespace) != c.namespace:
                where = f"{reference.get('name')}.{reference['namespace']}"
                return f"can't access {what} {where}, cross-namespace references are blocked"
    return None


def _needs_sync(old: Obj, new: Obj) -> bool:
    """An edit of the spec; a deletion under way; a finalizer that is missing."""
    marked = finalizing.has_finalizer(new)
    if new["metadata"].get("deletionTimestamp") and marked:
        return True
    return bool(old.get("spec") != new.get("spec") or (mapping(new, "spec").get("revertOnDeletion") and not marked))


def _key(obj: Obj) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
