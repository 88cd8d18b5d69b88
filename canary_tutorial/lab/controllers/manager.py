"""The runner: hears of each write, asks the plans that it concerns, carries out what they want.

Level-triggered: an event only says where to look; the plan looks at what is. Several events on one object before the
loop comes round become one pass. A refused write (conflict, already there, already gone) means that the world has moved:
the next event brings another pass. All on the store, in the event loop's thread; nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator

from canary_tutorial.lab.controllers import (
    autoscalers,
    deployments,
    endpoints,
    garbage,
    namespaces,
    replicasets,
    services,
)
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Record, Update, Wake
from canary_tutorial.lab.errors import ApiError, Forbidden
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import (
    AUTOSCALERS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    NAMESPACES,
    PODS,
    REPLICASETS,
    SERVICES,
    Kind,
)
from canary_tutorial.lab.objects import SAFE, Obj, clone, controller_of, is_deleted
from canary_tutorial.lab.store import Event, Store

log = logging.getLogger(__name__)

RETRY = 10.0  # seconds
TURN = 0.05  # seconds of looking before others of the lab get theirs
Key = tuple[Kind, str, str]  # kind, namespace, name: one object to look at
Admit = Callable[[Store, Kind, Obj], Obj]


def _key(kind: Kind, obj: Obj) -> Key:
    return kind, obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


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
        self._ca, self._service_addresses = ca, service_addresses
        self._queue: dict[Key, None] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._dependents: dict[str, set[Key]] = {}
        self._uids: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._plans: dict[Kind, Callable[[Obj], list[Effect]]] = {
            DEPLOYMENTS: self._deployment,
            REPLICASETS: self._replicaset,
            SERVICES: self._service,
            NAMESPACES: self._namespace,
            AUTOSCALERS: self._autoscaler,
        }
        store.subscribe(self.on_event)

    # -- where to look

    def on_event(self, event: Event) -> None:
        for relation in (self._itself, self._dependents_of, self._owners_of, self._neighbors):
            try:
                for key in relation(event):
                    self.look(key)
            except Exception:  # of one malformed object: the others are still looked at
                log.exception("could not tell whom %s %s concerns", event.kind.kind, event.object["metadata"]["name"])

    def look(self, key: Key) -> None:
        """Look at an object soon."""
        if not self._queue:
            self._loop.call_soon(self._work)
        self._queue[key] = None

    def _itself(self, event: Event) -> Iterator[Key]:
        key, meta = _key(event.kind, event.object), event.object["metadata"]
        self._remember(event, key)
        if event.kind in self._plans or meta.get("ownerReferences") or is_deleted(event.object):
            yield key

    def _dependents_of(self, event: Event) -> Iterator[Key]:
        if event.type == "DELETED":
            yield from tuple(self._dependents.get(event.object["metadata"]["uid"], ()))

    def _owners_of(self, event: Event) -> Iterator[Key]:
        namespace = event.object["metadata"].get("namespace") or ""
        owner = controller_of(event.object)
        if owner and owner["kind"] == "ReplicaSet":
            yield (REPLICASETS, namespace, owner["name"])
            replicaset = self._store.find(REPLICASETS, owner["name"], namespace)
            above = controller_of(replicaset) if replicaset else None
            if above and event.type == "DELETED":
                yield (DEPLOYMENTS, namespace, above["name"])
        elif owner and owner["kind"] == "Deployment":
            yield (DEPLOYMENTS, namespace, owner["name"])
        owners = event.object["metadata"].get("ownerReferences") or []
        if owners and event.type == "DELETED":  # a foreground deletion may be waiting for it
            yield from self._owners(owners)

    def _neighbors(self, event: Event) -> Iterator[Key]:
        """What looks at objects of this kind: Services at pods, autoscalers at Deployments, a namespace at its content."""
        kind, meta = event.kind, event.object["metadata"]
        namespace = meta.get("namespace") or ""
        if namespace and event.type == "DELETED":
            yield (NAMESPACES, "", namespace)
        if kind is PODS:
            yield from ((SERVICES, namespace, s["metadata"]["name"]) for s in self._store.list(SERVICES, namespace))
        if kind is SERVICES and event.type == "DELETED":
            yield (ENDPOINTS, namespace, meta["name"])
        if kind is DEPLOYMENTS:
            for autoscaler in self._store.list(AUTOSCALERS, namespace):
                reference = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
                if reference.get("name") == meta["name"]:
                    yield (AUTOSCALERS, namespace, autoscaler["metadata"]["name"])

    def _remember(self, event: Event, key: Key) -> None:
        """Keep the index of who depends on whom."""
        meta = event.object["metadata"]
        for owner in meta.get("ownerReferences") or []:
            dependents = self._dependents.setdefault(owner["uid"], set())
            dependents.discard(key) if event.type == "DELETED" else dependents.add(key)
            if not dependents:
                del self._dependents[owner["uid"]]
        self._uids.discard(meta["uid"]) if event.type == "DELETED" else self._uids.add(meta["uid"])

    def _owners(self, owners: list[Obj]) -> Iterator[Key]:
        uids = {owner["uid"] for owner in owners}
        for kind in self._store.kinds.values():
            for obj in self._store.list(kind):
                if obj["metadata"]["uid"] in uids and is_deleted(obj):
                    yield (kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])

    # -- looking

    def _work(self) -> None:
        end = self._loop.time() + TURN
        while self._queue:
            key = next(iter(self._queue))
            del self._queue[key]
            try:
                self._reconcile(key)
            except Exception:
                log.exception("could not reconcile %s %s/%s", key[0].kind, key[1], key[2])
            if self._queue and self._loop.time() > end:
                self._loop.call_soon(self._work)
                return

    def _reconcile(self, key: Key) -> None:
        kind, namespace, name = key
        obj = self._store.find(kind, name, namespace)
        timer = self._timers.pop(key, None)
        if timer:
            timer.cancel()
        if obj is None:
            return
        if kind is ENDPOINTS and self._store.find(SERVICES, name, namespace) is None:
            effects = endpoints.gone(obj, name, namespace)
        else:
            dependents = self._existing(self._dependents.get(obj["metadata"]["uid"], ()))
            effects = garbage.plan_dependent(kind, obj, self._uids.__contains__)
            effects += garbage.plan_owner(kind, obj, dependents)
            if not effects and kind in self._plans:
                effects = self._plans[kind](obj)
        for effect in effects:
            self._carry_out(key, effect)

    def _existing(self, keys: Iterable[Key]) -> list[tuple[Kind, Obj]]:
        found = [(kind, self._store.find(kind, name, namespace)) for kind, namespace, name in keys]
        return [(kind, obj) for kind, obj in found if obj is not None]

    def _deployment(self, obj: Obj) -> list[Effect]:
        namespace = obj["metadata"]["namespace"]
        replicas, pods = self._store.list(REPLICASETS, namespace), self._store.list(PODS, namespace)
        return deployments.plan(obj, replicas, pods, self._store.now())

    def _replicaset(self, obj: Obj) -> list[Effect]:
        return replicasets.plan(obj, self._store.list(PODS, obj["metadata"]["namespace"]), self._store.now())

    def _service(self, obj: Obj) -> list[Effect]:
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        effects = services.plan(obj, self._store.list(SERVICES), self._service_addresses())
        return effects or endpoints.plan(
            obj,
            self._store.list(PODS, namespace),
            self._store.find(ENDPOINTS, name, namespace),
            next(iter(self._store.list(ENDPOINTSLICES, namespace, endpoints.slice_labels(name))), None),
        )

    def _namespace(self, obj: Obj) -> list[Effect]:
        name = obj["metadata"]["name"]
        kinds = [kind for kind in self._store.kinds.values() if kind.namespaced]
        content = [(kind, found) for kind in kinds for found in self._store.list(kind, name)]
        return namespaces.plan(obj, content, self._ca)

    def _autoscaler(self, obj: Obj) -> list[Effect]:
        reference = obj["spec"]["scaleTargetRef"]
        kind = DEPLOYMENTS if reference["kind"] == "Deployment" else REPLICASETS
        target = self._store.find(kind, reference["name"], obj["metadata"]["namespace"])
        return autoscalers.plan(obj, kind, target, self._store.now())

    # -- acting

    def _carry_out(self, key: Key, effect: Effect) -> None:
        try:
            match effect:
                case Create(kind, obj):
                    self._create(key, kind, obj)
                case Update(kind, obj, subresource):
                    self._store.update(kind, obj, subresource)
                case Delete(kind, name, namespace, uid, propagation):
                    self._store.delete(kind, name, namespace, uid=uid, propagation=propagation)
                case Record(regarding, type_, reason, message, component):
                    self._recorder.record(regarding, type_, reason, message, component)
                case Wake(seconds):
                    self._timers[key] = self._loop.call_later(seconds + 0.01, self.look, key)
        except ApiError as refused:
            log.debug("%s %s: %s", key[0].kind, key[2], refused.message)

    def _too_many(self, key: Key, refused: Forbidden) -> None:
        """What a quota says. The pods that others give back are requested again in a while."""
        owner = self._store.find(key[0], key[2], key[1])
        if owner and key not in self._timers:
            message = f"Error creating: {refused.message}"
            self._recorder.record(owner, "Warning", "FailedCreate", message, replicasets.COMPONENT)
            self._carry_out(key, Wake(RETRY))

    def _create(self, key: Key, kind: Kind, obj: Obj) -> None:
        obj = clone(obj)
        prefix = obj["metadata"].pop("generateName", None)
        if prefix:
            obj["metadata"] |= {"generateName": prefix, "name": prefix + "".join(random.choices(SAFE, k=5))}
        try:
            admitted = self._admit(self._store, kind, obj)
        except Forbidden as refused:
            self._too_many(key, refused)
            return
        created = self._store.create(kind, admitted)
        if key[0] is REPLICASETS and kind is PODS:
            replicaset = self._store.find(REPLICASETS, key[2], key[1])
            message = f"Created pod: {created['metadata']['name']}"
            if replicaset:
                self._recorder.record(replicaset, "Normal", "SuccessfulCreate", message, replicasets.COMPONENT)
