"""Gates, hooks and metrics: everything that is asked before a step. Rules only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from canary_tutorial.flagger import texts, writing
from canary_tutorial.flagger.effects import Alert, CallHook, Checked, Emit, Get, Obj, Query, Refused, Rules, Value
from canary_tutorial.flagger.queries import (
    BUILT_IN,
    DURATION,
    SUCCESS_RATE,
    TemplateError,
    collapse,
    render,
    threshold_text,
    variables_of,
    verdict,
)
from canary_tutorial.flagger.spec import Canary
from canary_tutorial.flagger.status import PROGRESSING, WAITING, WAITING_PROMOTION

if TYPE_CHECKING:
    from canary_tutorial.flagger.rules import Settings

# -- gates


def confirm_rollout(c: Canary, settings: Settings) -> Rules:
    """Whether a new revision may start; says so once while it may not."""
    for hook in c.hooks("confirm-rollout"):
        error = yield CallHook(c.obj, hook, c.phase)
        if error is not None:
            if c.phase != WAITING:
                yield from writing.phase(c, WAITING)
                yield Emit(c.obj, "Warning", texts.waiting(c, "approval", hook["name"]))
                yield from _alert_waiting(c, hook)
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-rollout", hook["name"]))
    return True


def confirm_promotion(c: Canary) -> Rules:
    for hook in c.hooks("confirm-promotion"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            if c.phase != WAITING_PROMOTION:
                yield from writing.phase(c, WAITING_PROMOTION)
                yield Emit(c.obj, "Warning", texts.waiting(c, "promotion approval", hook["name"]))
                yield from _alert_waiting(c, hook)
            else:
                yield from writing.fields(c, {"iterations": c.iterations - 1})
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-promotion", hook["name"]))
    return True


def traffic_hooks(c: Canary) -> Rules:
    """confirm-traffic-increase: asked before each step; a closed gate is no failed check."""
    if c.phase != PROGRESSING:
        return True
    for hook in c.hooks("confirm-traffic-increase"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.waiting(c, "traffic increase approval", hook["name"]))
            yield from _alert_waiting(c, hook)
            return False
        yield Emit(c.obj, "Normal", texts.passed("Confirm-traffic-increase", hook["name"]))
    return True


def _alert_waiting(c: Canary, hook: Obj) -> Rules:
    if not hook.get("muteAlert"):
        yield Alert(c.obj, "Canary is waiting for approval.", "warn", metadata=False)


# -- hooks


def rollback_hooks(c: Canary) -> Rules:
    """Whether somebody asks for a rollback."""
    for hook in c.hooks("rollback"):
        error = yield CallHook(c.obj, hook, c.phase)
        if error is None:
            yield Emit(c.obj, "Warning", texts.passed("Rollback", hook["name"]))
            yield Emit(c.obj, "Warning", texts.rollback_asked(c))
            return True
        yield Emit(c.obj, "Normal", texts.no_rollback(hook["name"]))
    return False


def pre_rollout(c: Canary) -> Rules:
    for hook in c.hooks("pre-rollout"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.hook_failed(c, "pre-rollout", hook["name"], error))
            return False
        yield Emit(c.obj, "Normal", texts.passed("Pre-rollout", hook["name"]))
    return True


def post_rollout(c: Canary, phase: str) -> Rules:
    for hook in c.hooks("post-rollout"):
        error = yield CallHook(c.obj, hook, phase)
        if error is None:
            yield Emit(c.obj, "Normal", texts.passed("Post-rollout", hook["name"]), phase=phase)
        else:
            yield Emit(c.obj, "Warning", texts.post_rollout_failed(hook["name"], error), phase=phase)


# -- the analysis


def run(c: Canary, settings: Settings) -> Rules:
    """Rollout hooks, then built-in and inline metrics, then templates; the first failure ends it."""
    for hook in c.hooks("rollout"):
        error = yield CallHook(c.obj, hook, PROGRESSING)
        if error is not None:
            yield Emit(c.obj, "Warning", texts.hook_failed(c, "external", hook["name"], error))
            return False
    metrics = c.analysis.get("metrics") or []
    for metric in metrics:
        if metric["name"] in BUILT_IN or metric.get("query"):
            if not (yield from _prometheus(c, metric, settings)):
                return False
    for metric in metrics:
        if metric.get("templateRef"):
            if not (yield from _template(c, metric, settings)):
                return False
        elif metric["name"] not in BUILT_IN and not metric.get("query"):
            yield Emit(c.obj, "Warning", texts.NO_METRIC, level="error")
            return False
    return True


def _prometheus(c: Canary, metric: Obj, settings: Settings) -> Rules:
    """A built-in check or an inline query, on the Canary's metricsServer or the controller's."""
    name = metric["name"]
    interval = metric.get("interval") or "1m"
    built_in = name in BUILT_IN
    provider = c.spec.get("provider") or settings.provider
    try:
        template = BUILT_IN[name] if built_in else metric["query"]
        promql = render(template, variables_of(c, metric, interval), metric.get("templateVariables") or {})
    except TemplateError as why:
        prefix = "Prometheus query failed: rendering query failed: " if built_in else f"Prometheus query failed for {name}: "
        yield Emit(c.obj, "Warning", f"{prefix}{why}", level="error")
        return False
    answer = yield Query(c.spec.get("metricsServer") or None, collapse(promql), name)
    if answer.missing and name == SUCCESS_RATE:
        suffix = ": running query failed: no values found"
        text = texts.no_traffic(c, provider, name, suffix)
    elif answer.missing and name == DURATION:
        text = texts.no_traffic(c, provider, name)
    elif answer.missing:
        text = texts.no_values(name)
    elif answer.error and built_in:
        text = f"Prometheus query failed: running query failed: {answer.error}"
    elif answer.error:
        text = f"Prometheus query failed for {name}: {answer.error}"
    else:
        text = verdict(c, metric, answer.value) or ""
    return (yield from _told(c, metric, promql, interval, answer, text))


def _template(c: Canary, metric: Obj, settings: Settings) -> Rules:
    """A MetricTemplate's query on its own provider."""
    reference = metric["templateRef"]
    namespace = reference.get("namespace") or c.namespace
    where = f"{reference['name']}.{namespace}"
    template, credentials, error = yield from _load_template(c, reference, settings)
    if error:
        yield Emit(c.obj, "Warning", error, level="error")
        return False
    interval = metric.get("interval") or ""
    try:
        values = variables_of(c, metric, interval)
        promql = render(template["spec"].get("query", ""), values, metric.get("templateVariables") or {})
    except TemplateError as why:
        yield Emit(c.obj, "Warning", f"Metric template {where} query render error: {why}", level="error")
        return False
    address = (template["spec"].get("provider") or {}).get("address")
    answer = yield Query(address, collapse(promql), metric["name"], template, credentials)
    if answer.missing:
        text = texts.no_custom_values(metric["name"])
    elif answer.error:
        text = f"Metric query failed for {metric['name']}: {answer.error}"
    else:
        text = verdict(c, metric, answer.value) or ""
    return (yield from _told(c, metric, promql, interval, answer, text))


def _load_template(c: Canary, reference: Obj, settings: Settings) -> Rules:
    """(template, credentials, error)."""
    namespace = reference.get("namespace") or c.namespace
    where = f"{reference['name']}.{namespace}"
    if settings.no_cross_namespace_refs and namespace != c.namespace:
        return None, None, f"Metric template {where} error: can't access metric template {where}, cross-namespace references are blocked"
    try:
        template = yield Get("MetricTemplate", reference["name"], namespace)
    except Refused as refused:
        return None, None, f"Metric template {where} error: {refused.message}"
    provider = template["spec"].get("provider") or {}
    kind = provider.get("type", "prometheus")
    if kind in OTHER_PROVIDERS:
        why = f"the {kind} provider is not available here, use prometheus"
        return None, None, f"Metric template {where} provider {kind} error: {why}"
    credentials = None
    if provider.get("secretRef"):
        secret = provider["secretRef"]["name"]
        try:
            credentials = yield Get("Secret", secret, namespace)
        except Refused as refused:
            return None, None, f"Metric template {where} secret {secret} error: {refused.message}"
    return template, credentials, ""


OTHER_PROVIDERS = frozenset(
    "cloudwatch datadog dynatrace elasticsearch graphite influxdb keptn newrelic signalfx splunk stackdriver".split()
)


def _told(c: Canary, metric: Obj, promql: str, interval: str, answer: Value, text: str) -> Rules:
    yield Checked(metric["name"], collapse(promql), interval, answer.value, threshold_text(metric), text or "passed")
    if text:
        failed_query = bool(answer.error)
        yield Emit(c.obj, "Warning", text, level="error" if failed_query else "info")
    return not text


def providers_error(c: Canary, settings: Settings) -> Rules:
    """Whether the metric providers answer, asked while a Canary initializes; "" if they do."""
    answer = yield Query(c.spec.get("metricsServer") or None, "vector(1)", "availability")
    if answer.value != 1:
        return f"prometheus not avaiable: running query failed: {answer.error or 'no values found'}"
    for metric in c.analysis.get("metrics") or []:
        if not metric.get("templateRef"):
            continue
        reference = metric["templateRef"]
        where = f"{reference['name']}.{reference.get('namespace') or c.namespace}"
        template, credentials, error = yield from _load_template(c, reference, settings)
        if error:
            return error[:1].lower() + error[1:]
        provider = template["spec"].get("provider") or {}
        answer = yield Query(provider.get("address"), "vector(1)", "availability", template, credentials)
        if answer.value != 1:
            kind = provider.get("type", "prometheus")
            return f"{kind} in metric template {where} not avaiable: {answer.error or 'no values found'}"
    return ""
