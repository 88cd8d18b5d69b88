"""A release as a table of ticks: what Flagger measured at each tick, and what it did.

The lab's Flagger logs its ticks (lines with the message "tick"); these give full rows, with checks. The log of any other
Flagger has only the events: then each moment with events is a row, and cells without data stay empty. Pure but for
`of_canary`, which reads the log, and `count_samples`, which queries Prometheus.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import TutorialError
from canary_tutorial.install import installed
from canary_tutorial.metrics.prometheus import UNITS
from canary_tutorial.screen.tables import Listed, Table

if TYPE_CHECKING:
    from canary_tutorial.release.state import CanaryState

Tick = dict[str, Any]
COLUMNS = ["tick", "time", "phase", "weights", "mirror", "failed checks", "checks", "events"]


def ticks(log: Iterable[str], canary: str) -> list[Tick]:
    """The ticks of `canary` ("name.namespace") that a log tells of; from its events alone, if it tells of none."""
    told, said = [], []
    for line in log:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("msg") == "tick" and entry["tick"]["canary"] == canary:
            told.append(entry["tick"])
        elif entry.get("canary") == canary:
            said.append(entry)
    return told or _from_events(said)


def _from_events(entries: list[dict[str, Any]]) -> list[Tick]:
    """Rows of what was said within the same second: Flagger's own log, without ticks of ours."""
    rows: list[Tick] = []
    for entry in entries:
        if not rows or abs(_seconds(entry["ts"]) - _seconds(rows[-1]["time"])) > 1:
            rows.append({"time": entry["ts"], "canary": entry["canary"], "checks": [], "hooks": [], "events": []})
        kind = "Warning" if entry.get("level") in ("warn", "error") else "Normal"
        rows[-1]["events"].append({"type": kind, "message": entry["msg"]})
    return rows


def since(found: Iterable[Tick], began: float) -> list[Tick]:
    """Those from `began` (seconds since the epoch) on."""
    return [tick for tick in found if _seconds(tick["time"]) >= began]


def worth_telling(found: Sequence[Tick]) -> list[tuple[int, Tick]]:
    """(number, tick), without those at which nothing changed and nothing was said."""
    kept, before = [], None
    for number, tick in enumerate(found, 1):
        state = [tick.get(key) for key in ("phase", "primary", "canary_weight", "mirrored", "failedChecks")]
        if state != before or tick["events"] or tick["checks"]:
            kept.append((number, tick))
        before = state
    return kept


class Ticks(Listed[Tick]):
    """Ticks, in order."""

    def table(self) -> Table:
        rows = [
            [*_state(number, tick), _joined(_checks(tick)), _joined(_said(tick))]
            for number, tick in worth_telling(self)
        ]
        return Table(COLUMNS, rows)


def text(number: int, tick: Tick) -> str:
    """One tick for a terminal: its state in a line, and below it a line for each check and each event."""
    widths = (4, 8, 16, 7, 6, 1)
    state = "  ".join(cell.ljust(width) for cell, width in zip(_state(number, tick), widths, strict=True))
    return "\n".join([state.rstrip(), *(f"{'':16}{line}" for line in (*_checks(tick), *_said(tick)))])


HEAD = "TICK  TIME      PHASE             WEIGHTS  MIRROR  FAILED CHECKS"


def _state(number: int, tick: Tick) -> list[str]:
    known = tick.get("primary") is not None
    when = datetime.fromtimestamp(_seconds(tick["time"])).strftime("%H:%M:%S")
    weights = f"{tick['primary']}/{tick['canary_weight']}" if known else ""
    mirror = ("yes" if tick["mirrored"] else "no") if known else ""
    return [str(number), when, tick.get("phase") or "", weights, mirror, str(tick.get("failedChecks", ""))]


def _checks(tick: Tick) -> list[str]:
    lines = []
    for check in tick["checks"]:
        unit = UNITS.get(check["metric"], "")
        value = "no value" if check["value"] is None else f"{check['value']:.4g}{unit}"
        counted = f", {check['samples']:.0f} requests" if "samples" in check else ""
        verdict = "passed" if check["verdict"] == "passed" else "FAILED"
        lines.append(
            f"{check['metric']}: {value} (threshold {check['threshold']}{unit} over {check['interval']}{counted}) {verdict}"
        )
    return lines + [f"gate {hook['name']}: {hook['error'] or 'passed'}" for hook in tick["hooks"]]


def _said(tick: Tick) -> list[str]:
    return [f"{'! ' if event['type'] == 'Warning' else ''}{event['message'].strip()}" for event in tick["events"]]


def _joined(lines: list[str]) -> str:
    return "; ".join(lines) or "-"


def of_canary(canary: CanaryState) -> list[Tick]:
    """The ticks that Flagger's log still tells of, each check with the number of requests in its window.

    Raises Missing where no Flagger runs.
    """
    cluster = canary.cluster
    canary.obj  # noqa: B018 - a Canary that is not there is the better message
    flagger = installed.the_flagger(cluster)["metadata"]
    log = cluster.logs(f"deployment/{flagger['name']}", flagger["namespace"]).splitlines()
    return ticks(log, f"{canary.name}.{canary.namespace}")


def count_samples(found: Iterable[Tick], canary: CanaryState) -> None:
    """Add to each check how many requests of the canary were counted in its window; without Prometheus, nothing."""
    for tick in found:
        for check in tick["checks"]:
            if check.get("interval") and "samples" not in check:
                try:
                    at = _seconds(tick["time"])
                    check["samples"] = canary.metrics.request_count(canary.target, check["interval"], at)
                except TutorialError:
                    return


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()
