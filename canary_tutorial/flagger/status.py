"""The Canary's status: phases, their condition, the hash of a revision. Pure."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Any

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import timestamp

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


def revision_hash(template: Any) -> str:
    """A short name for a pod template: the CRC-32 of its canonical JSON in Flagger's alphabet. Opaque, but stable."""
    text = CANONICAL(template)
    if any(nothing in text for nothing in (":null", ":[]", ":{}")):
        text = CANONICAL(_said(template))
    return str(zlib.crc32(text.encode())).translate(ALPHABET)


def _said(value: Any) -> Any:
    """Without the fields that are null or empty: some API servers write them, others leave them out."""
    if isinstance(value, dict):
        return {key: said for key, each in value.items() if (said := _said(each)) not in (None, [], {})}
    return [_said(each) for each in value] if isinstance(value, list) else value


def has_changed(status: Obj, new_hash: str) -> bool:
    """Whether the target is a new revision. The promoted one never is: going back to it starts nothing."""
    applied = status.get("lastAppliedSpec") or ""
    if not applied:
        return True
    return new_hash not in (status.get("lastPromotedSpec"), applied)


def with_fields(status: Obj, fields: Obj, kind: str, now: datetime) -> Obj:
    """The status after a write: fields changed, time moved, the condition brought up to the phase."""
    known = {key: value for key, value in status.items() if value is not None}
    written = {"canaryWeight": 0, "failedChecks": 0, "iterations": 0, **known, **fields}
    written["lastTransitionTime"] = timestamp(now)
    if written.get("phase") and "phase" in fields:
        written["conditions"] = conditions(status.get("conditions"), written["phase"], kind, now)
    return {key: value for key, value in written.items() if value not in (None, "")}


def conditions(current: Any, phase: str, kind: str, now: datetime) -> list[Obj]:
    """The one condition, `Promoted`; kept as it is while neither status nor reason change."""
    value, message = CONDITIONS.get(phase, CONDITIONS[INITIALIZING])
    present = [each for each in current if isinstance(each, dict)] if isinstance(current, list) else []
    old = next((each for each in present if each.get("type") == "Promoted"), {})
    if (old.get("status"), old.get("reason")) == (value, phase):
        return present
    stamp = timestamp(now)
    since = (old.get("lastTransitionTime") if old.get("status") == value else None) or stamp
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


def fields_of_sync(phase: str, applied: str, configs: dict[str, str] | None, weight: int) -> Obj:
    """What "sync" writes: the run's numbers, and the revision that it is about."""
    fields: Obj = {
        "phase": phase,
        "canaryWeight": weight,
        "failedChecks": 0,
        "iterations": 0,
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
        fields["lastPromotedSpec"] = status.get("lastAppliedSpec") or ""
    return fields
