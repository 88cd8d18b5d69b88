"""Events as client-go's recorder writes them. `Correlator` is pure: it says what to write; `kube` writes it.

The same event again raises a count. From the tenth different text within ten minutes on, texts go into one rolling event
that says "(combined from similar events)". An object gets 25 writes at once, then one each five minutes.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.status import timestamp

REASON, COMPONENT = "Synced", "flagger"
PREFIX = "(combined from similar events): "
DISTINCT, WINDOW = 10, timedelta(minutes=10)
BURST, REFILL = 25.0, 1 / 300  # tokens, tokens per second
KEPT = 4096  # remembered texts
_NUMBERS = itertools.count(time.time_ns())


@dataclass
class _Group:
    """Texts of one object, type and reason."""

    texts: set[str] = field(default_factory=set)
    last: datetime | None = None


@dataclass
class _Written:
    obj: Obj
    count: int
    first: str


@dataclass
class _Bucket:
    tokens: float
    at: datetime


class Correlator:
    """Remembers what was told, and turns a new event into a write: ("create" | "patch", object), or None if dropped."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}
        self._written: dict[tuple[str, str, str], _Written] = {}
        self._buckets: dict[str, _Bucket] = {}

    def told(self, canary: Obj, type_: str, message: str, now: datetime) -> tuple[str, Obj] | None:
        uid = canary["metadata"].get("uid", "")
        group = self._groups.setdefault((uid, type_), _Group())
        if group.last and now - group.last > WINDOW:
            group.texts.clear()
        group.texts.add(message)
        group.last = now
        combined = len(group.texts) >= DISTINCT
        if len(group.texts) > DISTINCT:  # client-go keeps no more: what counts is that there are many
            group.texts.pop()
        text = PREFIX + message if combined else message
        key = (uid, type_, PREFIX if combined else message)
        if not self._may(uid, now):
            return None
        known = self._written.get(key)
        if known is None:
            obj = _event(canary, type_, text, now)
            self._written[key] = _Written(obj, 1, timestamp(now))
            while len(self._written) > KEPT:
                self._written.pop(next(iter(self._written)))
            return "create", obj
        known.count += 1
        meta = known.obj["metadata"]
        changed = {"count": known.count, "lastTimestamp": timestamp(now), "message": text}
        return "patch", {"metadata": {"name": meta["name"], "namespace": meta["namespace"]}, **changed}

    def forget(self, uid: str) -> None:
        """The Canary is gone."""
        self._buckets.pop(uid, None)
        for type_ in ("Normal", "Warning"):
            self._groups.pop((uid, type_), None)
        for key in [key for key in self._written if key[0] == uid]:
            del self._written[key]

    def _may(self, uid: str, now: datetime) -> bool:
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at).total_seconds() * REFILL)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _event(canary: Obj, type_: str, message: str, now: datetime) -> Obj:
    meta = canary["metadata"]
    stamp = timestamp(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{next(_NUMBERS):x}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta.get("uid", ""),
            "resourceVersion": meta.get("resourceVersion", ""),
        },
        "reason": REASON,
        "message": message,
        "type": type_,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
