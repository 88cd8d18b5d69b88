"""The webinar's canary and its kin, tick by tick: mirroring, steps, promotion, rollback, new revisions in mid-run."""

from __future__ import annotations

import pytest
from flagger_world import World, canary, podinfo

SHIFT = "Advance podinfo.test canary weight {}"
HALT = "! Halt podinfo.test advancement success rate 50.00% < 99%"


def test_a_canary_initializes_when_its_primary_is_ready():
    world = World()
    available, waiting = "all the metrics providers are available!", "waiting for rollout to finish: "
    unseen = "observed deployment generation less than desired generation"
    assert world.tick() == [available, f"! podinfo-primary.test not ready: {waiting}{unseen}"]
    world.stuck = {"podinfo-primary": {"updatedReplicas": 0}}
    none = "0 out of 1 new replicas have been updated"
    assert world.tick() == [available, f"! podinfo-primary.test not ready: {waiting}{none}"]
    assert world.phase == "Initializing"
    assert ("Service", "podinfo") not in world.objects
    assert world.replicas == 1
    world.stuck.clear()
    assert world.tick() == ["all the metrics providers are available!", "Initialization done! podinfo.test"]
    assert (world.phase, world.replicas, world.weights) == ("Initialized", 0, (100, 0, False))
    status = world.status
    assert status["lastAppliedSpec"] == status["lastPromotedSpec"] != ""
    assert status["trackedConfigs"] == {}
    assert world.tick(3) == []
    assert world.gauges[-1] == ("status", {"phase": "Initialized"})


def test_a_canary_that_is_gone_ends_its_tick():
    world = World().initialized()
    del world.objects["Canary", "podinfo"]
    world.effects.clear()
    assert world.tick() == []
    assert len(world.effects) == 2  # it asks for the Canary, and says that there is none
    assert world.logs[-1] == "Canary podinfo.test not found"


def test_the_webinars_release_goes_step_by_step():
    world = World(podinfo(), canary({"mirror": True})).initialized()
    world.set_image("podinfo:2")
    expected = [
        (["New revision detected! Scaling up podinfo.test"], (100, 0, False), "Progressing", 0),
        (["Starting canary analysis for podinfo.test", SHIFT.format(0)], (100, 0, True), "Progressing", 0),
        ([SHIFT.format(20)], (80, 20, False), "Progressing", 20),
        ([SHIFT.format(40)], (60, 40, False), "Progressing", 40),
        ([SHIFT.format(60)], (40, 60, False), "Progressing", 60),
        (["Copying podinfo.test template spec to podinfo-primary.test"], (40, 60, False), "Promoting", 60),
        (["Routing all traffic to primary"], (100, 0, False), "Finalising", 0),
        (["Promotion completed! Scaling down podinfo.test"], (100, 0, False), "Succeeded", 0),
    ]
    for number, (said, weights, phase, weight) in enumerate(expected):
        assert world.tick() == said, f"tick D+{number}"
        assert (world.weights, world.phase, world.status["canaryWeight"]) == (weights, phase, weight), (
            f"tick D+{number}"
        )
    assert len(world.checked) == 8
    assert world.replicas == 0
    primary = world["Deployment/podinfo-primary"]["spec"]
    assert primary["template"]["spec"]["containers"][0]["image"] == "podinfo:2"
    assert primary["replicas"] == 1
    assert world.tick(2) == []
    assert "Running mirror step 100/0/true" in world.logs
    assert "Running mirror step 80/20/false" in world.logs


def test_a_release_without_mirror_is_a_tick_shorter():
    world = World().initialized()
    world.set_image("podinfo:2")
    said = world.until("Succeeded")
    assert said[1:3] == ["Starting canary analysis for podinfo.test", SHIFT.format(20)]
    ticks = [effect for effect in world.effects if getattr(effect, "kind", "") == "Canary"]
    assert len(ticks) == 2 + 7  # two to initialize, then detection, 20, 40, 60, copy, route, end


@pytest.mark.parametrize(
    ("analysis", "weights"),
    [
        pytest.param({"stepWeight": 50, "maxWeight": 0}, [50, 100], id="maxWeight-defaults-to-100"),
        pytest.param({"stepWeight": 50, "maxWeight": -1}, [50, 100], id="maxWeight-below-0-is-none"),
        pytest.param({"stepWeight": 30, "maxWeight": 100}, [30, 60, 90, 100], id="weights-end-at-100"),
        pytest.param({"stepWeight": 100}, [100], id="all-at-once"),
        pytest.param({"stepWeights": [1, 5, 20]}, [1, 5, 20], id="stepWeights"),
        pytest.param({"stepWeights": [10, 50, 150]}, [10, 50, 100], id="stepWeights-beyond-100"),
        pytest.param({"stepWeights": [10, 80], "maxWeight": 30}, [10, 80], id="stepWeights-ignore-maxWeight"),
        pytest.param({"stepWeights": [10, 80], "stepWeight": 40}, [40, 80], id="stepWeight-wins"),
        pytest.param({"stepWeights": [100]}, [100], id="stepWeights-all-at-once"),
    ],
)
def test_weights_follow_the_steps(analysis: dict, weights: list[int]):
    world = World(podinfo(), canary(analysis)).released()
    said = world.until("Promoting")
    assert [line for line in said if line.startswith("Advance")] == [SHIFT.format(weight) for weight in weights]


def test_no_steps_at_all_start_for_ever():
    world = World(podinfo(), canary({"stepWeight": 0})).released()
    assert world.tick(3) == ["Starting canary analysis for podinfo.test"] * 3
    assert world.phase == "Progressing"


def test_a_mirror_weight_is_a_share_of_requests():
    world = World(podinfo(), canary({"mirror": True, "mirrorWeight": 30})).released()
    world.tick()
    assert world.http[0]["mirrorPercentage"] == {"value": 30}


def test_stepWeightPromotion_gives_requests_back_in_steps():
    world = World(podinfo(), canary({"stepWeight": 50, "stepWeightPromotion": 25, "maxWeight": 100})).released()
    said = world.until("Succeeded")
    advances = [line for line in said if "primary weight" in line]
    assert advances == [f"Advance podinfo.test primary weight {weight}" for weight in (25, 50, 75, 100)]
    assert "Routing all traffic to primary" not in said
    assert world.weights == (100, 0, False)


def test_a_rollback_comes_a_tick_after_the_last_failed_check():
    world = World(podinfo(), canary({"mirror": True})).released()
    world.values["request-success-rate"] = world.values["request-success-rate"].__class__(50.0)
    world.tick()
    assert world.tick() == [HALT]
    assert world.status["failedChecks"] == 1
    assert world.tick() == [HALT]
    assert (world.status["failedChecks"], world.phase) == (2, "Progressing")
    rolling = "! Rolling back podinfo.test failed checks threshold reached 2"
    assert world.tick() == [rolling, "! Canary failed! Scaling down podinfo.test"]
    assert (world.phase, world.status["failedChecks"], world.status["canaryWeight"]) == ("Failed", 0, 0)
    assert (world.weights, world.replicas) == ((100, 0, False), 0)
    assert ("failure", {"strategy": "canary", "analysis_status": "completed"}) in world.gauges
    condition = world.status["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("False", "Failed")
    assert condition["message"] == "Canary analysis failed, Deployment scaled to zero."


def test_failed_checks_add_up_over_a_run_and_stay_in_a_succeeded_status():
    world = World().released()
    world.tick()
    world.values["request-duration"] = world.values["request-duration"].__class__(1515.0)
    assert world.tick() == ["! Halt podinfo.test advancement request duration 1.515s > 500ms"]
    world.values["request-duration"] = world.values["request-duration"].__class__(12.0)
    world.until("Succeeded")
    assert world.status["failedChecks"] == 1


def test_the_same_image_again_starts_nothing():
    world = World().released()
    world.until("Succeeded")
    world.set_image("podinfo:2")
    assert world.tick(2) == []


def test_a_failed_image_starts_again_only_after_another():
    world = World().released()
    world.values["request-success-rate"] = world.values["request-success-rate"].__class__(50.0)
    world.until("Failed")
    assert world.tick(2) == []
    world.set_image("podinfo:1")  # the promoted one: no new revision, but the status learns of it
    before = world.status["lastAppliedSpec"]
    assert world.tick() == []
    assert world.phase == "Failed"
    assert world.status["lastAppliedSpec"] != before
    world.set_image("podinfo:2")
    assert world.tick() == ["New revision detected! Scaling up podinfo.test"]


def test_every_tick_of_a_failed_canary_writes_its_status():
    world = World().released()
    world.values["request-success-rate"] = world.values["request-success-rate"].__class__(50.0)
    world.until("Failed")
    world.tick()
    first = world.status["lastTransitionTime"]
    world.tick()
    assert world.status["lastTransitionTime"] > first


def test_a_revision_that_comes_while_failed_and_unready_is_lost():
    world = World().released()
    world.values["request-success-rate"] = world.values["request-success-rate"].__class__(50.0)
    world.until("Failed")
    world.stuck["podinfo-primary"] = {"availableReplicas": 0}
    world.set_image("podinfo:3")
    assert "podinfo-primary.test not ready" in world.tick()[0]
    world.stuck.clear()
    assert world.tick(2) == []


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_new_revision_in_mid_run_starts_the_analysis_anew(at: int):
    world = World(podinfo(), canary({"mirror": True})).released()
    world.tick(at)
    world.set_image("podinfo:3")
    assert world.tick() == ["New revision detected! Restarting analysis for podinfo.test"]
    assert (world.weights, world.phase, world.status["canaryWeight"]) == ((100, 0, False), "Progressing", 0)
    assert world.tick()[0] == "Starting canary analysis for podinfo.test"
    world.until("Succeeded")
    assert world["Deployment/podinfo-primary"]["spec"]["template"]["spec"]["containers"][0]["image"] == "podinfo:3"


def test_going_back_to_the_promoted_image_in_mid_run_stops_nothing():
    world = World().released()
    world.tick(2)
    world.set_image("podinfo:1")
    assert world.tick() == [SHIFT.format(60)]


def test_a_revision_that_comes_while_promoting_waits_for_the_next_run():
    world = World().released()
    world.until("Promoting")
    world.set_image("podinfo:3")
    said = world.until("Succeeded")
    assert said == ["Routing all traffic to primary", "Promotion completed! Scaling down podinfo.test"]
    assert world.tick() == ["New revision detected! Scaling up podinfo.test"]


def test_an_edit_of_the_routes_sends_requests_home_and_starts_again():
    world = World().released()
    world.tick(2)
    world.change("VirtualService/podinfo", hosts=["podinfo", "other"])
    assert world.tick() == ["Starting canary analysis for podinfo.test", SHIFT.format(20)]
    original = world["VirtualService/podinfo"]["metadata"]["annotations"][
        "flagger.kubernetes.io/original-configuration"
    ]
    assert '"hosts":["podinfo","other"]' in original


def test_weights_set_by_hand_are_the_weights():
    world = World().released()
    world.tick()
    for each, weight in zip(world.http[0]["route"], (70, 30), strict=True):
        each["weight"] = weight
    assert world.tick() == [SHIFT.format(50)]
    assert world.weights == (50, 50, False)


def test_an_edited_service_starts_the_weights_again():
    world = World().released()
    world.tick(2)
    world.change("Canary/podinfo", service__timeout="5s")
    assert world.tick()[0] == "Starting canary analysis for podinfo.test"
    assert world.http[0]["timeout"] == "5s"


def test_an_edited_analysis_counts_from_the_next_tick():
    world = World().released()
    world.tick(2)
    world.change("Canary/podinfo", analysis__maxWeight=40)
    assert world.tick() == ["Copying podinfo.test template spec to podinfo-primary.test"]


def test_names_of_canary_and_target_are_not_mixed_up():
    world = World(podinfo(), canary(name="release")).initialized()
    world.set_image("podinfo:2")
    said = world.until("Succeeded")
    assert "New revision detected! Scaling up podinfo.test" in said
    assert "Advance release.test canary weight 20" in said
    assert "Promotion completed! Scaling down podinfo.test" in said
