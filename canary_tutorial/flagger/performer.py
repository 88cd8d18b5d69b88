"""Executes the effects that the rules yield. I/O: the API, Prometheus, webhooks, logs.

It drives a tick: the generator yields an effect, is sent its answer or a `Refused`, and continues. `trace` gets each tick
as a row (`trace.py`), `record` as a line from which it can be replayed (`recording.py`).
"""

from __future__ import annotations

import random
import string
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, assert_never

import httpx2

from canary_tutorial.flagger import chats, effects, prometheus, recording, webhooks
from canary_tutorial.flagger.effects import Effect, Obj, Refused, Rules, T
from canary_tutorial.flagger.events import Correlator
from canary_tutorial.flagger.kube import Kube
from canary_tutorial.flagger.logs import Logger
from canary_tutorial.flagger.metrics import Recorder
from canary_tutorial.flagger.rules import advance
from canary_tutorial.flagger.spec import Canary, Settings, mapping
from canary_tutorial.flagger.status import with_fields
from canary_tutorial.flagger.trace import Step, row

# A release goes on where one of these fails.
TELLING = (effects.Alert, effects.Checked, effects.Emit, effects.Gauge, effects.Log)


class Performer:
    """Drives ticks against a cluster."""

    def __init__(
        self,
        kube: Kube,
        recorder: Recorder,
        logger: Logger,
        metrics_server: str,
        event_webhook: str = "",
        trace: Callable[[Obj], None] | None = None,
        record: Callable[[str], None] | None = None,
        notifier: Obj | None = None,
        cluster_name: str = "",
    ) -> None:
        self.kube, self.recorder, self.logger = kube, recorder, logger
        self.correlator = Correlator()
        self._metrics_server, self._event_webhook = metrics_server, event_webhook
        self._trace, self._record = trace, record
        self._notifier, self._cluster_name = notifier, cluster_name
        self._hooks = webhooks.Clients()
        self._prometheus = httpx2.AsyncClient()
        self._insecure: httpx2.AsyncClient | None = None

    def forget(self, c: Canary) -> None:
        """A Canary is gone: keep neither its events nor its figures."""
        self.correlator.forget(c.obj["metadata"].get("uid") or "")
        self.recorder.forget(c.target, c.namespace)

    async def tick(self, name: str, namespace: str, settings: Settings) -> None:
        """One tick of a Canary, recorded if somebody wants it."""
        began, steps = datetime.now(UTC), self._steps()
        await self.drive(advance(name, namespace, settings), name, namespace, steps)
        if self._record and steps:
            self._record(recording.line(name, namespace, settings, began, steps))

    def _steps(self) -> list[Step] | None:
        return [] if self._trace or self._record else None

    async def drive(self, rules: Rules[T], name: str, namespace: str, steps: list[Step] | None = None) -> T:
        """Carry rules to their end; returns what they return. What they did is added to `steps`."""
        now, began = datetime.now(UTC), time.monotonic()
        timed: Canary | None = None
        steps = self._steps() if steps is None else steps
        answer = refused = None
        while True:
            try:
                effect = rules.throw(refused) if refused else rules.send(answer)
            except StopIteration as ended:
                result: T = ended.value
                break
            answer = refused = None
            try:
                answer = await self.perform(effect, name, namespace)
            except Refused as error:
                refused = error
            except Exception as error:
                if not isinstance(effect, TELLING):
                    raise
                self.logger.log("error", f"{type(effect).__name__} failed: {error!r}", canary=f"{name}.{namespace}")
            if isinstance(effect, effects.Timed):
                timed = Canary(effect.canary)
            if steps is not None:
                steps.append(Step(effect, answer, refused))
        if timed:
            self.recorder.duration(timed.target, namespace, time.monotonic() - began)
        if self._trace and steps:
            self._trace(row(name, namespace, now, steps))
        return result

    async def perform(self, effect: Effect, name: str, namespace: str) -> Any:
        """One effect; raises Refused."""
        match effect:
            case effects.Get(kind, of, where):
                return await self.kube.get(kind, of, where)
            case effects.Create(kind, obj):
                return await self.kube.create(kind, obj)
            case effects.Update(kind, obj):
                return await self.kube.update(kind, obj)
            case effects.Patch(kind, of, where, body):
                return await self.kube.patch(kind, of, where, body)
            case effects.WriteStatus(of, where, fields):
                return await self._write_status(of, where, fields)
            case effects.Query():
                return await self._query(effect)
            case effects.CallHook(obj, hook, phase):
                return await self._call(obj, hook, phase)
            case effects.Emit():
                await self._emit(effect)
            case effects.Log(level, message):
                self.logger.log(level, message, canary=f"{name}.{namespace}")
            case effects.Checked():
                self._checked(effect)
            case effects.Gauge():
                self._gauge(effect)
            case effects.Timed():
                pass  # `drive` knows how long the tick took
            case effects.Now():
                return datetime.now(UTC)
            case effects.RandomLetters(length):
                return "".join(random.choices(string.ascii_letters, k=length))
            case effects.Uuid():
                return str(uuid.uuid4())
            case effects.Alert():
                if error := await chats.send(
                    self.kube, self._hooks.checked, effect, self._notifier, self._cluster_name
                ):
                    self.logger.log("error", error, canary=f"{name}.{namespace}")
            case _:
                assert_never(effect)
        return None

    async def _write_status(self, name: str, namespace: str, fields: Obj) -> Obj:
        def status(current: Obj) -> Obj:
            c = Canary(current)
            return with_fields(c.status, fields, c.kind, datetime.now(UTC))

        return await self.kube.write_status(name, namespace, status)

    async def _call(self, canary: Obj, hook: Obj, phase: str) -> str | None:
        """A hook that cannot be called is one that says no."""
        try:
            return await webhooks.call(self._hooks, hook, webhooks.payload(canary, phase, hook.get("metadata")))
        except Exception as error:
            return repr(error)

    async def _query(self, effect: effects.Query) -> Any:
        provider = mapping(mapping(effect.template or {}, "spec"), "provider")
        http = self._prometheus
        if provider.get("insecureSkipVerify"):
            http = self._insecure = self._insecure or httpx2.AsyncClient(verify=False)
        server = effect.server or self._metrics_server
        return await prometheus.query(http, server, effect.promql, effect.template, effect.credentials)

    async def _emit(self, event: effects.Emit) -> None:
        meta = event.canary["metadata"]
        self.logger.log(event.level, event.message, canary=f"{meta['name']}.{meta['namespace']}")
        now = datetime.now(UTC)
        written = self.correlator.told(event.canary, event.type, event.message, now)
        if written:
            try:
                await self._write_event(written)
            except Refused as refused:
                self.logger.log("debug", f"event not written: {refused.message}")
        await self._call_event_hooks(event, now)

    async def _write_event(self, event: Obj) -> None:
        """A repeated event only gets a new count, time and text; one that is no longer there is made again."""
        if event["count"] > 1:
            meta = event["metadata"]
            changes = {field: event[field] for field in ("count", "lastTimestamp", "message")}
            try:
                await self.kube.patch("Event", meta["name"], meta["namespace"], changes)
                return
            except Refused as refused:
                if not refused.missing:
                    raise
        await self.kube.create("Event", event)

    async def _call_event_hooks(self, event: effects.Emit, now: datetime) -> None:
        c = Canary(event.canary)
        hooks = c.hooks("event") or ([{"name": "events", "url": self._event_webhook}] if self._event_webhook else [])
        for hook in hooks:
            phase = event.phase or c.phase
            body = webhooks.event_payload(event.canary, hook.get("metadata"), event.type, event.message, phase, now)
            error = await webhooks.call(self._hooks, hook, body)
            if error is not None:
                self.logger.log("error", f"error sending event to webhook: {error}", canary=f"{c.name}.{c.namespace}")

    def _checked(self, effect: effects.Checked) -> None:
        if effect.value is not None:
            c = Canary(effect.canary)
            value = effect.value / 1000 if effect.unit == "ms" else effect.value
            self.recorder.analysis(c.target, c.namespace, effect.metric, value)

    def _gauge(self, effect: effects.Gauge) -> None:
        c = Canary(effect.canary)
        target, namespace, values = c.target, c.namespace, effect.values
        match effect.name:
            case "weight":
                self.recorder.weight(target, namespace, values["primary"], values["canary"])
            case "status":
                self.recorder.status(target, namespace, values["phase"])
            case "success" | "failure":
                self.recorder.ended(effect.name, target, namespace, values["strategy"], values["analysis_status"])
