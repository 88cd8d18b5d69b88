"""What a Canary measures, and whom it tells: templates, queries of its own, Prometheus away, chat rooms."""

from __future__ import annotations

import base64
from typing import Any

from parity.answers import Answer
from parity.stage import RATE, Stage

Obj = dict[str, Any]
REFUSED = Answer(400, '{"status":"error","errorType":"bad_data","error":"parse error"}')
NOBODY = "http://127.0.0.1:1"  # an address where nothing listens


def template(stage: Stage, name: str, query: str, **provider: Any) -> Obj:
    spec = {"provider": {"type": "prometheus", "address": f"{stage.url}/prometheus", **provider}, "query": query}
    return stage.obj("flagger.app/v1beta1", "MetricTemplate", name) | {"spec": spec}


def check(name: str, **more: Any) -> Obj:
    """A metric of the analysis that asks the template of its name."""
    return {"name": name, "templateRef": {"name": name}, "interval": "1m", "thresholdRange": {"max": 5}, **more}


def secret(stage: Stage, name: str, **data: str) -> Obj:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return stage.obj("v1", "Secret", name) | {"data": coded}


def provider(stage: Stage, name: str, type_: str, **spec: Any) -> Obj:
    """An AlertProvider, with an address or a Secret that has one; the chat room has its name."""
    spec = {"type": type_, **(spec if "secretRef" in spec else {"address": f"{stage.url}/alerts/{name}", **spec})}
    return stage.obj("flagger.app/v1beta1", "AlertProvider", name) | {"spec": spec}


def alert(name: str, severity: str, **reference: str) -> Obj:
    return {"name": name, "severity": severity, "providerRef": {"name": name, **reference}}


async def fail_one_by_one(stage: Stage, *checks: Obj) -> None:
    """Each failing check alone, one look long."""
    for number, each in enumerate(checks, int(stage.status()["failedChecks"]) + 1):
        await stage.edit_analysis(metrics=[each])
        await stage.failed_checks(number)


async def metrics(stage: Stage) -> None:
    """Templates whose server is away, that cannot be read, that have no value, secret or address; rolled back, told."""
    stage.script.custom = {"absent": None, "refused": REFUSED, "queue": 3.0, "depth": 7.25}
    queue = (
        'queue{pod=~"{{ target }}-{{ variables.pods }}", of="{{ namespace }}/{{ name }}/{{ service }}"}[{{ interval }}]'
    )
    coded = base64.b64encode(f"{stage.url}/alerts/coded".encode()).decode()
    await stage.apply(
        template(stage, "dead", "queue", address=NOBODY),
        template(stage, "unreadable", "queue{{ .Nope }}"),
        template(stage, "unknown-function", "queue{{ nope }}"),
        template(stage, "queue", queue, secretRef={"name": "password"}),
        template(stage, "absent", "absent"),
        template(stage, "refused", "refused"),
        template(stage, "no-secret", "queue", secretRef={"name": "nowhere"}),
        template(stage, "half-a-secret", "queue", secretRef={"name": "half"}),
        template(stage, "no-address", "queue", address=""),
        template(stage, "depth", "depth"),
        *(secret(stage, "password", username="me", password="mine"), secret(stage, "half", username="me")),
        *(stage.obj("v1", "Secret", "room") | {"data": {"address": coded}}, secret(stage, "token", apiToken="mine")),
        *(provider(stage, "slack", "slack", channel="releases"), provider(stage, "rocket", "rocket")),
        *(provider(stage, "gchat", "gchat"), provider(stage, "coded", "msteams", secretRef={"name": "room"})),
        provider(stage, "token", "slack", secretRef={"name": "token"}),
    )
    rooms = {"slack": "info", "rocket": "warn", "gchat": "error", "coded": "error"}
    rooms |= {"nobody": "info", "token": "info"}  # these two Flagger cannot tell
    alerts = [alert(*each) for each in rooms.items()]
    await stage.initialized(analysis={"threshold": 20, "metrics": [RATE, check("dead")], "alerts": alerts})
    await stage.edit_analysis(metrics=[check("queue", templateVariables={"pods": ".*"})])
    await stage.set_image("2.1.2")
    await stage.weight(40)
    bad = "dead unreadable unknown-function queue absent missing refused no-secret half-a-secret no-address depth"
    await fail_one_by_one(stage, *map(check, bad.split()), check("depth", thresholdRange={"min": 8.5}))
    await stage.edit_analysis(threshold=5)
    await stage.phase("Failed")
    await stage.delete("Secret", "room")  # it has an address of this run


async def inline(stage: Stage) -> None:
    """Queries in the Canary itself: no value, refused, too high, too low; an unknown name; alerts of three severities."""
    stage.script.custom = {"absent": None, "refused": REFUSED, "jobs": 1e6}
    good = {"name": "jobs", "query": 'jobs{namespace="{{ namespace }}"}', "thresholdRange": {"min": 1}}
    rooms = {"slack": "info", "discord": "warn", "gchat": "error"}
    await stage.apply(*(provider(stage, room, room) for room in rooms))
    stage.answer("gate", 403)
    analysis = {"threshold": 20, "metrics": [RATE, good], "alerts": [alert(*each) for each in rooms.items()]}
    await stage.initialized(analysis=analysis | {"webhooks": [stage.hook("gate", "confirm-rollout")]})
    await stage.set_image("2.1.2")
    await stage.phase("Waiting")
    stage.answer("gate")
    await stage.weight(20)
    await fail_one_by_one(
        stage,
        good | {"name": "absent", "query": 'absent{namespace="inline"}'},
        good | {"name": "refused", "query": 'refused{namespace="inline"}'},
        *(good | {"thresholdRange": each} for each in ({"max": 0.5}, {"min": 2e6})),
        {"name": "jobs", "query": good["query"], "threshold": 5},
        {"name": "requests-per-day"},
    )
    await stage.edit_analysis(metrics=[RATE, good])
    await stage.phase("Succeeded")


async def legacy(stage: Stage) -> None:
    """`threshold` in place of `thresholdRange`: at the bounds, beyond each of them; rolled back."""
    rate, duration = {"name": "request-success-rate", "interval": "30s"}, {"name": "request-duration"}
    await stage.initialized(analysis={"metrics": [rate | {"threshold": 99}, duration | {"threshold": 500}]})
    stage.script.success_rate, stage.script.duration = 99.0, 500.9
    await stage.set_image("2.1.2")
    await stage.weight(40)
    stage.script.success_rate = 98.999
    await stage.failed_checks(1)
    stage.script.success_rate, stage.script.duration = 99.0, 1501.0
    await stage.phase("Failed")


async def badserver(stage: Stage) -> None:
    """A Prometheus of the Canary's own (`metricsServer`) that is away; then none at all; then there, and promoted."""
    await stage.initialized(metricsServer=NOBODY, analysis={"threshold": 10})
    await stage.set_image("2.1.2")
    await stage.failed_checks(1)
    await stage.edit_canary({"metricsServer": "127.0.0.1:9090"})
    await stage.failed_checks(2)
    await stage.edit_canary({"metricsServer": f"{stage.url}/prometheus"})
    await stage.phase("Succeeded")
