"""The runner of the controllers: no number and no object of one user stops it for the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from controller_objects import template

from canary_tutorial.lab.api.admission import admit
from canary_tutorial.lab.controllers import manager
from canary_tutorial.lab.controllers.events import Recorder
from canary_tutorial.lab.kinds import EVENTS, NAMESPACES, PODS, REPLICASETS
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]


def replicaset(name: str, replicas: Any, **more: Any) -> Obj:
    pods = {"metadata": {"labels": {"app": name}}, "spec": template("i")["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return {"metadata": {"name": name, "namespace": "test"}, "spec": spec | more}


def world() -> Store:
    store = Store()
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
        assert now - begun < 30
    return longest


def test_more_pods_than_there_can_be_are_refused_with_an_event_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manager, "MAX_PODS", 300, raising=False)

    async def run() -> None:
        store = world()
        store.create(REPLICASETS, replicaset("huge", 5000))
        store.create(REPLICASETS, replicaset("small", 1))
        stalled = await until(lambda: len(store.list(PODS)) >= 300)
        await until(lambda: any(each["reason"] == "FailedCreate" for each in store.list(EVENTS)))
        assert stalled < 2
        assert len(store.list(PODS)) == 300
        assert store.list(PODS, "test", {"app": "small"}), "the small one has its pod"
        said = next(each["message"] for each in store.list(EVENTS) if each["reason"] == "FailedCreate")
        assert said.startswith('Error creating: pods "huge-')
        assert "exceeded quota" in said

    asyncio.run(run())
