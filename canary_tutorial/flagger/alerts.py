"""Which chat rooms hear of what: one `Alert` for each. Rules only; what a message looks like is in `chats`."""

from __future__ import annotations

from canary_tutorial.flagger.effects import Alert, Obj, Rules
from canary_tutorial.flagger.spec import Canary, mapping, name_of


def alert(c: Canary, message: str, severity: str, metadata: bool = True) -> Rules[None]:
    """To the Canary's own alert providers; if it names none, to the one of the flags."""
    named = c.analysis.get("alerts")
    if not named:
        yield Alert(c.obj, message, severity, metadata)
        return
    # What cannot be read is passed over: a rollback does not wait for an alert.
    for each in named if isinstance(named, list) else ():
        if isinstance(each, dict) and wanted(each, severity):
            reference = mapping(each, "providerRef")
            where = str(reference.get("namespace") or c.namespace)
            yield Alert(c.obj, message, severity, metadata, (name_of(reference), where))


def wanted(entry: Obj, severity: str) -> bool:
    """info hears everything, warn warnings and errors, error errors alone; who names no severity hears nothing."""
    own = entry.get("severity")
    return own in ("info", severity) or (own == "warn" and severity == "error")
