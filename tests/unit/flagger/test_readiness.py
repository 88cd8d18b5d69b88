"""When a Deployment counts as ready, and what happens when it never is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flagger_world import DEADLINE, World, canary, podinfo, unavailable

from canary_tutorial.flagger.effects import Update
from canary_tutorial.flagger.readiness import NotReady, deployment_readiness
from canary_tutorial.flagger.spec import Canary

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAITING = "waiting for rollout to finish: "


def deployment(asked: int | None = 2, generation: int = 1, **status: Any) -> dict[str, Any]:
    ready = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    spec = {} if asked is None else {"replicas": asked}
    return {"metadata": {"name": "podinfo", "generation": generation}, "spec": spec, "status": {**ready, **status}}


@pytest.mark.parametrize(
    ("found", "threshold", "expected"),
    [
        pytest.param(deployment(), 100, None, id="ready"),
        pytest.param(deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0), 100, None, id="zero-is-ready"),
        pytest.param(
            deployment(generation=2),
            100,
            NotReady(WAITING + "observed deployment generation less than desired generation"),
            id="generation-not-observed",
        ),
        pytest.param(
            deployment(**DEADLINE),
            100,
            NotReady('deployment "podinfo" exceeded its progress deadline', retriable=False),
            id="own-deadline",
        ),
        pytest.param(
            deployment(updatedReplicas=1, replicas=1),
            100,
            NotReady(WAITING + "1 out of 2 new replicas have been updated"),
            id="too-few-updated",
        ),
        pytest.param(
            deployment(None, updatedReplicas=1),
            100,
            NotReady(WAITING + "1 old replicas are pending termination"),
            id="no-replicas-in-the-spec",
        ),
        pytest.param(
            deployment(availableReplicas=1),
            100,
            NotReady(WAITING + "1 of 2 (readyThreshold 100%) updated replicas are available"),
            id="too-few-available",
        ),
        pytest.param(deployment(availableReplicas=1), 50, None, id="threshold-50"),
        pytest.param(deployment(availableReplicas=1), 99, None, id="threshold-is-rounded-down"),
        pytest.param(deployment(availableReplicas=0), 0, None, id="threshold-0"),
        pytest.param(
            deployment(100, replicas=100, updatedReplicas=100, availableReplicas=52),
            53,
            None,
            id="threshold-is-counted-in-32-bits",
        ),
    ],
)
def test_the_tests_of_readiness(found: dict[str, Any], threshold: int, expected: NotReady | None):
    assert deployment_readiness(found, 60, threshold, NOW) == expected


@pytest.mark.parametrize(("seconds", "retriable"), [(0, True), (60, True), (61, False)])
def test_the_canarys_deadline_counts_from_the_last_availability(seconds: int, retriable: bool):
    found = deployment(**unavailable(NOW - timedelta(seconds=seconds)))
    why = deployment_readiness(found, 60, 100, NOW)
    assert why is not None
    assert why.retriable is retriable


def test_an_unavailability_without_a_time_is_past_every_deadline():
    found = deployment(**unavailable(NOW))
    for condition in found["status"]["conditions"]:
        condition.pop("lastUpdateTime", None)
    why = deployment_readiness(found, 600, 100, NOW)
    assert why is not None
    assert not why.retriable


@pytest.mark.parametrize(("given", "seconds"), [({}, 600), ({"progressDeadlineSeconds": 0}, 0)], ids=["none", "zero"])
def test_only_a_missing_deadline_has_a_default(given: dict[str, int], seconds: int):
    obj = canary()
    del obj["spec"]["progressDeadlineSeconds"]
    obj["spec"] |= given
    assert Canary(obj).deadline == seconds


def test_a_bad_image_fails_by_the_deadline_without_a_failed_check():
    world = World().released()
    world.stuck["podinfo"] = unavailable(world.now)
    text = f"! canary deployment podinfo.test not ready: {WAITING}"
    text += "0 of 1 (readyThreshold 100%) updated replicas are available"
    assert world.tick(3) == [text] * 3
    assert (world.status["failedChecks"], world.phase) == (0, "Progressing")
    assert world.tick() == [text, "! Canary failed! Scaling down podinfo.test"]
    assert (world.phase, world.weights, world.replicas) == ("Failed", (100, 0, False), 0)


def test_an_unready_target_in_mid_run_waits_without_counting():
    world = World().released()
    world.tick(2)
    world.stuck["podinfo"] = {"availableReplicas": 0}
    world.tick(5)
    assert (world.status["failedChecks"], world.weights) == (0, (60, 40, False))
    world.stuck.clear()
    assert world.tick() == ["Advance podinfo.test canary weight 60"]


def test_a_primary_that_cannot_start_leaves_the_canary_initializing():
    world = World()
    world.tick()
    world.stuck["podinfo-primary"] = DEADLINE
    exceeded = '! podinfo-primary.test not ready: deployment "podinfo-primary" exceeded its progress deadline'
    gone = '! VirtualService podinfo.test get query error virtualservices.networking.istio.io "podinfo" not found'
    assert world.tick()[1:] == [exceeded, gone]
    assert (world.phase, world.replicas) == ("Initializing", 1)


def test_a_primary_that_cannot_start_fails_a_canary_whose_routes_exist():
    world = World()
    world.tick()
    world.put({"kind": "VirtualService", "metadata": {"name": "podinfo", "namespace": "test"}, "spec": {"http": []}})
    world.stuck["podinfo-primary"] = DEADLINE
    assert world.tick()[-1] == "! Canary failed! Scaling down podinfo.test"
    assert (world.phase, world.replicas) == ("Failed", 0)


def test_promotion_waits_for_the_primary_with_traffic_where_it_is():
    world = World().released()
    world.until("Promoting")
    world.stuck["podinfo-primary"] = {"updatedReplicas": 0}
    waiting = f"! podinfo-primary.test not ready: {WAITING}0 out of 1 new replicas have been updated"
    assert world.tick(2) == [waiting] * 2
    assert world.weights == (40, 60, False)


@pytest.mark.parametrize("phase", ["Promoting", "Finalising"])
def test_a_primary_that_fails_to_take_over_leaves_everybody_with_the_canary(phase: str):
    world = World().released()
    world.until(phase)
    world.stuck["podinfo-primary"] = DEADLINE
    why = 'podinfo-primary.test not ready: deployment "podinfo-primary" exceeded its progress deadline'
    assert world.tick() == [f"! {why}", f"! Promotion of podinfo.test failed, primary not ready: {why}"]
    assert world.alerts[-1] == ("error", f"Promotion failed, primary not ready: {why}")
    assert (world.phase, world.weights, world.replicas) == ("Failed", (0, 100, False), 1)
    assert world.status["canaryWeight"] == 100
    world.set_image("podinfo:3")
    assert world.tick() == [f"! {why}", "! Canary failed! Scaling down podinfo.test"]
    assert (world.weights, world.replicas) == ((100, 0, False), 0)


def test_a_failed_promotion_is_told_even_where_its_routes_cannot_be_written():
    world = World().released()
    world.until("Finalising")
    world.stuck["podinfo-primary"] = DEADLINE
    world.refuse = lambda effect: "no" if isinstance(effect, Update) and effect.kind == "VirtualService" else None
    assert world.tick()[-1] == "! VirtualService podinfo.test update failed: no"
    assert world.alerts[-1][1].startswith("Promotion failed, primary not ready: podinfo-primary.test not ready")


def test_an_unready_primary_stops_a_run_only_for_a_while():
    world = World().released()
    world.tick(2)
    world.stuck["podinfo-primary"] = {"availableReplicas": 0}
    world.tick()
    world.stuck.clear()
    assert world.tick() == ["Advance podinfo.test canary weight 60"]


def test_a_dead_primary_in_mid_run_ends_it():
    world = World().released()
    world.tick(2)
    world.stuck["podinfo-primary"] = DEADLINE
    assert world.tick()[-1] == "! Canary failed! Scaling down podinfo.test"
    assert world.phase == "Failed"


def test_ready_thresholds_are_the_analysis_own():
    world = World(podinfo(), canary({"canaryReadyThreshold": 50, "primaryReadyThreshold": 50})).released()
    world["Deployment/podinfo"]["spec"]["replicas"] = 2
    world.stuck = {"podinfo": {"availableReplicas": 1}, "podinfo-primary": {"availableReplicas": 0}}
    assert world.tick() == ["Starting canary analysis for podinfo.test", "Advance podinfo.test canary weight 20"]


def test_a_missing_target_is_told_each_tick():
    world = World(canary())
    text = '! deployment podinfo.test get query error: deployments.apps "podinfo" not found'
    assert world.tick(2) == [text] * 2


def test_a_missing_primary_is_made_again_in_any_phase():
    world = World().released()
    world.tick()
    del world.objects["Deployment", "podinfo-primary"]
    unseen = "observed deployment generation less than desired generation"
    assert world.tick() == [f"! podinfo-primary.test not ready: {WAITING}{unseen}"]
    assert ("Deployment", "podinfo-primary") in world.objects


def test_a_target_must_select_by_a_known_label():
    target = podinfo()
    target["spec"]["selector"]["matchLabels"] = {"tier": "web"}
    world = World(target, canary())
    allowed = "[app name app.kubernetes.io/name]"
    text = f"deployment podinfo.test spec.selector.matchLabels must contain one of {allowed}"
    assert world.tick() == [f"! getSelectorLabel failed: {text}"]
