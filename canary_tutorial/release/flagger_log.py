"""Reads Flagger's events and its log through the Kubernetes API.

Events are not enough: client-go's recorder writes at most 25 about one object, then one in five minutes, and after ten
different texts combines the rest into one event. Flagger logs each event as a line of JSON, so its log has all of
them. I/O: through a Cluster.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from canary_tutorial.errors import Refused
from canary_tutorial.install import installed
from canary_tutorial.kube.cluster import Cluster
from canary_tutorial.kube.objects import Obj
from canary_tutorial.release.timeline import Event

# Lines about what Flagger keeps right, which are no events.
NOT_EVENTS = re.compile(
    r"(Scaling down (Deployment|DaemonSet) |Running mirror step |Start traffic mirroring|Synced |tick$|.* opting out"
    r"|(Deployment|Service|DestinationRule|VirtualService|ConfigMap|Secret|HorizontalPodAutoscaler) .*(created|updated|synced)$"
    r"|(configmap|secret) .* has changed|Canary .* uses HTTP service|error sending event|alert provider )"
)
WARNINGS = re.compile(
    r"Halt |Rolling back |Canary failed!|Rollback check |Promotion of |canary deployment |.* not ready: |Post-rollout hook "
    r"|Error |Prometheus query failed|Metric |reconcile|.* error: |VirtualService "
)
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


class FlaggerLog:
    """What Flagger has said about one canary; each call reads only what is new."""

    def __init__(self, cluster: Cluster, name: str, namespace: str) -> None:
        self.cluster, self.name, self.namespace = cluster, name, namespace
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def events(self) -> list[Event]:
        """Oldest first; what was read before, where the log may not be read."""
        with self._lock:
            last = self._events[-1].time if self._events else time.time() - LONGEST
            try:
                for line in log(self.cluster, last):
                    event = event_of_line(line, self.name, self.namespace, since=last)
                    if event and event not in self._events[-20:]:
                        self._events.append(event)
            except Refused:
                pass
            return list(self._events)


def event_of_line(line: str, canary: str, namespace: str, now: float | None = None, since: float = 0.0) -> Event | None:
    """The event that a log line tells of this canary, read at `now` (None: when it was said); None for others, and
    for what was said before `since` (both in seconds since the epoch)."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("canary") != f"{canary}.{namespace}":
        return None
    message = str(said.get("msg", ""))
    at = datetime.fromisoformat(str(said["ts"])).timestamp()
    if at < since:
        return None
    if NOT_EVENTS.match(message):
        return None
    warning = said.get("level") == "error" or WARNINGS.match(message)
    return Event(at if now is None else now, "Warning" if warning else "Normal", message)


def read_event(obj: Obj) -> Event:
    """A core/v1 Event in three words."""
    when: Any = obj.get("eventTime") or obj.get("lastTimestamp") or obj["metadata"]["creationTimestamp"]
    return Event(datetime.fromisoformat(when).timestamp(), obj["type"], obj["message"])
