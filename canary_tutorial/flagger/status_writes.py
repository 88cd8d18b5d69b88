"""Writes the Canary's status: a full sync, the phase, single fields. Rules only; `status.py` has what is written."""

from __future__ import annotations

from canary_tutorial.flagger import configs, targets
from canary_tutorial.flagger.effects import Explained, Log, Obj, Refused, Rules, TickEnds, WriteStatus
from canary_tutorial.flagger.spec import Canary, Settings, whole
from canary_tutorial.flagger.status import fields_of_phase, fields_of_sync, revision_hash


def sync(c: Canary, phase: str, settings: Settings, *, weight: int = 0, keep: bool = False) -> Rules[Canary]:
    """Write the run's numbers and the revision that the target shows now. `keep` leaves the numbers as they are."""
    target = yield from targets.target(c)
    with Explained("GetConfigRefs failed: GetTargetConfigs failed"):
        tracked = yield from configs.checksums(c, target, settings)
    changed = fields_of_sync(phase, revision_hash((target.get("spec") or {}).get("template")), tracked, weight)
    if keep:
        changed |= {name: whole(c.status.get(name)) for name in ("canaryWeight", "failedChecks", "iterations")}
    return (yield from write(c, changed))


def synced_or_logged(c: Canary, phase: str, settings: Settings, weight: int = 0) -> Rules[Canary | None]:
    """As `sync`; a failure only shows in the log. -> the Canary written, or None."""
    try:
        return (yield from sync(c, phase, settings, weight=weight))
    except (TickEnds, Refused) as why:
        yield Log("error", str(why))
        return None


def phase(c: Canary, to: str) -> Rules[Canary]:
    return (yield from write(c, fields_of_phase(to, c.status, c.iterations)))


def write(c: Canary, changed: Obj) -> Rules[Canary]:
    """-> the Canary as it was written."""
    cookies = c.cookies.as_status() if c.analysis.get("sessionAffinity") else {}
    with Explained(f"failed after retries: updating canary {c.name}.{c.namespace} status failed"):
        return Canary((yield WriteStatus(c.name, c.namespace, changed | cookies)))
