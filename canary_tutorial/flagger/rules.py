"""One tick: what Flagger does for a Canary each interval, in its order.

    observe -> keep the objects right -> is there anything to advance? -> are primary and target ready? -> a new
    revision? -> hooks, metrics -> one step of the strategy

`advance` is a generator (see `effects.py`): no clock, no client, no network. The modules beside it: `targets` and
`reconcile` (what is kept right), `analysis` (hooks and metrics), `steps` (the strategies, promotion, rollback),
`status_writes`.
"""

from __future__ import annotations

from canary_tutorial.flagger import analysis, owned, reconcile, status, status_writes, steps, targets, texts
from canary_tutorial.flagger.alerts import alert
from canary_tutorial.flagger.effects import Emit, Explained, Gauge, Get, Log, Obj, Refused, Rules, TickEnds, Timed
from canary_tutorial.flagger.routes import Routes
from canary_tutorial.flagger.shapes import misfit
from canary_tutorial.flagger.spec import AB, BLUE_GREEN, Canary, Settings
from canary_tutorial.flagger.targets import Label


def advance(name: str, namespace: str, settings: Settings) -> Rules[None]:
    """One tick for one Canary; returns nothing, everything is in what it yields."""
    try:
        obj = yield Get("Canary", name, namespace)
    except Refused:
        yield Log("error", f"Canary {name}.{namespace} not found")
        return
    c = Canary(obj)
    try:
        if not c.target:
            raise Refused(texts.no_target(c))
        yield from _advance(c, settings)
    except (TickEnds, Refused) as why:
        if str(why):
            yield Emit(c.obj, "Warning", str(why))
    except Exception as error:  # there is no I/O here: one of the objects cannot be read
        odd = misfit(obj)
        text = texts.unreadable(c, odd) if odd else texts.unreadable_object(c, error)
        yield Emit(c.obj, "Warning", text, level="error")


def _advance(c: Canary, settings: Settings) -> Rules[None]:
    if c.spec.get("suspend"):
        yield Log("debug", texts.SUSPENDED)
        yield Emit(c.obj, "Normal", texts.SUSPENDED)
        return
    refuse_what_is_not_built_in(c, settings)
    target = yield from targets.target(c)
    label = owned.selector_label(c, target, settings.selector_labels)
    c = yield from keep_right(c, target, label, settings)

    # Is there anything to advance? A failed run's status learns of the target's revision, but is judged as it was.
    before = c
    if c.phase == status.FAILED:
        c = yield from status_writes.sync(c, status.FAILED, settings, keep=True)
    if c.phase not in status.ADVANCING and not (yield from targets.has_changed(before, settings)):
        yield Gauge(c.obj, "status", {"phase": c.phase})
        return

    if not c.skip_analysis:
        why = yield from targets.primary_readiness(c)
        if why:
            yield Emit(c.obj, "Warning", why.text)
            if why.retriable:
                return
            if c.phase in (status.PROMOTING, status.FINALISING):
                yield from steps.failed_promotion(c, settings, why.text)
            else:
                yield from steps.rollback(c, settings)
            return
    now = yield from reconcile.read_routes(c)
    yield Gauge(c.obj, "weight", {"primary": now.primary, "canary": now.canary})

    # A new revision starts a run, or restarts one.
    yield Gauge(c.obj, "status", {"phase": c.phase})
    if c.phase not in status.RUNNING:
        yield from begin(c, settings)
        return
    if c.phase in (status.PROGRESSING, status.WAITING_PROMOTION) and (yield from has_changed_in_mid_run(c, settings)):
        yield Emit(c.obj, "Normal", texts.restarting(c))
        yield from reconcile.set_routes(c, 100, 0)
        yield from status_writes.sync(c, status.PROGRESSING, settings)
        return

    why = yield from targets.target_readiness(c)
    if why:
        yield Emit(c.obj, "Warning", why.text)
        if not why.retriable:
            yield from steps.rollback(c, settings)
        return
    if c.skip_analysis:
        yield from steps.skip(c, label, settings)
        return
    if c.phase in (status.PROGRESSING, status.WAITING_PROMOTION) and (yield from analysis.rollback_hooks(c)):
        yield from steps.rollback(c, settings)
        return
    if c.phase == status.PROMOTING:
        yield from steps.shift_to_primary(c, now)
        return
    if c.phase == status.FINALISING:
        yield from steps.finish(c)
        return
    if c.failed_checks >= c.threshold:
        yield from steps.rollback(c, settings)
        return

    yield Timed(c.obj)
    if not (yield from judged(c, now, settings)):
        yield from status_writes.write(c, {"failedChecks": c.failed_checks + 1})
        return
    if c.strategy == AB:
        yield from steps.ab(c, label, settings)
    elif c.strategy == BLUE_GREEN:
        yield from steps.blue_green(c, now, label, settings)
    elif c.next_step_weight(now.canary) > 0 and (now.mirrored or (yield from analysis.traffic_hooks(c))):
        yield from steps.weighted(c, now, label, settings)


def refuse_what_is_not_built_in(c: Canary, settings: Settings) -> None:
    """Flagger knows more meshes, and more kinds of targets and autoscalers; to treat them as these would do harm."""
    provider = c.spec.get("provider") or settings.provider
    if provider != "istio":
        raise Refused(texts.not_built_in("provider", provider, "istio"))
    if c.kind in ("DaemonSet", "Service"):
        raise Refused(texts.not_built_in("target kind", c.kind, "Deployment"))
    autoscaler = (c.spec.get("autoscalerRef") or {}).get("kind")
    if autoscaler == "ScaledObject":
        raise Refused(texts.not_built_in("autoscaler kind", autoscaler, "HorizontalPodAutoscaler"))


def keep_right(c: Canary, target: Obj, label: Label, settings: Settings) -> Rules[Canary]:
    """Make and mend the objects around a target; returns the Canary, initialized if it was starting."""
    starting = c.phase in status.STARTING
    yield from reconcile.reconcile_services(c, target, label)
    if starting and not c.skip_analysis:
        yield from analysis.check_providers(c, settings)
    yield from targets.create_primary(c, target, label, settings)
    if starting and not c.skip_analysis:
        why = yield from targets.primary_readiness(c)
        if why:
            yield Emit(c.obj, "Warning", why.text)
            if not why.retriable:
                yield from steps.rollback(c, settings)
            raise TickEnds
    yield from reconcile.reconcile_autoscaler(c, update=False)
    kept = yield from reconcile.reconcile_apex(c, target, label)
    if starting:
        yield Log("info", f"Scaling down {c.kind} {c.target}.{c.namespace}")
        with Explained(texts.canary_not_scaled_down(c)):
            yield from targets.scale_to_zero(c)
    yield from reconcile.reconcile_routes(c, label, kept)
    return (yield from initialized(c, settings)) if starting else c


def initialized(c: Canary, settings: Settings) -> Rules[Canary]:
    with Explained(f"failed to sync canary {c.name}.{c.namespace} status"):
        c = yield from status_writes.sync(c, status.INITIALIZED, settings)
    yield Gauge(c.obj, "status", {"phase": status.INITIALIZED})
    yield Emit(c.obj, "Normal", texts.initialized(c))
    yield from alert(c, f"New {c.kind} detected, initialization completed.", "info")
    return c


def begin(c: Canary, settings: Settings) -> Rules[None]:
    """Detection: ask the gate, then give the target its pods. Nothing else happens on this tick."""
    if not (yield from analysis.confirm_rollout(c)):
        return
    yield Emit(c.obj, "Normal", texts.new_revision(c), phase=status.PROGRESSING)
    yield from alert(c, "New revision detected, progressing canary analysis.", "info")
    try:
        yield from targets.scale_from_zero(c)
    except (TickEnds, Refused) as why:
        yield Emit(c.obj, "Warning", str(why), level="error")
        return
    if (yield from status_writes.synced_or_logged(c, status.PROGRESSING, settings)):
        yield Gauge(c.obj, "status", {"phase": status.PROGRESSING})


def has_changed_in_mid_run(c: Canary, settings: Settings) -> Rules[bool]:
    """A run goes on where nobody can tell, say because a tracked ConfigMap is gone."""
    try:
        return (yield from targets.has_changed(c, settings))
    except (TickEnds, Refused):
        return False


def judged(c: Canary, now: Routes, settings: Settings) -> Rules[bool]:
    """Hooks and metrics; False is a failed check. The very first tick of a run only runs the pre-rollout hooks."""
    if now.canary == 0 and c.done_iterations == 0 and not (c.mirror and now.mirrored):
        yield Emit(c.obj, "Normal", texts.starting(c))
        return (yield from analysis.pre_rollout(c))
    return (yield from analysis.run(c, settings))
