"""A tick as a record: what was seen and done, one JSON object per tick. Pure.

    {"time": "...Z", "canary": "podinfo.test", "phase": "Progressing", "primary": 80, "canary_weight": 20,
     "mirrored": false, "failedChecks": 0, "checks": [{"metric", "query", "interval", "value", "threshold", "verdict"}],
     "hooks": [{"name", "type", "error"}], "events": [{"type", "message"}]}

Weights, phase and failedChecks are those at the end of the tick. The controller writes these lines into its log as the
field `tick` of a line with the message "tick" when FLAGGER_TRACE is set; `canary-tutorial trace` shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from canary_tutorial.flagger.effects import CallHook, Checked, Emit, Gauge, Get, Obj, Update, WriteStatus
from canary_tutorial.flagger.routes import read
from canary_tutorial.flagger.spec import Canary


class Tick:
    """Collects one tick."""

    def __init__(self, name: str, namespace: str, now: datetime) -> None:
        self._canary: Canary | None = None
        self._record: Obj = {
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "canary": f"{name}.{namespace}",
            "phase": "",
            "failedChecks": 0,
            "checks": [],
            "hooks": [],
            "events": [],
        }

    def saw(self, effect: Any, answer: Any) -> None:
        record = self._record
        match effect:
            case Get("Canary") | WriteStatus() if answer:
                self._canary = Canary(answer)
                record["phase"], record["failedChecks"] = self._canary.phase, self._canary.failed_checks
            case Get("VirtualService") | Update("VirtualService") if answer and self._canary:
                try:
                    routes = read(self._canary, answer)
                except ValueError:
                    return
                record.update(primary=routes.primary, canary_weight=routes.canary, mirrored=routes.mirrored)
            case Checked(metric, query, interval, value, threshold, verdict, _):
                fields = ("metric", "query", "interval", "value", "threshold", "verdict")
                values = (metric, query, interval, value, threshold, verdict)
                record["checks"].append(dict(zip(fields, values, strict=True)))
            case CallHook(_, hook, _):
                record["hooks"].append({"name": hook["name"], "type": hook.get("type") or "rollout", "error": answer})
            case Emit(_, type_, message):
                record["events"].append({"type": type_, "message": message})
            case Gauge():
                pass

    def as_json(self) -> Obj:
        return self._record
