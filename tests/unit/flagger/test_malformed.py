"""One object that cannot be read stops nobody else: beside each of them, a Canary goes through its whole release."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_kube import FakeKube, run
from flagger_world import NS, World, canary, podinfo

from canary_tutorial.flagger.controller import Controller
from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.golang import go_duration, timestamp
from canary_tutorial.flagger.leader import may_take
from canary_tutorial.flagger.logs import Logger
from canary_tutorial.flagger.metrics import Recorder
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.spec import Settings
from canary_tutorial.flagger.templates import TemplateError, render

Obj = dict[str, Any]
BEYOND = "\ud800"  # a character that no text in UTF-8 can have
DEEP: Any = None
for _ in range(200):
    DEEP = {"a": DEEP}


def bad(spec: Any = ..., status: Any = ..., name: str = "bad", **meta: Any) -> Obj:
    """A Canary with a spec of any kind, or none."""
    obj: Obj = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}
    obj["metadata"] = {"name": name, "namespace": NS, **meta}
    return obj | {key: value for key, value in (("spec", spec), ("status", status)) if value is not ...}


def whole(analysis: Any = ..., **fields: Any) -> Obj:
    """The spec of a Canary that is in order but for one thing."""
    spec: Obj = canary()["spec"] | {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "bad"}}
    if isinstance(analysis, dict):
        spec["analysis"] = spec["analysis"] | analysis
    elif analysis is not ...:
        spec["analysis"] = analysis
    return spec | fields


HOOK, METRIC = {"name": "x", "url": "http://127.0.0.1:1/"}, {"name": "request-success-rate"}
HUGE = 10**300
REVERT = {"revertOnDeletion": True}
CANARIES: dict[str, Obj] = {
    "no spec": bad(),
    "spec null": bad(None),
    "spec empty": bad({}),
    "spec a text": bad("spec"),
    "spec a list": bad([1]),
    "spec null and to be reverted": bad(None, finalizers=["finalizer.flagger.app"]),
    "no spec and being deleted": bad(finalizers=["finalizer.flagger.app"], deletionTimestamp="2026-01-01T00:00:00Z"),
    "finalizers null": bad(whole(**REVERT), finalizers=None, annotations=None, labels=None),
    "target null": bad(whole(targetRef=None)),
    "target empty": bad(whole(targetRef={})),
    "target a text": bad(whole(targetRef="podinfo")),
    "target without a name": bad(whole(targetRef={"kind": "Deployment"})),
    "target with a number for a name": bad(whole(targetRef={"kind": "Deployment", "name": 5})),
    "target of another path": bad(whole(targetRef={"kind": "Deployment", "name": f"../../{NS}/deployments/podinfo"})),
    "target of a long name": bad(whole(targetRef={"kind": "Deployment", "name": "a" * 253})),
    "target beyond UTF-8": bad(whole(targetRef={"kind": "Deployment", "name": BEYOND})),
    "another kind": bad(whole(targetRef={"kind": 7, "name": "bad"})),
    "analysis null": bad(whole(None)),
    "analysis empty": bad(whole(None) | {"analysis": {}}),
    "analysis a list": bad(whole([])),
    "analysis null but skipped": bad(whole(None, skipAnalysis=True)),
    "interval null": bad(whole({"interval": None})),
    "interval a number": bad(whole({"interval": 30})),
    "interval without end": bad(whole({"interval": "9" * 400 + "h"})),
    "interval that takes long to read": bad(whole({"interval": "1s" + "1" * 50_000})),
    "interval of nothing": bad(whole({"interval": "0s"})),
    "interval of a nanosecond": bad(whole({"interval": "1ns"})),
    "interval with a tail": bad(whole({"interval": "10sfoo"})),
    "threshold a text": bad(whole({"threshold": "many"})),
    "threshold with a fraction": bad(whole({"threshold": 1.5})),
    "threshold huge": bad(whole({"threshold": HUGE})),
    "threshold without end": bad(whole({"threshold": float("inf")})),
    "step not a number": bad(whole({"stepWeight": float("nan")})),
    "steps null": bad(whole({"stepWeights": None})),
    "steps with a null": bad(whole({"stepWeight": None, "stepWeights": [None, 10]})),
    "steps texts": bad(whole({"stepWeight": None, "stepWeights": ["a"]})),
    "steps in their thousands": bad(whole({"stepWeight": None, "stepWeights": list(range(10_000))})),
    "negative numbers": bad(whole({"stepWeight": -5, "maxWeight": -1, "iterations": -2, "threshold": -1})),
    "ready thresholds": bad(whole({"primaryReadyThreshold": HUGE, "canaryReadyThreshold": -HUGE})),
    "mirror a text": bad(whole({"mirror": "yes", "mirrorWeight": "all"})),
    "deadline huge": bad(whole(progressDeadlineSeconds=10**18)),
    "deadline a text": bad(whole(progressDeadlineSeconds="soon")),
    "metrics null": bad(whole({"metrics": None})),
    "metrics a text": bad(whole({"metrics": "all"})),
    "metrics with a null": bad(whole({"metrics": [None]})),
    "metrics with a text": bad(whole({"metrics": ["x"]})),
    "a metric without a name": bad(whole({"metrics": [{}]})),
    "a metric beyond UTF-8": bad(whole({"metrics": [{"name": BEYOND, "query": "vector(1)"}]})),
    "metrics in their thousands": bad(whole({"metrics": [METRIC] * 3000})),
    "thresholdRange a list": bad(whole({"metrics": [{**METRIC, "thresholdRange": [1, 2]}]})),
    "thresholdRange of texts": bad(whole({"metrics": [{**METRIC, "thresholdRange": {"min": "a"}}]})),
    "threshold of a metric huge": bad(whole({"metrics": [{**METRIC, "threshold": HUGE}]})),
    "templateRef a text": bad(whole({"metrics": [{"name": "x", "templateRef": "errors"}]})),
    "templateRef without a name": bad(whole({"metrics": [{"name": "x", "templateRef": {"namespace": "a"}}]})),
    "templateRef of another path": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "../../secrets/s"}}]})),
    "a template without spec": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "specless"}}]})),
    "a template of nulls": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "nulls"}}]})),
    "a template of other types": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "types"}}]})),
    "a template with odd headers": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "headers"}}]})),
    "a template with a bad Secret": bad(whole({"metrics": [{"name": "x", "templateRef": {"name": "secret"}}]})),
    "a query that takes long to read": bad(whole({"metrics": [{"name": "x", "query": "{{" + " " * 20_000}]})),
    "a query with open braces": bad(whole({"metrics": [{"name": "x", "query": "{{ {{ }} {{- }"}]})),
    "variables null": bad(whole({"metrics": [{"name": "x", "query": "{{ variables.x }}", "templateVariables": None}]})),
    "variables a list": bad(
        whole({"metrics": [{"name": "x", "query": "{{ variables.x }}", "templateVariables": [1]}]})
    ),
    "metricsServer odd": bad(whole(metricsServer="http://[::1")),
    "metricsServer with a newline": bad(whole(metricsServer="http://a\nb")),
    "webhooks null": bad(whole({"webhooks": None})),
    "webhooks a text": bad(whole({"webhooks": "x"})),
    "webhooks with a null": bad(whole({"webhooks": [None]})),
    "a webhook of nothing": bad(whole({"webhooks": [{}]})),
    "a webhook without url": bad(whole({"webhooks": [{"name": "x", "type": "event"}]})),
    "a webhook of an odd url": bad(whole({"webhooks": [{**HOOK, "url": "http://[", "type": "event"}]})),
    "a webhook of no url at all": bad(whole({"webhooks": [{**HOOK, "url": "::::"}]})),
    "a webhook beyond UTF-8": bad(whole({"webhooks": [{**HOOK, "url": f"http://{BEYOND}/", "type": "event"}]})),
    "a webhook with a long timeout": bad(whole({"webhooks": [{**HOOK, "timeout": "9" * 300 + "m", "type": "event"}]})),
    "a webhook with an odd timeout": bad(whole({"webhooks": [{**HOOK, "timeout": "1s1", "type": "event"}]})),
    "a webhook with huge retries": bad(whole({"webhooks": [{**HOOK, "retries": HUGE}]})),
    "metadata a list": bad(whole({"webhooks": [{**HOOK, "metadata": ["x"], "type": "event"}]})),
    "metadata of numbers": bad(whole({"webhooks": [{**HOOK, "metadata": {"x": 5}, "type": "event"}]})),
    "webhooks of no known type": bad(whole({"webhooks": [{**HOOK, "type": "dance"}]})),
    "alerts null": bad(whole({"alerts": None})),
    "alerts a text": bad(whole({"alerts": "x"})),
    "an alert of nothing": bad(whole({"alerts": [{}]})),
    "an alert without provider": bad(whole({"alerts": [{"severity": "info"}]})),
    "an alert with a null provider": bad(whole({"alerts": [{"severity": "info", "providerRef": None}]})),
    "a provider without spec": bad(whole({"alerts": [{"severity": "info", "providerRef": {"name": "specless"}}]})),
    "a provider of other types": bad(whole({"alerts": [{"severity": "info", "providerRef": {"name": "types"}}]})),
    "a provider with an odd address": bad(whole({"alerts": [{"severity": "info", "providerRef": {"name": "odd"}}]})),
    "a provider with a bad Secret": bad(whole({"alerts": [{"severity": "info", "providerRef": {"name": "secret"}}]})),
    "service null": bad(whole(service=None)),
    "service a list": bad(whole(service=[])),
    "port huge": bad(whole(service={"port": HUGE})),
    "port with a fraction": bad(whole(service={"port": 98.98})),
    "port a text": bad(whole(service={"port": "http"})),
    "hosts a text": bad(whole(service={"port": 9898, "hosts": "abc"})),
    "hosts null, gateways null": bad(whole(service={"port": 9898, "hosts": None, "gateways": None, "match": None})),
    "match a text": bad(whole(service={"port": 9898, "match": "x"})),
    "match with a null": bad(whole({"match": [None], "iterations": 2, "stepWeight": None})),
    "matches in their thousands": bad(
        whole({"match": [{}] * 3000, "iterations": 2}, service={"port": 9898, "match": [{"port": 1}] * 3000})
    ),
    "match with a bad regex": bad(whole({"match": [{"headers": {"a": {"regex": "("}}}], "iterations": 2})),
    "apex a text": bad(whole(service={"port": 9898, "apex": "x"})),
    "labels of numbers": bad(whole(service={"port": 9898, "apex": {"labels": {"a": 5}}})),
    "unmanagedMetadata a text": bad(whole(service={"port": 9898, "unmanagedMetadata": "x"})),
    "name of another path": bad(whole(service={"port": 9898, "name": "../../secrets/x"})),
    "portDiscovery with odd ports": bad(whole(service={"port": 9898, "portDiscovery": True, "targetPort": {"a": 1}})),
    "deep trafficPolicy": bad(whole(service={"port": 9898, "trafficPolicy": DEEP})),
    "affinity of another type": bad(whole({"sessionAffinity": "cookie"})),
    "affinity with a huge age": bad(whole({"sessionAffinity": {"cookieName": "a", "maxAge": 10**18}})),
    "affinity with a bad name": bad(whole({"sessionAffinity": {"cookieName": "(\n"}})),
    "autoscaler a text": bad(whole(autoscalerRef="x")),
    "autoscaler without a name": bad(whole(autoscalerRef={"kind": "HorizontalPodAutoscaler"})),
    "autoscaler of another path": bad(whole(autoscalerRef={"kind": "HorizontalPodAutoscaler", "name": "a/b"})),
    "replicas of texts": bad(whole(autoscalerRef={"name": "x", "primaryScalerReplicas": {"minReplicas": "a"}})),
    "provider odd": bad(whole(provider=7)),
    "suspend a text": bad(whole(suspend="no")),
    "status a text": bad(whole(), "status"),
    "status a list": bad(whole(), []),
    "status null": bad(whole(), None),
    "phase a list": bad(whole(), {"phase": ["x"]}),
    "phase unknown": bad(whole(), {"phase": "Dancing", "conditions": [{}]}),
    "numbers of the status": bad(whole(), {"phase": "Progressing", "failedChecks": "x", "iterations": {}}),
    "huge numbers of the status": bad(whole(), {"phase": "Progressing", "failedChecks": HUGE, "iterations": -HUGE}),
    "conditions a text": bad(whole(), {"phase": "Failed", "conditions": "x"}),
    "conditions of nulls": bad(whole(), {"phase": "Failed", "conditions": [None, {}, {"type": "Promoted"}]}),
    "half a condition": bad(whole(), {"phase": "Succeeded", "conditions": [{"type": "Promoted", "status": "True"}]}),
    "trackedConfigs a text": bad(whole(), {"phase": "Succeeded", "trackedConfigs": "x", "lastAppliedSpec": 5}),
    "cookies of the status": bad(
        whole({"sessionAffinity": {"cookieName": "a"}}), {"phase": "Progressing", "sessionAffinityCookie": 7}
    ),
    "a name at the limit": bad(whole(), name="a" * 253),
    "revert with notes that are not JSON": bad(whole(**REVERT), name="noted"),
}


def others() -> Iterator[Obj]:
    """What malformed Canaries name: targets, templates, providers, Secrets."""
    yield podinfo("bad")
    for name, spec in (("specless", ...), ("nulls", None), ("types", {"provider": "prometheus", "query": 7})):
        for kind in ("MetricTemplate", "AlertProvider"):
            yield {**bad(spec, name=name), "kind": kind}
    provider = {"type": "prometheus", "address": "http://127.0.0.1:1"}
    yield {
        **bad({"provider": {**provider, "headers": {"a\n": ["b\r\n"]}}, "query": "x"}, name="headers"),
        "kind": "MetricTemplate",
    }
    yield {
        **bad({"provider": {**provider, "secretRef": {"name": "s"}}, "query": "x"}, name="secret"),
        "kind": "MetricTemplate",
    }
    yield {**bad({"type": "slack", "secretRef": {"name": "s"}}, name="secret"), "kind": "AlertProvider"}
    yield {**bad({"type": "discord", "address": "http://[x"}, name="odd"), "kind": "AlertProvider"}
    yield {"kind": "Secret", "metadata": {"name": "s", "namespace": NS}, "data": {"token": "%%%", "address": "%%%"}}
    note = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{not json"}}
    for kind in ("Service", "VirtualService"):
        yield {"kind": kind, "metadata": {"name": "noted", "namespace": NS, **note}, "spec": {}}


class Strict(FakeKube):
    """Refuses paths as the client does, so that a name is never more than a name."""

    async def get(self, kind: str, name: str, namespace: str) -> Obj:
        if not name or "/" in name:
            raise Refused(f'invalid resource name "{name}"')
        return await super().get(kind, name, namespace)


async def release(beside: list[Obj], monkeypatch: pytest.MonkeyPatch) -> tuple[Strict, str, Recorder]:
    """A release of podinfo under a controller that also has these objects to look after."""

    async def answers(*_: Any) -> Any:
        from canary_tutorial.flagger.effects import Value

        return Value(100.0)

    monkeypatch.setattr("canary_tutorial.flagger.prometheus.query", answers)
    kube, said, recorder = Strict(), io.StringIO(), Recorder("1.44.0", "istio")
    performer = Performer(kube, recorder, Logger("info", said), "http://127.0.0.1:1")  # type: ignore[arg-type]
    controller = Controller(performer, Settings(), 10)
    for obj in (*others(), *beside):
        key = (obj["kind"], NS, obj["metadata"]["name"])
        kube.objects[key] = json.loads(json.dumps(obj))
    victim = canary({"metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]}, name="victim")
    victim["spec"]["targetRef"]["name"] = "victim"
    del victim["status"]
    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    work = asyncio.create_task(controller.run())
    try:
        await asyncio.sleep(1)
        kube.put(podinfo("victim"))
        kube.put(victim)
        await asyncio.sleep(100)
        assert status(kube)["phase"] == "Initialized"
        for obj in beside:  # everything again, as an edit and at the end as a deletion
            kube._tell("MODIFIED", {**obj, "spec": {"analysis": None}})
            kube._tell("MODIFIED", obj)
        kube.edit(
            "Deployment", "victim", lambda o: o["spec"]["template"]["metadata"].update(annotations={"new": "yes"})
        )
        await asyncio.sleep(300)
        assert status(kube)["phase"] == "Succeeded"
        for obj in beside:
            kube._tell("DELETED", obj)
        await asyncio.sleep(15)
        assert not work.done()
        assert unheard == []
    finally:
        work.cancel()
        await asyncio.wait([work])
    return kube, said.getvalue(), recorder


def status(kube: FakeKube) -> Obj:
    found: Obj = kube.objects["Canary", NS, "victim"].get("status") or {}
    return found


@pytest.mark.parametrize("name", CANARIES)
def test_a_malformed_canary_holds_nobody_up(name: str, monkeypatch: pytest.MonkeyPatch):
    began = time.monotonic()
    _, log, _ = run(release([CANARIES[name]], monkeypatch))
    assert "Traceback" not in log
    assert time.monotonic() - began < 60, "it held up everybody else"


def test_all_malformed_canaries_at_once_hold_nobody_up(monkeypatch: pytest.MonkeyPatch):
    every = [{**obj, "metadata": {**obj["metadata"], "name": f"bad-{n}"}} for n, obj in enumerate(CANARIES.values())]
    kube, _, recorder = run(release(every, monkeypatch))
    from prometheus_client import generate_latest

    assert b'flagger_canary_weight{namespace="test",workload="victim-primary"} 100.0' in generate_latest(
        recorder.registry
    )
    assert "Promotion completed! Scaling down victim.test" in kube.events


def test_a_malformed_canary_is_named_in_the_log_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch):
    _, log, _ = run(
        release([CANARIES["spec null"], CANARIES["threshold with a fraction"] | bad(name="other")], monkeypatch)
    )
    lines = [json.loads(line) for line in log.splitlines()]
    told = {line["canary"]: line["msg"] for line in lines if line["level"] == "error"}
    assert told["bad.test"] == "Canary bad.test has no spec.analysis"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"analysis": {"threshold": 1.5}},
            "spec.analysis.threshold: cannot unmarshal number 1.5 into Go value of type int",
        ),
        ({"service": []}, "spec.service: cannot unmarshal array into Go value of type struct"),
        ({"targetRef": {"name": 5}}, "spec.targetRef.name: cannot unmarshal number 5 into Go value of type string"),
        ({"analysis": {"metrics": [{}, {"name": True}]}}, "spec.analysis.metrics[1].name: cannot unmarshal bool into"),
        (
            {"service": {"port": 2**31}},
            "spec.service.port: cannot unmarshal number 2147483648 into Go value of type int32",
        ),
        (
            {"analysis": {"webhooks": [{"metadata": {"a": 1}}]}},
            "spec.analysis.webhooks[0].metadata.a: cannot unmarshal",
        ),
    ],
)
def test_what_does_not_fit_is_told_by_its_path(spec: Obj, text: str):
    from canary_tutorial.flagger.shapes import misfit

    assert misfit({"spec": spec}).startswith(text)


def test_a_canary_in_order_fits():
    from canary_tutorial.flagger.shapes import misfit

    assert misfit(canary()) == ""
    assert misfit({"spec": None, "status": {"conditions": None}}) == ""


# -- other objects


def world(**objects: Any) -> World:
    return World(podinfo(), canary(), *objects.values())


SPECS: list[Any] = [None, {}, "x", [1], {"http": None}, {"http": "x"}, {"http": [None]}, {"http": [{"route": None}]}]


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule", "Service"])
def test_an_object_in_the_way_that_cannot_be_read_is_told_or_put_right(kind: str, spec: Any):
    name = "podinfo-canary" if kind == "DestinationRule" else "podinfo"
    made = World(podinfo(), canary(), {"kind": kind, "metadata": {"name": name, "namespace": NS}, "spec": spec})
    said = made.tick(4)
    assert made.phase == "Initialized" or said[-1].startswith("! "), said


@pytest.mark.parametrize("data", [None, {}, ..., "x", {"a": None}], ids=repr)
def test_a_tracked_config_of_any_kind_stops_no_tick(data: Any):
    pods = podinfo()
    pods["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "c"}}]
    config = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": NS}} | ({} if data is ... else {"data": data})
    World(pods, canary(), config).initialized()


def test_a_status_of_a_deployment_that_cannot_be_read_is_told():
    made = world()
    made.stuck["podinfo-primary"] = {"availableReplicas": "many"}
    assert "cannot be read" in made.tick(2)[-1]


# -- what would take long, and what decides who leads


@pytest.mark.parametrize("text", ["1" * 100_000, "1s" + "1" * 100_000, "1." * 50_000, "9" * 100_000 + "h"])
def test_odd_durations_are_read_at_once(text: str):
    began = time.thread_time()
    assert go_duration(text) is None
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("text", ["{{" + " " * 100_000, "{{" * 50_000, "{{ a " * 20_000, "{{-" + "\n" * 100_000 + "x"])
def test_odd_queries_are_refused_at_once(text: str):
    began = time.thread_time()
    with pytest.raises(TemplateError, match="unclosed action"):
        render(text, {"a": "b"}, {})
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    "spec", [None, {}, "x", {"holderIdentity": "b", "renewTime": "soon"}, {"holderIdentity": "b", "renewTime": 7},
             {"holderIdentity": "b", "renewTime": "2026-01-01T00:00:00"},
             {"holderIdentity": "b", "renewTime": "2026-01-01T00:00:00Z", "leaseDurationSeconds": "x"}]
)  # fmt: skip
def test_a_lease_that_cannot_be_read_is_free(spec: Any):
    from datetime import UTC, datetime

    assert may_take({"spec": spec}, "a", datetime(2026, 1, 2, tzinfo=UTC))
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets/x", "a?b", "a%2fb", "a#b"])
def test_a_name_is_never_a_path(name: str):
    from canary_tutorial.flagger.kube import check_names

    with pytest.raises(Refused, match="resource name"):
        check_names(name, NS)
