"""Writes Events for controllers and the kubelet, in the form that `kubectl describe` shows. On the store.

The same event again raises the count of the existing Event. When more than ten messages differ only in their text, they
are combined into one Event. Both as client-go's recorder does.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.kinds import EVENTS
from canary_tutorial.lab.objects import Obj, timestamp
from canary_tutorial.lab.store import Store

SIMILAR = 10  # messages about one object for one reason; then they are combined
COMBINED = "(combined from similar events): "
KEPT = 1000  # events in all; Kubernetes forgets them after an hour


class Recorder:
    """Writes Events about objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, ...], tuple[str, str]] = {}
        self._similar: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self._numbers = itertools.count(int(store.now().timestamp() * 1e6))

    def record(self, regarding: Obj, type_: str, reason: str, message: str, component: str) -> None:
        meta = regarding["metadata"]
        namespace = meta.get("namespace") or "default"
        about = (meta.get("uid", ""), type_, reason, component)
        messages = self._similar[about]
        if len(messages) < SIMILAR:
            messages.add(message)
        combined = message not in messages
        message = COMBINED + message if combined else message
        key = (*about, COMBINED if combined else message)
        now = timestamp(self._store.now())
        try:
            if key in self._known and self._store.find(EVENTS, *self._known[key]):
                self._store.change(EVENTS, *self._known[key], lambda event: _again(event, message, now))
                return
            name = f"{meta['name']}.{next(self._numbers):x}"
            self._store.create(EVENTS, _event(name, namespace, regarding, type_, reason, message, component, now))
            self._known[key] = (name, namespace)
            self._forget()
        except ApiError:
            return  # the namespace is gone or going: nobody will read it

    def _forget(self) -> None:
        while len(self._known) > KEPT:
            oldest = next(iter(self._known))
            name, namespace = self._known.pop(oldest)
            self._similar.pop(oldest[:4], None)
            if self._store.find(EVENTS, name, namespace):
                self._store.delete(EVENTS, name, namespace)


def _again(event: Obj, message: str, now: str) -> None:
    event["message"] = message
    event["count"] = (event.get("count") or 0) + 1
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
