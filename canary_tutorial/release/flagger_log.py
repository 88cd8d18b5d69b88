"""Flagger's log, read through the Kubernetes API: what it says while one listens, and what it has said so far.

Its events are not enough: of those Kubernetes lets only 25 about one object through (voice.py). I/O: through a Cluster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from canary_tutorial.errors import Refused
from canary_tutorial.install import installed
from canary_tutorial.release import voice
from canary_tutorial.release.timeline import Event

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

LONGEST = 3600.0  # seconds of Flagger's log that are read at most


def log(cluster: Cluster, since: float, follow: bool = False) -> Iterator[str]:
    """The lines of Flagger's log from `since` (seconds since the epoch) on; with `follow`, for as long as its pod lives.

    Raises Missing, Refused, Unreachable.
    """
    flagger = installed.the_flagger(cluster)["metadata"]
    pod = cluster.pod(f"deployment/{flagger['name']}", flagger["namespace"])["metadata"]
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/log"
    begin = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from cluster.api.lines(path, {"sinceTime": begin, **({"follow": "true"} if follow else {})})


class Memory:
    """What Flagger has said about one canary; each look reads only what is new."""

    def __init__(self, cluster: Cluster, name: str, namespace: str) -> None:
        self.cluster, self.name, self.namespace = cluster, name, namespace
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def events(self) -> list[Event]:
        """Oldest first; what was heard before, where the log may not be read."""
        with self._lock:
            last = self._events[-1].time if self._events else time.time() - LONGEST
            try:
                for line in log(self.cluster, last):
                    event = voice.heard(line, self.name, self.namespace, since=last)
                    if event and event not in self._events[-20:]:
                        self._events.append(event)
            except Refused:
                pass
            return list(self._events)
