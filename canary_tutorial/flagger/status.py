"""The Canary's status: phases, their condition, the hash of a revision. Pure."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Any

Obj = dict[str, Any]

INITIALIZING, INITIALIZED, WAITING = "Initializing", "Initialized", "Waiting"
PROGRESSING, WAITING_PROMOTION, PROMOTING = "Progressing", "WaitingPromotion", "Promoting"
FINALISING, SUCCEEDED, FAILED, TERMINATING = "Finalising", "Succeeded", "Failed", "Terminating"

STARTING = ("", INITIALIZING)
ADVANCING = (PROGRESSING, WAITING, WAITING_PROMOTION, PROMOTING, FINALISING)
RUNNING = (PROGRESSING, WAITING_PROMOTION, PROMOTING, FINALISING)

# phase -> status and message of the condition "Promoted"; {kind} is the target's
CONDITIONS = {
    INITIALIZING: ("Unknown", "New {kind} detected, starting initialization."),
    INITIALIZED: ("True", "{kind} initialization completed."),
    WAITING: ("Unknown", "Waiting for approval."),
    PROGRESSING: ("Unknown", "New revision detected, progressing canary analysis."),
    WAITING_PROMOTION: ("Unknown", "Waiting for approval."),
    PROMOTING: ("Unknown", "Canary analysis completed, starting primary rolling update."),
    FINALISING: ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    SUCCEEDED: ("True", "Canary analysis completed successfully, promotion finished."),
    FAILED: ("False", "Canary analysis failed, {kind} scaled to zero."),
}
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
ALPHABET = str.maketrans("0123456789", "456789bcdf")


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def revision_hash(template: Any) -> str:
    """A short name for a pod template: the CRC-32 of its canonical JSON in Flagger's alphabet. Opaque, but stable."""
    return str(zlib.crc32(CANONICAL(template).encode())).translate(ALPHABET)


def has_changed(status: Obj, new_hash: str) -> bool:
    """Whether the target is a new revision. The promoted one never is: going back to it starts nothing."""
    applied = status.get("lastAppliedSpec") or ""
    if not applied:
        return True
    return new_hash not in (status.get("lastPromotedSpec"), applied)


def with_fields(status: Obj, fields: Obj, kind: str, now: datetime) -> Obj:
    """The status after a write: fields changed, time moved, the condition brought up to the phase."""
    written = {"canaryWeight": 0, "failedChecks": 0, "iterations": 0, **status, **fields}
    written["lastTransitionTime"] = timestamp(now)
    if written.get("phase") and "phase" in fields:
        written["conditions"] = conditions(status.get("conditions"), written["phase"], kind, now)
    return {key: value for key, value in written.items() if value not in (None, "")}


def conditions(current: list[Obj] | None, phase: str, kind: str, now: datetime) -> list[Obj]:
    """The one condition, `Promoted`; kept as it is while neither status nor reason change."""
    value, message = CONDITIONS.get(phase, CONDITIONS[INITIALIZING])
    old = next((c for c in current or [] if c["type"] == "Promoted"), None)
    if old and (old["status"], old["reason"]) == (value, phase):
        return list(current or [])
    stamp = timestamp(now)
    since = old["lastTransitionTime"] if old and old["status"] == value else stamp
    return [
        {
            "type": "Promoted",
            "status": value,
            "reason": phase,
            "message": message.format(kind=kind),
            "lastUpdateTime": stamp,
            "lastTransitionTime": since,
        }
    ]


def fields_of_sync(
    phase: str, applied: str, configs: dict[str, str] | None, weight: int = 0, failed: int = 0, iterations: int = 0
) -> Obj:
    """What "sync" writes: the run's numbers, and the revision that it is about."""
    fields: Obj = {
        "phase": phase,
        "canaryWeight": weight,
        "failedChecks": failed,
        "iterations": iterations,
        "lastAppliedSpec": applied,
        "trackedConfigs": configs,
    }
    if phase == INITIALIZED:
        fields["lastPromotedSpec"] = applied
    return fields


def fields_of_phase(phase: str, status: Obj, iterations: int) -> Obj:
    """What a change of phase writes. failedChecks stays as it was, also in Succeeded."""
    fields: Obj = {"phase": phase}
    if phase not in (PROGRESSING, WAITING, PROMOTING):
        fields["canaryWeight"] = 0
        fields["iterations"] = iterations - 1 if phase == WAITING_PROMOTION else 0
    if phase in (INITIALIZED, SUCCEEDED):
        fields["lastPromotedSpec"] = status.get("lastAppliedSpec", "")
    return fields
