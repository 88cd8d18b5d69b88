"""One tick: what Flagger does for a Canary each interval, in its order.

    observe -> keep the objects right -> is there anything to advance? -> are primary and target ready? -> a new
    revision? -> hooks, metrics -> one step of the strategy

`advance` is a generator (see `effects.py`): no clock, no client, no network. The rooms beside it: `objects` (what is
kept right), `analysis` (hooks and metrics), `steps` (the strategies, promotion, rollback), `writing` (status).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from canary_tutorial.flagger import analysis, objects, steps, texts, writing
from canary_tutorial.flagger.effects import Emit, Gauge, Get, Log, Patch, Refused, Rules, TickEnds
from canary_tutorial.flagger.spec import AB, BLUE_GREEN, Canary
from canary_tutorial.flagger.status import (
    ADVANCING,
    FAILED,
    FINALISING,
    INITIALIZED,
    PROGRESSING,
    PROMOTING,
    RUNNING,
    STARTING,
    WAITING_PROMOTION,
)


@dataclass(frozen=True)
class Settings:
    """What the controller's flags say."""

    provider: str = "istio"
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    include_label_prefix: tuple[str, ...] = ()
    config_tracking: bool = True
    least_interval: float = 10.0
    no_cross_namespace_refs: bool = False


def advance(name: str, namespace: str, settings: Settings) -> Rules:
    """One tick for one Canary; returns nothing, everything is in what it yields."""
    try:
        obj = yield Get("Canary", name, namespace)
    except Refused:
        yield Log("error", f"Canary {name}.{namespace} not found")
        return
    c = Canary(obj)
    try:
        yield from _advance(c, settings)
    except TickEnds as why:
        if str(why):
            yield Emit(c.obj, "Warning", str(why), level="error")
    except Refused as refused:
        yield Emit(c.obj, "Warning", refused.message, level="error")


def _advance(c: Canary, settings: Settings) -> Rules:
    if c.spec.get("suspend"):
        yield Emit(c.obj, "Normal", texts.SUSPENDED)
        return
    target = yield from objects.target(c)
    label = objects.label(c, target, settings)
    c = yield from keep_right(c, target, label, settings)

    # Is there anything to advance?
    before = c
    if c.phase == FAILED:
        c = yield from writing.sync(c, FAILED, settings, keep=True)
    if c.phase not in ADVANCING and not (yield from objects.has_changed(before, target, settings)):
        yield Gauge("status", {"phase": c.phase})
        return

    if not c.skip_analysis:
        why = yield from objects.primary_readiness(c)
        if why:
            yield Emit(c.obj, "Warning", texts.primary_not_ready(c, why.text))
            if not why.retriable:
                if c.phase in (PROMOTING, FINALISING):
                    yield from steps.failed_promotion(c, settings, why.text)
                else:
                    yield from steps.rollback(c, settings)
            return
    now = yield from objects.read_routes(c)
    yield Gauge("weight", {"primary": now.primary, "canary": now.canary})

    # A new revision starts a run, or restarts one.
    yield Gauge("status", {"phase": c.phase})
    if c.phase not in RUNNING:
        yield from begin(c, target, settings)
        return
    if c.phase in (PROGRESSING, WAITING_PROMOTION):
        if (yield from objects.has_changed(c, target, settings)):
            yield Emit(c.obj, "Normal", texts.restarting(c))
            yield from objects.set_routes(c, 100, 0)
            yield from writing.sync(c, PROGRESSING, settings)
            return

    why = yield from objects.target_readiness(c)
    if why:
        yield Emit(c.obj, "Warning", texts.target_not_ready(c, why.text))
        if not why.retriable:
            yield from steps.rollback(c, settings)
        return
    if c.skip_analysis:
        yield from steps.skip(c, label, settings)
        return
    if c.phase in (PROGRESSING, WAITING_PROMOTION) and (yield from analysis.rollback_hooks(c)):
        yield from steps.rollback(c, settings)
        return
    if c.phase == PROMOTING:
        yield from steps.shift_to_primary(c, now, settings)
        return
    if c.phase == FINALISING:
        yield from steps.finish(c)
        return
    if c.failed_checks >= c.threshold:
        yield from steps.rollback(c, settings)
        return

    yield Gauge("duration")
    if not (yield from judged(c, now, settings)):
        yield from writing.fields(c, {"failedChecks": c.failed_checks + 1})
        return
    if c.strategy == AB:
        yield from steps.ab(c, label, settings)
    elif c.strategy == BLUE_GREEN:
        yield from steps.blue_green(c, now, label, settings)
    elif c.next_step_weight(now.canary) > 0:
        if now.mirrored or (yield from analysis.traffic_hooks(c)):
            yield from steps.weighted(c, now, label, settings)


def keep_right(c: Canary, target: dict[str, Any], label: tuple[str, str], settings: Settings) -> Rules:
    """Make and mend the objects around a target; returns the Canary, initialized if it was starting."""
    starting = c.phase in STARTING
    yield from objects.reconcile_services(c, target, label)
    if starting and not c.skip_analysis:
        error = yield from analysis.providers_error(c, settings)
        if error:
            yield Emit(c.obj, "Warning", texts.providers_unavailable(error), level="error")
        else:
            yield Emit(c.obj, "Normal", texts.PROVIDERS_AVAILABLE)
    yield from objects.create_primary(c, target, label, settings)
    if starting and not c.skip_analysis:
        why = yield from objects.primary_readiness(c)
        if why:
            yield Emit(c.obj, "Warning", texts.primary_not_ready(c, why.text))
            if not why.retriable:
                yield from steps.rollback(c, settings)
            raise TickEnds
    yield from objects.create_autoscaler(c)
    yield from objects.reconcile_apex(c, target, label)
    if starting:
        yield Log("info", f"Scaling down {c.kind} {c.target}.{c.namespace}")
        try:
            yield Patch("Deployment", c.target, c.namespace, {"spec": {"replicas": 0}})
        except Refused as refused:
            raise TickEnds(f"scaling down canary {c.kind} {c.target}.{c.namespace} failed: {refused.message}") from refused
    yield from objects.reconcile_routes(c)
    if not starting:
        return c
    c = yield from writing.sync(c, INITIALIZED, settings)
    yield Gauge("status", {"phase": INITIALIZED})
    yield Emit(c.obj, "Normal", texts.initialized(c), phase=INITIALIZED)
    return c


def begin(c: Canary, target: dict[str, Any], settings: Settings) -> Rules:
    """Detection: ask the gate, then give the target its pods. Nothing else happens on this tick."""
    if not (yield from analysis.confirm_rollout(c, settings)):
        return
    yield Emit(c.obj, "Normal", texts.new_revision(c), phase=PROGRESSING)
    yield from objects.scale_from_zero(c, target)
    yield from writing.sync(c, PROGRESSING, settings)
    yield Gauge("status", {"phase": PROGRESSING})


def judged(c: Canary, now: steps.Routes, settings: Settings) -> Rules:
    """Hooks and metrics; False is a failed check. The very first tick of a run only runs the pre-rollout hooks."""
    if now.canary == 0 and c.done_iterations == 0 and not (c.mirror and now.mirrored):
        yield Emit(c.obj, "Normal", texts.starting(c))
        return (yield from analysis.pre_rollout(c))
    return (yield from analysis.run(c, settings))
