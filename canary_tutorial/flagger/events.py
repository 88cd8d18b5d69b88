"""Events as client-go's recorder writes them. `Correlator` is pure: it decides what to write; `kube` writes it.

The same event again raises a count. From the tenth different text on, with at most ten minutes between them, texts are
combined into one event that says "(combined from similar events)". Of each type, an object gets 25 writes at once, then one
in 5 minutes.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import timestamp

REASON, COMPONENT = "Synced", "flagger"
PREFIX = "(combined from similar events): "
DISTINCT, WINDOW = 10, timedelta(minutes=10)
BURST, REFILL = 25.0, 1 / 300  # tokens, tokens per second
_NUMBERS = itertools.count(time.time_ns())


@dataclass
class _Group:
    """Texts of one object and type: at most nine are known at a time."""

    last: datetime
    texts: set[str] = field(default_factory=set)


@dataclass
class _Bucket:
    tokens: float
    at: datetime


@dataclass
class _Told:
    """What client-go's three caches keep of one object's events."""

    buckets: dict[str, _Bucket] = field(default_factory=dict)  # by type
    groups: dict[str, _Group] = field(default_factory=dict)
    events: dict[tuple[str, str], Obj] = field(default_factory=dict)  # the last state of each event


class Correlator:
    """Remembers the events sent, and turns a new event into one that is to be written; its `count` says if it is new."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def told(self, canary: Obj, type_: str, message: str, now: datetime) -> Obj | None:
        """The event to write: created if its count is 1, else patched. None if too much of its type was said."""
        uid = canary["metadata"].get("uid") or ""
        of = self._told.setdefault(uid, _Told())
        key, text = (type_, message), message
        if self._are_many(of, type_, message, now):
            key, text = (type_, PREFIX), PREFIX + message
        known = of.events.get(key)
        if known is None:
            event = _event(canary, type_, text, now)
        else:
            event = {**known, "count": known["count"] + 1, "lastTimestamp": timestamp(now), "message": text}
        of.events[key] = event
        return event if _may(of.buckets.setdefault(type_, _Bucket(BURST, now)), now) else None

    def _are_many(self, of: _Told, type_: str, message: str, now: datetime) -> bool:
        group = of.groups.get(type_)
        if group is None or now - group.last > WINDOW:
            group = of.groups[type_] = _Group(now)
        group.last = now
        group.texts.add(message)
        if len(group.texts) < DISTINCT:
            return False
        group.texts.remove(message)  # client-go drops any one of the ten
        return True

    def forget(self, uid: str) -> None:
        """The Canary is gone."""
        self._told.pop(uid, None)


def _may(bucket: _Bucket, now: datetime) -> bool:
    """A token bucket: 25 events at once, then one in five minutes."""
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
            "uid": meta.get("uid") or "",
            "resourceVersion": meta.get("resourceVersion") or "",
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
