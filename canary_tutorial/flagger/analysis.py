"""Gates, webhooks and metric checks: everything that must pass before a step. Rules only."""

from __future__ import annotations

from canary_tutorial.flagger import queries, status_writes, texts
from canary_tutorial.flagger.alerts import alert
from canary_tutorial.flagger.effects import (
    PASSED,
    CallHook,
    Checked,
    Emit,
    Explained,
    Get,
    Log,
    Obj,
    Query,
    Refused,
    Rules,
    TickEnds,
    Value,
)
from canary_tutorial.flagger.golang import url_fault, whole_milliseconds
from canary_tutorial.flagger.spec import Canary, Settings, mapping, name_of
from canary_tutorial.flagger.status import PROGRESSING, SUCCEEDED, WAITING, WAITING_PROMOTION
from canary_tutorial.flagger.templates import TemplateError, render

DEFAULT_INTERVAL = "1m"  # of built-in checks and inline queries
ONLINE = "vector(1)"

# -- gates


def confirm_rollout(c: Canary) -> Rules[bool]:
    """Whether a new revision may start; says so once while it may not."""
    for hook in c.hooks("confirm-rollout"):
        error = yield CallHook(c.obj, hook, c.phase)
        if error is not None:
            if c.phase != WAITING:
                yield from _wait(c, WAITING)
                yield Emit(c.obj, "Warning", texts.waiting(c, "approval", name_of(hook)))
                yield from _alert_waiting(c, hook, "Canary is")
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-rollout", name_of(hook)))
    return True


def confirm_promotion(c: Canary) -> Rules[bool]:
    """Whether the primary may get the new revision; until then the analysis goes on, and can still roll back."""
    for hook in c.hooks("confirm-promotion"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            if c.phase != WAITING_PROMOTION:
                yield from _wait(c, WAITING_PROMOTION)
                yield Emit(c.obj, "Warning", texts.waiting(c, "promotion approval", name_of(hook)))
                yield from _alert_waiting(c, hook, "Canary promotion is")
            else:
                yield from status_writes.write(c, {"iterations": c.iterations - 1})
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-promotion", name_of(hook)))
    return True


def traffic_hooks(c: Canary) -> Rules[bool]:
    """confirm-traffic-increase: asked before each step; a closed gate is no failed check."""
    if c.phase != PROGRESSING:
        return True
    for hook in c.hooks("confirm-traffic-increase"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.waiting(c, "traffic increase approval", name_of(hook)))
            yield from _alert_waiting(c, hook, "Canary traffic increase is")
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-traffic-increase", name_of(hook)))
    return True


def _wait(c: Canary, phase: str) -> Rules[None]:
    try:
        yield from status_writes.phase(c, phase)
    except (TickEnds, Refused) as why:
        yield Log("error", str(why))


def _alert_waiting(c: Canary, hook: Obj, what: str) -> Rules[None]:
    if not hook.get("muteAlert"):
        yield from alert(c, f"{what} waiting for approval.", "warn", metadata=False)


# -- hooks


def rollback_hooks(c: Canary) -> Rules[bool]:
    """Whether somebody asks for a rollback."""
    for hook in c.hooks("rollback"):
        error = yield CallHook(c.obj, hook, c.phase)
        if error is None:
            yield Emit(c.obj, "Warning", texts.passed("Rollback", name_of(hook)))
            yield Emit(c.obj, "Warning", texts.rollback_asked(c))
            yield from alert(c, "Rolling back manual webhook invoked", "warn", metadata=False)
            return True
        yield Emit(c.obj, "Normal", texts.no_rollback(name_of(hook)))
    return False


def pre_rollout(c: Canary) -> Rules[bool]:
    for hook in c.hooks("pre-rollout"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.hook_failed(c, "pre-rollout", name_of(hook), error))
            return False
        yield Emit(c.obj, "Normal", texts.passed("Pre-rollout", name_of(hook)))
    return True


def post_rollout(c: Canary, phase: str) -> Rules[None]:
    """Tell of a run's end. Event webhooks hear of it in the phase `Succeeded`, or in that of the tick's beginning."""
    told = phase if phase == SUCCEEDED else ""
    for hook in c.hooks("post-rollout"):
        error = yield CallHook(c.obj, hook, phase)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.post_rollout_failed(name_of(hook), error), phase=told)
            return
        yield Emit(c.obj, "Normal", texts.passed("Post-rollout", name_of(hook)), phase=told)


# -- the analysis


def run(c: Canary, settings: Settings) -> Rules[bool]:
    """Rollout hooks, then built-in and inline metrics, then templates; the first failure ends it."""
    for hook in c.hooks("rollout"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.hook_failed(c, "external", name_of(hook), error))
            return False
    if why := no_client(c):
        yield Emit(c.obj, "Warning", f"Error {why}", level="error")
        return False
    metrics = c.analysis.get("metrics") or []
    for metric in metrics:
        if name_of(metric) in queries.BUILT_IN and not (yield from _passes(c, _built_in(c, metric, settings))):
            return False
        if metric.get("query") and not (yield from _passes(c, _inline(c, metric))):
            return False
    for metric in metrics:
        if metric.get("templateRef"):
            if not (yield from _passes(c, _template(c, metric))):
                return False
        elif name_of(metric) not in queries.BUILT_IN and not metric.get("query"):
            yield Emit(c.obj, "Warning", texts.NO_METRIC, level="error")
            return False
    return True


def _built_in(c: Canary, metric: Obj, settings: Settings) -> Rules[Checked]:
    """Success rate or duration, on the Canary's metricsServer or the controller's."""
    name, interval = name_of(metric), metric.get("interval") or DEFAULT_INTERVAL
    promql = queries.built_in(name, c.namespace, c.target, interval)
    check = _check(c, metric, interval, promql, "ms" if name == queries.DURATION else "%")
    answer: Value = yield Query(c.spec.get("metricsServer") or None, check.query, name)
    if answer.missing:
        suffix = ": running query failed: no values found" if name == queries.SUCCESS_RATE else ""
        return check.failed(texts.no_traffic(c, c.spec.get("provider") or settings.provider, name, suffix))
    if answer.value is None:
        return check.failed(f"Prometheus query failed: running query failed: {answer.error}", "error")
    if name == queries.DURATION:
        milliseconds = whole_milliseconds(answer.value)
        return check.judged(float(milliseconds), queries.duration_verdict(c, metric, milliseconds))
    return check.judged(answer.value, queries.success_rate_verdict(c, metric, answer.value))


def _inline(c: Canary, metric: Obj) -> Rules[Checked]:
    """A query written into the Canary."""
    name, interval = name_of(metric), metric.get("interval") or DEFAULT_INTERVAL
    check = _check(c, metric, interval)
    try:
        check = check._replace(query=_rendered(c, metric, metric["query"], interval))
    except TemplateError as why:
        return check.failed(f"Prometheus query failed for {name}: {why}", "error")
    answer: Value = yield Query(c.spec.get("metricsServer") or None, check.query, name)
    if answer.missing:
        return check.failed(texts.no_values(name))
    if answer.value is None:
        return check.failed(f"Prometheus query failed for {name}: {answer.error}", "error")
    return check.judged(answer.value, queries.custom_verdict(c, metric, answer.value))


def _template(c: Canary, metric: Obj) -> Rules[Checked]:
    """A MetricTemplate's query on its own provider. An interval that is not given is the empty text."""
    name, interval = name_of(metric), metric.get("interval") or ""
    check = _check(c, metric, interval)
    try:
        template, secret = yield from _load_template(c, metric)
        provider, query = provider_of(template)
        check = check._replace(query=_rendered(c, metric, query, interval))
        answer: Value = yield Query(provider.get("address"), check.query, name, template, secret)
    except TemplateError as why:
        return check.failed(f"Metric template {_where(c, metric)} query render error: {why}", "error")
    except (TickEnds, Refused) as why:
        return check.failed(f"Metric template {_where(c, metric)} {why}", "error")
    if answer.missing:
        return check.failed(texts.no_custom_values(name))
    if answer.value is None:
        return check.failed(f"Metric query failed for {name}: {answer.error}", "error")
    return check.judged(answer.value, queries.custom_verdict(c, metric, answer.value))


def _check(c: Canary, metric: Obj, interval: str, promql: str = "", unit: str = "") -> Checked:
    """A metric's check before anything is asked."""
    return Checked(c.obj, name_of(metric), promql, interval, queries.threshold_text(metric), unit)


def _rendered(c: Canary, metric: Obj, query: str, interval: str) -> str:
    return render(query, queries.variables_of(c, interval), metric.get("templateVariables") or {})


def _where(c: Canary, metric: Obj) -> str:
    reference = metric["templateRef"]
    return f"{name_of(reference)}.{reference.get('namespace') or c.namespace}"


def provider_of(template: Obj) -> tuple[Obj, str]:
    """A MetricTemplate's provider and query."""
    spec = mapping(template, "spec")
    return mapping(spec, "provider"), str(spec.get("query") or "")


def _load_template(c: Canary, metric: Obj) -> Rules[tuple[Obj, Obj | None]]:
    """-> the MetricTemplate and its Secret (or None); refused in the words that follow its name."""
    reference = metric["templateRef"]
    namespace = reference.get("namespace") or c.namespace
    with Explained("error"):
        try:
            template = yield Get("MetricTemplate", name_of(reference), namespace)
        except Refused as refused:
            if refused.missing:  # Flagger asks a cache, whose words differ from the API's
                raise Refused(f'metrictemplate.flagger.app "{name_of(reference)}" not found') from refused
            raise
    (provider, _), secret = provider_of(template), None
    if provider.get("secretRef"):
        of = name_of(provider["secretRef"])
        with Explained(f"secret {of} error"):
            secret = yield Get("Secret", of, namespace)
    with Explained(f"provider {provider.get('type')} error"):
        queries.check_provider(provider, secret)
    return template, secret


def _passes(c: Canary, checking: Rules[Checked]) -> Rules[bool]:
    """Make a check and record it; a failed one is an event."""
    check = yield from checking
    yield check
    if check.verdict == PASSED:
        return True
    yield Emit(c.obj, "Warning", check.verdict, level=check.level)
    return False


def check_providers(c: Canary, settings: Settings) -> Rules[None]:
    """While a Canary initializes: can its metrics be queried at all? If not, an event says so, and nothing stops."""
    try:
        for metric in c.analysis.get("metrics") or []:
            if name_of(metric) in queries.BUILT_IN:
                if why := no_client(c):
                    raise Refused(f"error {why}")
                with Explained("prometheus not avaiable"):  # Flagger's spelling
                    yield from _online(Query(c.spec.get("metricsServer") or None, ONLINE, name_of(metric)))
            elif metric.get("templateRef"):
                with Explained(f"metric template {_where(c, metric)}", " "):
                    template, secret = yield from _load_template(c, metric)
                provider, _ = provider_of(template)
                with Explained(f"{provider.get('type')} in metric template {_where(c, metric)} not avaiable"):
                    yield from _online(Query(provider.get("address"), ONLINE, name_of(metric), template, secret))
    except (TickEnds, Refused) as refused:
        yield Emit(c.obj, "Warning", texts.providers_unavailable(str(refused)), level="error")
    else:
        yield Emit(c.obj, "Normal", texts.PROVIDERS_AVAILABLE)


def no_client(c: Canary) -> str:
    """Why a Canary's own metricsServer cannot be asked at all; "" if it can, or if there is none."""
    server = str(c.spec.get("metricsServer") or "")
    return texts.no_client(server, queries.not_a_url("prometheus", server)) if server and url_fault(server) else ""


def _online(question: Query) -> Rules[None]:
    why = offline((yield question))
    if why:
        raise Refused(why)


def offline(answer: Value) -> str:
    """Why what answered `ONLINE` is no Prometheus that works; "" if it is one."""
    if answer.missing or answer.error:
        return f"running query failed: {answer.error or 'no values found'}"
    return "" if answer.value == 1 else f"value is not 1 for query: {ONLINE}"
