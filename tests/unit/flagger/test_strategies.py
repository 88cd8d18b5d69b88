"""A/B, Blue/Green, skipped analyses, suspension."""

from __future__ import annotations

from typing import Any

import pytest
from flagger_world import World, canary, podinfo

MATCH = [{"headers": {"x-canary": {"exact": "insider"}}}, {"headers": {"cookie": {"regex": ".*canary=always.*"}}}]
GATE = {"type": "confirm-promotion", "name": "gate", "url": "http://gates/"}
ITERATION = "Advance podinfo.test canary iteration {}/{}"
COPY = "Copying podinfo.test template spec to podinfo-primary.test"


def destination(name: str, weight: int) -> dict[str, Any]:
    return {"destination": {"host": name}, "weight": weight}


def ab(**analysis: Any) -> World:
    return World(podinfo(), canary({"iterations": 3, "match": MATCH, **analysis})).initialized()


def blue_green(**analysis: Any) -> World:
    return World(podinfo(), canary({"iterations": 2, **analysis})).initialized()


def test_ab_routes_by_headers_and_cookies():
    world = ab()
    primary, off = destination("podinfo-primary", 100), destination("podinfo-canary", 0)
    rest = {"route": [primary], "timeout": "30s"}
    assert world.http == [{"match": MATCH, "route": [primary, off], "timeout": "30s"}, rest]
    world.set_image("podinfo:2")
    world.tick(2)
    on = [destination("podinfo-primary", 0), destination("podinfo-canary", 100)]
    rest = {"route": [destination("podinfo-primary", 0)], "timeout": "30s"}
    assert world.http == [{"match": MATCH, "route": on, "timeout": "30s"}, rest]


def test_ab_needs_three_ticks_more_than_its_iterations():
    world = ab()
    world.set_image("podinfo:2")
    said = world.tick(3 + 3 + 1)
    assert said == [
        "New revision detected! Scaling up podinfo.test",
        "Starting canary analysis for podinfo.test",
        *(ITERATION.format(number, 3) for number in (1, 2, 3)),
        COPY,
        "Routing all traffic to primary",
        "Promotion completed! Scaling down podinfo.test",
    ]
    assert (world.phase, world.status["canaryWeight"], world.status["iterations"]) == ("Succeeded", 0, 0)
    assert ("success", {"strategy": "ab-testing", "analysis_status": "completed"}) in world.gauges


def test_a_gate_of_ab_is_asked_every_second_tick():
    world = ab(webhooks=[GATE])
    world.hooks["gate"] = "Forbidden"
    world.set_image("podinfo:2")
    halt = "! Halt podinfo.test advancement waiting for promotion approval gate"
    world.tick(4)
    assert world.tick() == [halt]
    assert (world.phase, world.status["iterations"]) == ("WaitingPromotion", 2)
    assert world.tick(4) == [ITERATION.format(3, 3)] * 2
    assert world.phase == "WaitingPromotion"
    world.hooks["gate"] = None
    assert world.until("Promoting")[-2:] == ["Confirm-promotion check gate passed", COPY]


def test_blue_green_checks_without_users_then_routes_everybody():
    world = blue_green()
    world.set_image("podinfo:2")
    expected = [
        (["New revision detected! Scaling up podinfo.test"], (100, 0, False)),
        (["Starting canary analysis for podinfo.test", ITERATION.format(1, 2)], (100, 0, False)),
        ([ITERATION.format(2, 2)], (100, 0, False)),
        (["Routing all traffic to canary"], (0, 100, False)),
        ([COPY], (0, 100, False)),
        (["Routing all traffic to primary"], (100, 0, False)),
        (["Promotion completed! Scaling down podinfo.test"], (100, 0, False)),
    ]
    for said, weights in expected:
        assert world.tick() == said
        assert world.weights == weights
    assert ("success", {"strategy": "blue-green", "analysis_status": "completed"}) in world.gauges


def test_blue_green_mirrors_during_its_checks():
    world = blue_green(mirror=True)
    world.set_image("podinfo:2")
    world.tick(2)
    assert world.weights == (100, 0, True)
    assert "Start traffic mirroring" in world.logs
    world.tick()
    assert world.tick() == ["Stop traffic mirroring and route all traffic to canary"]
    assert world.weights == (0, 100, False)


def test_a_gate_of_blue_green_is_asked_before_the_switch_and_before_the_promotion():
    world = blue_green(webhooks=[GATE])
    world.set_image("podinfo:2")
    world.until("Promoting")
    assert [name for name, _ in world.called] == ["gate", "gate"]


def test_blue_green_mirroring_that_fails_does_not_stop_it():
    world = blue_green(mirror=True)
    world.set_image("podinfo:2")
    world.tick()
    world.refuse = lambda effect: (
        "no room" if type(effect).__name__ == "Update" and effect.kind == "VirtualService" else None
    )
    said = world.tick()
    assert said[1:] == ["! VirtualService podinfo.test update failed: no room", ITERATION.format(1, 2)]


def test_blue_green_with_steps_of_promotion_goes_back_in_steps():
    world = blue_green(stepWeightPromotion=50)
    world.set_image("podinfo:2")
    said = world.until("Succeeded")
    assert [line for line in said if "primary weight" in line] == [
        "Advance podinfo.test primary weight 50",
        "Advance podinfo.test primary weight 100",
    ]


def test_a_mirror_stays_until_the_promotion_where_a_weighted_run_no_longer_asks_for_it():
    world = World(podinfo(), canary({"mirror": True})).released()
    world.tick()
    world.change("Canary/podinfo", analysis__mirror=False)
    assert world.tick()[-1] == "Advance podinfo.test canary weight 20"
    assert world.weights == (80, 20, True)
    world.until("Finalising")
    assert world.weights == (100, 0, False)


def test_skipping_the_analysis_initializes_at_once():
    world = World(podinfo(), canary(skipAnalysis=True))
    assert world.tick() == ["Initialization done! podinfo.test"]
    assert world.replicas == 0


def test_skipping_the_analysis_releases_in_two_ticks():
    world = World(podinfo(), canary(skipAnalysis=True)).initialized()
    world.set_image("podinfo:2")
    assert world.tick() == ["New revision detected! Scaling up podinfo.test"]
    assert world.tick() == [COPY, "Promotion completed! Canary analysis was skipped for podinfo.test"]
    assert (world.phase, world.replicas, world.checked) == ("Succeeded", 0, [])
    assert ("success", {"strategy": "canary", "analysis_status": "skipped"}) in world.gauges


def test_a_skipped_analysis_still_waits_for_its_gate_and_its_pods():
    gate = {"type": "confirm-rollout", "name": "gate", "url": "http://gates/"}
    world = World(podinfo(), canary({"webhooks": [gate]}, skipAnalysis=True)).initialized()
    world.hooks["gate"] = "Forbidden"
    world.set_image("podinfo:2")
    assert world.tick() == ["! Halt podinfo.test advancement waiting for approval gate"]
    world.hooks["gate"] = None
    world.tick()
    world.stuck["podinfo"] = {"availableReplicas": 0}
    waiting = "waiting for rollout to finish: 0 of 1 (readyThreshold 100%) updated replicas are available"
    assert world.tick() == [f"! canary deployment podinfo.test not ready: {waiting}"]


def test_a_suspended_canary_says_so_each_tick_and_does_nothing():
    world = World(podinfo(), canary(suspend=True))
    assert world.tick(2) == ["skipping canary run as object is suspended"] * 2
    assert len(world.objects) == 2
    assert world.logs == ["skipping canary run as object is suspended"] * 2


def test_a_run_goes_on_after_a_suspension():
    world = World().released()
    world.tick(2)
    world.change("Canary/podinfo", suspend=True)
    world.tick(2)
    assert world.weights == (60, 40, False)
    world.change("Canary/podinfo", suspend=False)
    assert world.tick() == ["Advance podinfo.test canary weight 60"]


@pytest.mark.parametrize("iterations", [1, 5])
@pytest.mark.parametrize(("match", "more"), [(MATCH, 3), ([], 4)], ids=["ab", "blue-green"])
def test_the_least_number_of_ticks(iterations: int, match: list[Any], more: int):
    world = World(podinfo(), canary({"iterations": iterations, "match": match})).initialized()
    world.set_image("podinfo:2")
    world.tick(iterations + more)
    assert world.phase == "Finalising"
    world.tick()
    assert world.phase == "Succeeded"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"provider": "linkerd"}, "the provider linkerd is not built in here, only istio is"),
        (
            {"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "podinfo"}},
            "the target kind DaemonSet is not built in here, only Deployment is",
        ),
        (
            {"autoscalerRef": {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "podinfo"}},
            "the autoscaler kind ScaledObject is not built in here, only HorizontalPodAutoscaler is",
        ),
    ],
)
def test_what_is_not_built_in_is_refused_and_nothing_is_touched(spec: dict[str, Any], text: str):
    world = World(podinfo(), canary(**spec))
    assert world.tick() == [f"! {text}"]
    assert len(world.objects) == 2
