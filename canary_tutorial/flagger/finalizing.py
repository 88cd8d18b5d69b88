"""Deletion with revertOnDeletion: restores the target's replicas, its Service and its VirtualService. Rules only.

In this order: announce it, scale the target up and wait for its pods (the controller tries again later), `give_back`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from canary_tutorial.flagger import owned, status_writes, structs, targets, texts
from canary_tutorial.flagger.effects import Emit, Explained, Get, Log, Obj, Refused, Rules, Update
from canary_tutorial.flagger.routes import LAST_APPLIED, ORIGINAL, TOOLKIT
from canary_tutorial.flagger.spec import Canary, Settings
from canary_tutorial.flagger.status import TERMINATING

FINALIZER = "finalizer.flagger.app"
CONFLICT_TRIES = 4


def announce(c: Canary) -> Rules[None]:
    """Once; a repeated try finds the phase already there."""
    if c.phase == TERMINATING:
        return
    with Explained("failed to update status"):
        yield from status_writes.phase(c, TERMINATING)
    yield Emit(c.obj, "Normal", texts.terminating(c))


def wake_target(c: Canary) -> Rules[None]:
    """The target gets as many replicas as the primary has."""
    with Explained("failed to revert target"):
        yield from targets.target(c)
        primary = yield from targets.find("Deployment", c.primary, c.namespace)
        if primary is None:
            yield from targets.scale_from_zero(c)
        else:
            yield from targets.scale(c, owned.replicas_of(primary))
    yield Log("info", f"{c.name}.{c.namespace} kind {c.kind} reverted")
    yield Log("info", f"Checking if canary is ready {c.name}.{c.namespace}")


def give_back(c: Canary, settings: Settings) -> Rules[None]:
    """Service and VirtualService as they were before Flagger."""
    found = yield from targets.target(c)
    label = owned.selector_label(c, found, settings.selector_labels)
    with Explained("failed revert router"):
        yield from _give_back_service(c, label)
    yield Log("info", f"{c.name}.{c.namespace} router reverted")
    with Explained("failed to revert mesh"):
        yield from _give_back_routes(c)
    yield Log("info", f"{c.name}.{c.namespace} mesh provider {c.spec.get('provider') or settings.provider} reverted")
    yield Log("info", f"Finalization complete for {c.name}.{c.namespace}")


def let_go(c: Canary) -> Rules[None]:
    """Off with the finalizer; then the Canary is gone."""
    yield from drop_finalizer(c)
    yield Emit(c.obj, "Normal", texts.terminated(c))


def _give_back_service(c: Canary, label: targets.Label) -> Rules[None]:
    """A Service that was there before gets its selector back; one that Flagger made goes with the Canary."""
    service = yield from targets.find("Service", c.apex, c.namespace)
    if service is None or owned.owning_canary(service) is not None:
        return
    annotations = service["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations:
        selector = (json.loads(annotations[LAST_APPLIED]).get("spec") or {}).get("selector")
    else:
        selector, annotations = {label[0]: label[1]}, annotations | TOOLKIT
    with Explained(f"service {c.apex} update error"):
        metadata = {**service["metadata"], "annotations": annotations}
        yield Update("Service", {**service, "metadata": metadata, "spec": {**service["spec"], "selector": selector}})


def _give_back_routes(c: Canary) -> Rules[None]:
    found = yield from targets.find("VirtualService", c.apex, c.namespace)
    if found is None:
        return
    annotations = found["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations:
        spec: Obj = json.loads(annotations[LAST_APPLIED]).get("spec") or {}
    elif ORIGINAL in annotations:
        spec = json.loads(annotations[ORIGINAL])
    else:
        text = f"VirtualService {c.apex}.{c.namespace} original configuration not found, unable to revert"
        yield Log("warn", text)
        return
    with Explained(f"VirtualService {c.apex}.{c.namespace} update error"):
        yield Update("VirtualService", {**found, "spec": structs.virtualservice(spec)})


# -- the finalizer


def has_finalizer(obj: Obj) -> bool:
    return FINALIZER in (obj["metadata"].get("finalizers") or [])


def drop_finalizer(c: Canary) -> Rules[None]:
    yield from _finalizers(c, lambda now: [each for each in now if each != FINALIZER])


def add_finalizer(c: Canary) -> Rules[None]:
    yield from _finalizers(c, lambda now: now if FINALIZER in now else [*now, FINALIZER])


def _finalizers(c: Canary, change: Callable[[list[str]], list[str]]) -> Rules[None]:
    """Each try is on a fresh read: the Canary's own job may write its status in between."""
    for left in reversed(range(CONFLICT_TRIES)):
        fresh = yield Get("Canary", c.name, c.namespace)
        present = fresh["metadata"].get("finalizers") or []
        wanted = change(present)
        if wanted == present:
            return
        meta = {field: value for field, value in fresh["metadata"].items() if field != "finalizers"}
        try:
            yield Update("Canary", {**fresh, "metadata": meta | ({"finalizers": wanted} if wanted else {})})
            return
        except Refused as refused:
            if not (refused.conflict and left):
                raise
