"""maxSurge and maxUnavailable as numbers of pods. Pure."""

from __future__ import annotations

import math
from typing import Any

from canary_tutorial.lab.objects import Obj


def replicas_of(obj: Obj) -> int:
    return int(obj["spec"].get("replicas", 1))


def _share(value: Any, of: int, *, round_up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * of / 100
        return math.ceil(part) if round_up else math.floor(part)
    return int(value)


def _rolling(deployment: Obj) -> Obj:
    return (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}


def max_surge(deployment: Obj) -> int:
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0
    return _share(_rolling(deployment).get("maxSurge", "25%"), replicas_of(deployment), round_up=True)


def max_unavailable(deployment: Obj) -> int:
    """Pods that may be missing during a rollout; both limits at zero would block it, so then one may."""
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0
    replicas = replicas_of(deployment)
    allowed = _share(_rolling(deployment).get("maxUnavailable", "25%"), replicas, round_up=False)
    if allowed == 0 and max_surge(deployment) == 0:
        allowed = 1
    return min(allowed, replicas)
