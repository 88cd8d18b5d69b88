"""The steps of each strategy, promotion, and the end of a release. Rules only; each ends the tick."""

from __future__ import annotations

from canary_tutorial.flagger import analysis, reconcile, status_writes, targets, texts
from canary_tutorial.flagger.alerts import alert
from canary_tutorial.flagger.effects import Emit, Gauge, Log, Refused, Rules, TickEnds
from canary_tutorial.flagger.routes import Routes
from canary_tutorial.flagger.spec import Canary, Settings
from canary_tutorial.flagger.status import FAILED, FINALISING, PROMOTING, SUCCEEDED
from canary_tutorial.flagger.targets import Label


def weighted(c: Canary, now: Routes, label: Label, settings: Settings) -> Rules[None]:
    """More for the canary, until it has enough; then promote."""
    if now.canary >= c.max_weight:
        if (yield from analysis.confirm_promotion(c)):
            yield from copy_to_primary(c, label, settings)
        return
    step = c.next_step_weight(now.canary)
    primary, canary, mirrored = now.primary, now.canary, now.mirrored
    if c.mirror and canary == 0:
        if now.mirrored:
            primary, canary, mirrored = max(0, 100 - step), min(100, step), False
        else:
            primary, canary, mirrored = 100, 0, True
        yield Log("info", f"Running mirror step {primary}/{canary}/{'true' if mirrored else 'false'}")
    else:
        primary, canary = max(0, primary - step), min(100, canary + step)
    yield from reconcile.set_routes(c, primary, canary, mirrored)
    yield from status_writes.write(c, {"canaryWeight": canary})
    yield Gauge(c.obj, "weight", {"primary": primary, "canary": canary})
    yield Emit(c.obj, "Normal", texts.canary_weight(c, canary))


def ab(c: Canary, label: Label, settings: Settings) -> Rules[None]:
    """Requests that match go to the canary, for a number of iterations."""
    if c.iterations > c.done_iterations:
        yield from reconcile.set_routes(c, 0, 100)
        yield Gauge(c.obj, "weight", {"primary": 0, "canary": 100})
        yield from status_writes.write(c, {"iterations": c.done_iterations + 1})
        yield Emit(c.obj, "Normal", texts.iteration(c, c.done_iterations + 1))
        return
    if not (yield from analysis.confirm_promotion(c)):
        return
    if c.iterations == c.done_iterations:
        yield from copy_to_primary(c, label, settings)


def blue_green(c: Canary, now: Routes, label: Label, settings: Settings) -> Rules[None]:
    """Checks without users (or with mirrored requests), then everybody at once, then promotion."""
    if c.iterations > c.done_iterations:
        if c.mirror and not now.mirrored:
            try:
                yield from reconcile.set_routes(c, 100, 0, mirrored=True)
            except (TickEnds, Refused) as why:
                yield Emit(c.obj, "Warning", str(why))
            yield Log("info", "Start traffic mirroring")
        yield from status_writes.write(c, {"iterations": c.done_iterations + 1})
        yield Emit(c.obj, "Normal", texts.iteration(c, c.done_iterations + 1))
        return
    if not (yield from analysis.confirm_promotion(c)):
        return
    if c.iterations == c.done_iterations:
        yield Emit(c.obj, "Normal", texts.TO_CANARY_FROM_MIRROR if c.mirror else texts.TO_CANARY)
        yield from reconcile.set_routes(c, 0, 100)
        yield Gauge(c.obj, "weight", {"primary": 0, "canary": 100})
        yield from status_writes.write(c, {"iterations": c.iterations + 1})
        return
    yield from copy_to_primary(c, label, settings)


def copy_to_primary(c: Canary, label: Label, settings: Settings) -> Rules[None]:
    yield Emit(c.obj, "Normal", texts.copying(c))
    yield from targets.promote(c, label, settings)
    yield from status_writes.phase(c, PROMOTING)


def shift_to_primary(c: Canary, now: Routes) -> Rules[None]:
    """Promoting: once the primary runs the new version, requests go back to it, at once or in steps."""
    yield from reconcile.reconcile_autoscaler(c, update=True)
    step = int(c.analysis.get("stepWeightPromotion") or 0)
    if step == 0:
        yield Emit(c.obj, "Normal", texts.TO_PRIMARY)
        yield from reconcile.set_routes(c, 100, 0)
        yield Gauge(c.obj, "weight", {"primary": 100, "canary": 0})
        yield from status_writes.phase(c, FINALISING)
    elif now.canary > 0:
        primary, canary = min(100, now.primary + step), max(0, now.canary - step)
        yield from reconcile.set_routes(c, primary, canary)
        yield Gauge(c.obj, "weight", {"primary": primary, "canary": canary})
        yield Emit(c.obj, "Normal", texts.primary_weight(c, primary))
        if primary == 100:
            yield from status_writes.phase(c, FINALISING)
        else:
            yield from status_writes.write(c, {"canaryWeight": canary})


def finish(c: Canary) -> Rules[None]:
    """Finalising: the target goes back to sleep."""
    yield from targets.scale_to_zero(c)
    yield from _succeeded(c, "completed", texts.promoted(c), "Canary analysis completed successfully")


def skip(c: Canary, label: Label, settings: Settings) -> Rules[None]:
    """skipAnalysis: promote without a check."""
    yield from reconcile.set_routes(c, 100, 0)
    yield Gauge(c.obj, "weight", {"primary": 100, "canary": 0})
    yield Emit(c.obj, "Normal", texts.copying(c))
    yield from targets.promote(c, label, settings)
    yield from reconcile.reconcile_autoscaler(c, update=True)
    yield from targets.scale_to_zero(c)
    yield from _succeeded(c, "skipped", texts.skipped(c), "Canary analysis was skipped")


def _succeeded(c: Canary, analysis_status: str, text: str, what: str) -> Rules[None]:
    yield from status_writes.phase(c, SUCCEEDED)
    yield Gauge(c.obj, "status", {"phase": SUCCEEDED})
    yield Gauge(c.obj, "success", {"strategy": c.strategy, "analysis_status": analysis_status})
    yield from analysis.post_rollout(c, SUCCEEDED)
    yield Emit(c.obj, "Normal", text, phase=SUCCEEDED)
    yield from alert(c, f"{what}, promotion finished.", "info", metadata=False)


def rollback(c: Canary, settings: Settings) -> Rules[None]:
    """Everybody back to the primary, the target to zero. A missed deadline shows no "Rolling back" event."""
    if c.failed_checks >= c.threshold:
        yield Emit(c.obj, "Warning", texts.threshold_reached(c, c.failed_checks))
        yield from alert(c, f"Failed checks threshold reached {c.failed_checks}", "error", metadata=False)
    yield from reconcile.set_routes(c, 100, 0)
    yield Gauge(c.obj, "weight", {"primary": 100, "canary": 0})
    yield Emit(c.obj, "Warning", texts.failed(c), phase=FAILED)
    yield from targets.scale_to_zero(c)
    yield from _failed(c, settings, weight=0)


def failed_promotion(c: Canary, settings: Settings, why: str) -> Rules[None]:
    """The primary cannot run what the canary ran: everybody stays with the canary, whose pods are left alone."""
    yield Emit(c.obj, "Warning", texts.promotion_failed(c, why))
    yield from alert(c, f"Promotion failed, primary not ready: {why}", "error", metadata=False)
    yield from reconcile.set_routes(c, 0, 100)
    yield Gauge(c.obj, "weight", {"primary": 0, "canary": 100})
    yield from _failed(c, settings, weight=100)


def _failed(c: Canary, settings: Settings, weight: int) -> Rules[None]:
    """The run ends: failedChecks is 0 again, the counter of failures rises, hooks hear of it."""
    written = yield from status_writes.synced_or_logged(c, FAILED, settings, weight)
    if written is None:
        return
    yield Gauge(c.obj, "status", {"phase": FAILED})
    yield Gauge(c.obj, "failure", {"strategy": c.strategy, "analysis_status": "completed"})
    yield from analysis.post_rollout(c, FAILED)
