"""The runner: hears of each write, asks the controllers that it concerns, carries out what they want.

Level-triggered: an event only says what to reconcile; the plan observes what is. Several events on one object before the
loop comes round become one pass. A refused write (conflict, already there, already gone) means that the world has moved:
the next event brings another pass. All on the store, in the event loop's thread; nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module

from canary_tutorial.lab.controllers.controller import Context, Controller, Key
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Record, Update, Wake
from canary_tutorial.lab.controllers.garbage import Collector
from canary_tutorial.lab.errors import ApiError, Forbidden
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import SAFE, Obj, clone
from canary_tutorial.lab.store import Event, Store

log = logging.getLogger(__name__)

# The modules of this package that have a controller. Of two for one kind, the second waits until the first wants nothing.
MODULES = "replicasets deployments namespaces services endpoints autoscalers"
CONTROLLERS: list[Controller] = [import_module(f"{__package__}.{name}").CONTROLLER for name in MODULES.split()]

RETRY = 10.0  # seconds
TURN = 0.05  # seconds of reconciling before others of the lab get theirs
Admit = Callable[[Store, Kind, Obj], Obj]


@contextmanager
def _guarded(what: str, kind: Kind, name: str) -> Iterator[None]:
    """A controller that fails at one malformed object stops neither the other controllers nor the other objects."""
    try:
        yield
    except Exception:
        log.exception("could not %s %s %s", what, kind.kind, name)


class Manager:
    """All controllers on one store."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        admit: Admit,
        ca: str = "",
        service_addresses: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._store, self._recorder, self._admit = store, recorder, admit
        self._context = Context(store, ca, service_addresses)
        self._garbage = Collector()
        self._queue: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()
        store.subscribe(self.on_event)

    # -- what to reconcile

    def on_event(self, event: Event) -> None:
        for concerns in (self._garbage.concerns, *(each.concerns for each in CONTROLLERS)):
            with _guarded("find what is concerned by", event.kind, event.object["metadata"]["name"]):
                for key in concerns(event, self._store):
                    self.enqueue(key)

    def enqueue(self, key: Key) -> None:
        """Reconcile an object soon."""
        if not self._queue:
            self._loop.call_soon(self._work)
        self._queue[key] = None

    def _work(self) -> None:
        end = self._loop.time() + TURN
        while self._queue:
            key = next(iter(self._queue))
            del self._queue[key]
            self._reconcile(key)
            if self._queue and self._loop.time() > end:
                self._loop.call_soon(self._work)
                return

    def _reconcile(self, key: Key) -> None:
        """Carry out what the first controller wants that wants something; garbage collection goes before all."""
        kind, namespace, name = key
        obj = self._store.find(kind, name, namespace)
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()
        context, own = self._context, [each for each in CONTROLLERS if each.kind is kind]
        if obj is None:
            asked = [partial(each.gone, name, namespace, context) for each in own]
        else:
            collect = partial(self._garbage.reconcile, kind, obj, self._store)
            asked = [collect, *(partial(each.reconcile, obj, context) for each in own)]
        for ask in asked:
            with _guarded("reconcile", kind, f"{namespace}/{name}"):
                effects = ask()
                for effect in effects:
                    self._carry_out(key, effect)
                if effects:
                    return

    # -- acting

    def _carry_out(self, key: Key, effect: Effect) -> None:
        try:
            match effect:
                case Create():
                    self._create(key, effect)
                case Update(kind, obj, subresource):
                    self._store.update(kind, obj, subresource)
                case Delete(kind, name, namespace, uid, propagation):
                    self._store.delete(kind, name, namespace, uid=uid, propagation=propagation)
                case Record(regarding, type_, reason, message, component):
                    self._recorder.record(regarding, type_, reason, message, component)
                case Wake(seconds):
                    self._timers[key] = self._loop.call_later(seconds + 0.01, self.enqueue, key)
        except ApiError as refused:
            log.debug("%s %s: %s", key[0].kind, key[2], refused.message)

    def _create(self, key: Key, wanted: Create) -> None:
        kind, obj = wanted.kind, clone(wanted.obj)
        prefix = obj["metadata"].pop("generateName", None)
        if prefix:
            obj["metadata"] |= {"generateName": prefix, "name": prefix + "".join(random.choices(SAFE, k=5))}
        try:
            admitted = self._admit(self._store, kind, obj)
        except Forbidden as refused:  # by a quota: what others give back is requested again in a while
            if key not in self._timers:
                self._say(wanted, "Warning", "FailedCreate", f"Error creating: {refused.message}")
                self._carry_out(key, Wake(RETRY))
            return
        created = self._store.create(kind, admitted)
        name = created["metadata"]["name"]
        self._say(wanted, "Normal", "SuccessfulCreate", f"Created {kind.kind.lower()}: {name}")

    def _say(self, wanted: Create, type_: str, reason: str, message: str) -> None:
        if wanted.regarding:
            self._recorder.record(wanted.regarding, type_, reason, message, wanted.component)
