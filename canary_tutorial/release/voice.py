"""What Flagger says, from its log: the same sentences as its events, and all of them. Pure.

Kubernetes' recorders write at most 25 events about one object before they let only one through each five minutes, and
after ten different ones put the rest into one. A lesson says more than that. Flagger logs each event as a line of JSON.
"""

from __future__ import annotations

import json
import re
from datetime import datetime

from canary_tutorial.release.timeline import Event

# Lines about what Flagger keeps right, which are no events.
ONLY_LOGGED = re.compile(
    r"(Scaling down (Deployment|DaemonSet) |Running mirror step |Start traffic mirroring|Synced |tick$|.* opting out"
    r"|(Deployment|Service|DestinationRule|VirtualService|ConfigMap|Secret|HorizontalPodAutoscaler) .*(created|updated|synced)$"
    r"|(configmap|secret) .* has changed|Canary .* uses HTTP service|error sending event|alert provider )"
)
WARNINGS = re.compile(
    r"Halt |Rolling back |Canary failed!|Rollback check |Promotion of |canary deployment |.* not ready: |Post-rollout hook "
    r"|Error |Prometheus query failed|Metric |reconcile|.* error: |VirtualService "
)


def heard(line: str, canary: str, namespace: str, time: float | None = None, since: float = 0.0) -> Event | None:
    """The event that a log line tells of this canary, heard at `time` (None: when it was said); None for others, and
    for what was said before `since` (both in seconds since the epoch)."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("canary") != f"{canary}.{namespace}":
        return None
    message = str(said.get("msg", ""))
    at = datetime.fromisoformat(str(said["ts"]).replace("Z", "+00:00")).timestamp()
    if at < since:
        return None
    if ONLY_LOGGED.match(message):
        return None
    warning = said.get("level") == "error" or WARNINGS.match(message)
    return Event(at if time is None else time, "Warning" if warning else "Normal", message)
