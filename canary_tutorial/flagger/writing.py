"""Writing the Canary's status: sync, phase, single fields. Rules only; see `status.py` for what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canary_tutorial.flagger import objects
from canary_tutorial.flagger.effects import Get, Refused, Rules, TickEnds, WriteStatus
from canary_tutorial.flagger.spec import Canary
from canary_tutorial.flagger.status import fields_of_phase, fields_of_sync, revision_hash

if TYPE_CHECKING:
    from canary_tutorial.flagger.rules import Settings


def sync(c: Canary, phase: str, settings: Settings, *, weight: int = 0, keep: bool = False) -> Rules:
    """Write the run's numbers and the revision that the target shows now. `keep` leaves the numbers as they are."""
    try:
        target = yield Get("Deployment", c.target, c.namespace)
    except Refused as refused:
        raise TickEnds(f"deployment {c.target}.{c.namespace} get query error: {refused.message}") from refused
    configs = yield from objects.tracked_configs(c, target, settings)
    applied = revision_hash(target["spec"]["template"])
    fields = fields_of_sync(phase, applied, configs, weight)
    if keep:
        numbers = {"canaryWeight": "canaryWeight", "failedChecks": "failedChecks", "iterations": "iterations"}
        fields.update({name: int(c.status.get(name) or 0) for name in numbers})
    return (yield from write(c, fields | objects.cookie_fields(c)))


def phase(c: Canary, to: str) -> Rules:
    return (yield from write(c, fields_of_phase(to, c.status, c.iterations) | objects.cookie_fields(c)))


def fields(c: Canary, changed: dict[str, Any]) -> Rules:
    return (yield from write(c, changed | objects.cookie_fields(c)))


def write(c: Canary, changed: dict[str, Any]) -> Rules:
    written = yield WriteStatus(c.name, c.namespace, changed)
    return Canary(written)
