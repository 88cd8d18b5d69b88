"""Deletion with revertOnDeletion: give the target its pods, its Service and its routes back. Rules only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from canary_tutorial.flagger import objects, texts, writing
from canary_tutorial.flagger.effects import Emit, Get, Log, Patch, Refused, Rules, TickEnds, Update
from canary_tutorial.flagger.routes import LAST_APPLIED, ORIGINAL
from canary_tutorial.flagger.spec import Canary, Obj
from canary_tutorial.flagger.status import TERMINATING
from canary_tutorial.flagger.workloads import is_owned

if TYPE_CHECKING:
    from canary_tutorial.flagger.rules import Settings

FINALIZER = "finalizer.flagger.app"


def begin(c: Canary) -> Rules:
    """Announce it, and wake the target."""
    yield from writing.phase(c, TERMINATING)
    yield Emit(c.obj, "Normal", texts.terminating(c), phase=TERMINATING)
    target = yield from objects.target(c)
    primary = yield from objects.find("Deployment", c.primary, c.namespace)
    if primary is None:
        yield from objects.scale_from_zero(c, target)
    else:
        replicas = primary["spec"].get("replicas", 1)
        yield Patch("Deployment", c.target, c.namespace, {"spec": {"replicas": replicas}})


def finish(c: Canary, settings: Settings) -> Rules:
    """Once the target is ready: Service and VirtualService as they were before Flagger, and the finalizer off."""
    target = yield from objects.target(c)
    name, value = objects.label(c, target, settings)
    service = yield from objects.find("Service", c.apex, c.namespace)
    if service is not None and not is_owned(c, service):
        before = _last_applied(service)
        selector = (before.get("spec") or {}).get("selector") or {name: value}
        yield Update("Service", {**service, "spec": {**service["spec"], "selector": selector}})
    routes = yield from objects.find("VirtualService", c.apex, c.namespace)
    if routes is not None:
        original = (routes["metadata"].get("annotations") or {}).get(ORIGINAL)
        spec = _last_applied(routes).get("spec") or (json.loads(original) if original else None)
        if spec:
            yield Update("VirtualService", {**routes, "spec": spec})
        else:
            yield Log("warn", f"VirtualService {c.apex}.{c.namespace} original configuration not found, unable to revert")
    yield from drop_finalizer(c)
    yield Emit(c.obj, "Normal", texts.terminated(c), phase=TERMINATING)


def drop_finalizer(c: Canary) -> Rules:
    try:
        fresh = yield Get("Canary", c.name, c.namespace)
    except Refused as refused:
        raise TickEnds(refused.message) from refused
    kept = [f for f in fresh["metadata"].get("finalizers") or [] if f != FINALIZER]
    yield Update("Canary", {**fresh, "metadata": {**fresh["metadata"], "finalizers": kept}})


def add_finalizer(c: Canary) -> Rules:
    fresh = yield Get("Canary", c.name, c.namespace)
    kept = [*(fresh["metadata"].get("finalizers") or []), FINALIZER]
    return (yield Update("Canary", {**fresh, "metadata": {**fresh["metadata"], "finalizers": kept}}))


def _last_applied(obj: Obj) -> Obj:
    text = (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    return json.loads(text) if text else {}  # type: ignore[no-any-return]
