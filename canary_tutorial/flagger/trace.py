"""A tick as a row: what Flagger read, measured and did, one JSON object per tick. Pure.

    {"time": "...Z", "canary": "podinfo.test", "phase": "Progressing", "primary": 80, "canary_weight": 20,
     "mirrored": false, "failedChecks": 0, "checks": [{"metric", "query", "interval", "value", "threshold", "verdict"}],
     "hooks": [{"name", "type", "error"}], "events": [{"type", "message"}]}

Weights, phase and failedChecks are those at the end of the tick. When FLAGGER_TRACE is set, the controller logs each row
as the field `tick` of a line with the message "tick"; `canary-tutorial trace` prints them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from canary_tutorial.flagger.effects import CallHook, Checked, Effect, Emit, Get, Obj, Refused, Update, WriteStatus
from canary_tutorial.flagger.golang import timestamp
from canary_tutorial.flagger.routes import read
from canary_tutorial.flagger.spec import Canary, name_of


class Step(NamedTuple):
    """One effect of a tick with its answer, or with the refusal that came instead."""

    effect: Effect
    answer: Any = None
    refused: Refused | None = None


def row(name: str, namespace: str, began: datetime, steps: Iterable[Step]) -> Obj:
    """What a tick comes to."""
    seen: Obj = {
        "time": timestamp(began, "milliseconds"),
        "canary": f"{name}.{namespace}",
        "phase": "",
        "failedChecks": 0,
        "checks": [],
        "hooks": [],
        "events": [],
    }
    canary: Canary | None = None
    for effect, answer, refused in steps:
        match effect:
            case Get("Canary") | WriteStatus() if answer:
                canary = Canary(answer)
                seen["phase"], seen["failedChecks"] = canary.phase, canary.failed_checks
            case Get("VirtualService") | Update("VirtualService") if answer and canary:
                seen.update(_weights(canary, answer))
            case Checked():
                fields = ("metric", "query", "interval", "value", "threshold", "verdict")
                seen["checks"].append({field: getattr(effect, field) for field in fields})
            case CallHook(_, hook, _) if refused is None:
                seen["hooks"].append({"name": name_of(hook), "type": hook.get("type") or "rollout", "error": answer})
            case Emit(_, type_, message):
                seen["events"].append({"type": type_, "message": message})
    return seen


def _weights(canary: Canary, virtualservice: Obj) -> Obj:
    try:
        routes = read(canary, virtualservice)
    except Refused:
        return {}
    return {"primary": routes.primary, "canary_weight": routes.canary, "mirrored": routes.mirrored}
