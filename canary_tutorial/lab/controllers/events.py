"""Events: what controllers and the kubelet tell, in the form that `kubectl describe` shows. On the store.

The same thing told again raises the count of the Event that is there, as client-go's recorder does.
"""

from __future__ import annotations

import itertools

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.kinds import EVENTS
from canary_tutorial.lab.store import Obj, Store, timestamp

KEPT = 1000  # events in all; Kubernetes forgets them after an hour


class Recorder:
    """Writes Events about objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, ...], tuple[str, str]] = {}
        self._numbers = itertools.count(int(store.now().timestamp() * 1e6))

    def record(self, regarding: Obj, type_: str, reason: str, message: str, component: str) -> None:
        meta = regarding["metadata"]
        namespace = meta.get("namespace") or "default"
        key = (meta.get("uid", ""), type_, reason, message, component)
        now = timestamp(self._store.now())
        try:
            if key in self._known and self._store.find(EVENTS, *self._known[key]):
                self._store.change(EVENTS, *self._known[key], lambda event: _again(event, now))
                return
            name = f"{meta['name']}.{next(self._numbers):x}"
            self._store.create(EVENTS, _event(name, namespace, regarding, type_, reason, message, component, now))
            self._known[key] = (name, namespace)
            self._forget()
        except ApiError:
            return  # the namespace is gone or going: nobody will read it

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            name, namespace = self._known.pop(next(iter(self._known)))
            if self._store.find(EVENTS, name, namespace):
                self._store.delete(EVENTS, name, namespace)


def _again(event: Obj, now: str) -> None:
    event["count"] += 1
    event["lastTimestamp"] = now


def _event(
    name: str, namespace: str, regarding: Obj, type_: str, reason: str, message: str, component: str, now: str
) -> Obj:
    meta = regarding["metadata"]
    involved = {
        "kind": regarding.get("kind"),
        "apiVersion": regarding.get("apiVersion"),
        "namespace": meta.get("namespace"),
        "name": meta["name"],
        "uid": meta.get("uid"),
        "resourceVersion": meta.get("resourceVersion"),
    }
    return {
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {key: value for key, value in involved.items() if value},
        "type": type_,
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
