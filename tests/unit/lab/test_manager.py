"""The runner of the controllers: no number and no object of one user stops it for the others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from controller_objects import template

from canary_tutorial.lab.api.checks.admission import admit
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.controllers import manager, services
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import (
    AUTOSCALERS,
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICASETS,
    SERVICES,
    Kind,
)  # fmt: skip
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]


def replicaset(name: str, replicas: Any, **more: Any) -> Obj:
    pods = {"metadata": {"labels": {"app": name}}, "spec": template("i")["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return {"metadata": {"name": name, "namespace": "test"}, "spec": spec | more}


def world() -> Store:
    store = Store(KINDS)
    manager.Manager(store, Recorder(store), admit)
    store.create(NAMESPACES, {"metadata": {"name": "test"}})
    return store


async def until(true: Any) -> float:
    """Wait for it; returns the longest time that the event loop was held meanwhile."""
    longest, begun = 0.0, time.monotonic()
    before = begun
    while not true():
        await asyncio.sleep(0)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
        assert now - begun < 90
    return longest


def test_more_pods_than_there_can_be_are_refused_with_an_event_and_others_go_on() -> None:
    async def run() -> None:
        store = world()
        store.create(REPLICASETS, replicaset("huge", 5000))
        store.create(REPLICASETS, replicaset("small", 1))
        stalled = await until(lambda: len(store.list(PODS)) >= 250)
        await until(lambda: any(each["reason"] == "FailedCreate" for each in store.list(EVENTS)))
        assert stalled < 20
        assert len(store.list(PODS)) == 250
        assert store.list(PODS, "test", {"app": "small"}), "the small one has its pod"
        said = next(each["message"] for each in store.list(EVENTS) if each["reason"] == "FailedCreate")
        assert said.startswith('Error creating: pods "huge-')
        assert "exceeded quota" in said

    asyncio.run(run())


ODD_STATUS = {
    "podIP": "127.9.9.9",
    "conditions": [{"type": "Ready", "status": "True"}, {"status": "x"}],
    "phase": "Running",
}
LABELS = {"labels": {"app": "good"}}
MALFORMED: dict[str, tuple[Kind, Obj]] = {
    "a ReplicaSet without a spec": (REPLICASETS, {}),
    "a ReplicaSet of odd numbers": (REPLICASETS, {"spec": {"replicas": "many", "selector": None}}),
    "a ReplicaSet of an odd revision": (REPLICASETS, {
        "metadata": {"annotations": {"deployment.kubernetes.io/revision": "x"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "bad"}}, "template": {"metadata": {}}}}),
    "a Deployment without a template": (DEPLOYMENTS, {"spec": {"selector": {}}}),
    "a Service of null": (SERVICES, {"spec": {"selector": {"app": "good"}, "ports": None}}),
    "a Service whose ports are none": (SERVICES, {"spec": {"selector": {"app": "good"}, "ports": [{}]}}),
    "an autoscaler without a spec": (AUTOSCALERS, {}),
    "an autoscaler of nothing": (AUTOSCALERS, {"spec": {"scaleTargetRef": None, "maxReplicas": None}}),
    "an owner without a uid": (CONFIGMAPS, {"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}}),
    "an owner of null": (CONFIGMAPS, {"metadata": {"ownerReferences": [{"uid": None, "name": None, "kind": None}]}}),
    "a pod whose status somebody else wrote": (PODS, {
        "metadata": LABELS, "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": ODD_STATUS}),
    "endpoints of null": (ENDPOINTS, {"subsets": None}),
    "a slice of null": (ENDPOINTSLICES, {
        "metadata": {"labels": {"kubernetes.io/service-name": "good"}}, "endpoints": None, "ports": None}),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "bad"), MALFORMED.values(), ids=MALFORMED.keys())
def test_one_malformed_object_stops_nobody_else(kind: Kind, bad: Obj) -> None:
    """The object is there before, between and behind those of others, as no check of the API has seen it."""

    def ready(pod: Obj) -> None:
        pod["status"] = {"podIP": "127.1.1.1", "phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z"}]}  # fmt: skip

    async def run() -> None:
        store = world()

        def add(name: str) -> None:
            store.create(kind, {**bad, "metadata": {**bad.get("metadata", {}), "name": name, "namespace": "test"}})

        def good(kind_: Kind) -> Obj:
            return store.get(kind_, "good", "test")

        add("a")
        template_ = {"metadata": LABELS, "spec": template("i")["spec"]}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "good"}}, "template": template_, "strategy": {}}
        store.create(DEPLOYMENTS, {"metadata": {"name": "good", "namespace": "test"}, "spec": spec})
        ports = {"selector": {"app": "good"}, "ports": [{"port": 80, "targetPort": 8080}]}
        store.create(SERVICES, {"metadata": {"name": "good", "namespace": "test"}, "spec": ports})
        add("z")

        def own_pods() -> list[str]:
            names = [pod["metadata"]["name"] for pod in store.list(PODS, "test")]
            return [name for name in names if name.startswith("good-")]

        await until(lambda: len(own_pods()) >= 2)
        for name in own_pods():
            store.change(PODS, name, "test", ready, "status")
        await until(lambda: (good(DEPLOYMENTS).get("status") or {}).get("availableReplicas") == 2)
        await until(lambda: store.find(ENDPOINTS, "good", "test") and good(ENDPOINTS).get("subsets"))
        store.delete(DEPLOYMENTS, "good", "test")
        await until(
            lambda: not [rs for rs in store.list(REPLICASETS, "test") if rs["metadata"]["name"].startswith("good")]
        )

    asyncio.run(run())


async def settled(turns: int = 20) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def test_endpoints_made_by_hand_stay_and_those_of_a_service_go_with_it() -> None:
    async def run() -> None:
        store = world()
        owner = store.create(CONFIGMAPS, {"metadata": {"name": "owner", "namespace": "test"}})["metadata"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
        store.create(ENDPOINTS, {"metadata": {"name": "mine", "namespace": "test"}})
        store.create(ENDPOINTS, {"metadata": {"name": "owned", "namespace": "test", "ownerReferences": [reference]}})
        store.create(SERVICES, {"metadata": {"name": "web", "namespace": "test"}, "spec": {"selector": {"a": "b"}}})
        await until(lambda: store.find(ENDPOINTS, "web", "test"))
        store.delete(SERVICES, "web", "test")
        await settled()
        assert sorted(each["metadata"]["name"] for each in store.list(ENDPOINTS, "test")) == ["mine", "owned"]

    asyncio.run(run())


@pytest.mark.parametrize("fails", ["concerns", "reconcile"])
def test_a_controller_that_fails_stops_no_other(
    fails: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that gives Services their address goes before the one that writes their Endpoints."""

    def fail(*_: Any) -> Any:
        raise KeyError("odd")

    broken = [
        replace(each, **{fails: fail}) if each.reconcile is services.reconcile else each for each in manager.CONTROLLERS
    ]
    monkeypatch.setattr(manager, "CONTROLLERS", broken)

    async def run() -> None:
        store = world()
        store.create(SERVICES, {"metadata": {"name": "web", "namespace": "test"}, "spec": {"selector": {"a": "b"}}})
        await settled()
        assert store.find(ENDPOINTS, "web", "test")

    asyncio.run(run())
    assert "KeyError: 'odd'" in caplog.text
