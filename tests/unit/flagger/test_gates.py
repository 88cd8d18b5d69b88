"""Webhooks of all types: when they are asked, with which phase, and what a no does."""

from __future__ import annotations

from typing import Any

import pytest
from flagger_world import World, canary, podinfo

from canary_tutorial.flagger.effects import Value


def hook(type_: str, name: str = "gate", **more: Any) -> dict[str, Any]:
    return {"type": type_, "name": name, "url": "http://gates/", **more}


def world_with(*hooks: dict[str, Any], **analysis: Any) -> World:
    return World(podinfo(), canary({"webhooks": list(hooks), **analysis})).initialized()


def test_confirm_rollout_waits_and_says_so_once():
    world = world_with(hook("confirm-rollout"))
    world.hooks["gate"] = "Forbidden"
    world.set_image("podinfo:2")
    assert world.tick() == ["! Halt podinfo.test advancement waiting for approval gate"]
    assert (world.phase, world.replicas) == ("Waiting", 0)
    assert world.alerts[-1] == ("warn", "Canary is waiting for approval.")
    assert world.tick(2) == []
    assert world.called == [("gate", "Initialized"), ("gate", "Waiting"), ("gate", "Waiting")]
    world.hooks["gate"] = None
    passed = "Confirm-rollout check gate passed"
    assert world.tick() == [passed, "New revision detected! Scaling up podinfo.test"]
    assert (world.phase, world.replicas) == ("Progressing", 1)


def test_confirm_rollout_is_not_asked_again_when_a_revision_restarts_a_run():
    world = world_with(hook("confirm-rollout"))
    world.set_image("podinfo:2")
    world.tick(3)
    world.called.clear()
    world.set_image("podinfo:3")
    world.tick(2)
    assert world.called == []


def test_all_confirm_rollout_hooks_must_agree_and_the_first_no_ends_the_asking():
    world = world_with(*(hook("confirm-rollout", name) for name in ("one", "two", "three")))
    world.hooks["two"] = "Forbidden"
    world.set_image("podinfo:2")
    halt = "! Halt podinfo.test advancement waiting for approval two"
    assert world.tick() == ["Confirm-rollout check one passed", halt]
    assert [name for name, _ in world.called] == ["one", "two"]


def test_a_muted_hook_alerts_nobody():
    world = world_with(hook("confirm-rollout", muteAlert=True))
    world.hooks["gate"] = "Forbidden"
    world.set_image("podinfo:2")
    world.alerts.clear()
    world.tick()
    assert world.alerts == []


def test_pre_rollout_failures_are_failed_checks():
    world = world_with(hook("pre-rollout", "load"))
    world.set_image("podinfo:2")
    world.tick()
    world.hooks["load"] = "no such host"
    failed = "! Halt podinfo.test advancement pre-rollout check load failed no such host"
    assert world.tick() == ["Starting canary analysis for podinfo.test", failed]
    assert world.status["failedChecks"] == 1
    world.tick()
    assert world.tick()[0] == "! Rolling back podinfo.test failed checks threshold reached 2"


def test_pre_rollout_passes_before_the_first_step_only():
    world = world_with(hook("pre-rollout", "load"))
    world.set_image("podinfo:2")
    said = world.until("Succeeded")
    assert said.count("Pre-rollout check load passed") == 1
    assert world.called == [("load", "Progressing")]


@pytest.mark.parametrize("type_", ["rollout", ""], ids=["rollout", "no-type"])
def test_rollout_hooks_run_before_metrics_and_their_failure_is_a_failed_check(type_: str):
    world = world_with(hook(type_, "smoke"))
    world.set_image("podinfo:2")
    world.tick(2)
    assert world.called == []
    world.hooks["smoke"] = "POST http://gates/ giving up after 1 attempt(s)"
    said = world.tick()
    text = "! Halt podinfo.test advancement external check smoke failed POST http://gates/ giving up after 1 attempt(s)"
    assert said == [text]
    assert (world.status["failedChecks"], world.checked) == (1, [])
    world.hooks["smoke"] = None
    assert world.tick() == ["Advance podinfo.test canary weight 40"]


def test_confirm_traffic_increase_holds_each_step_without_failed_checks():
    world = world_with(hook("confirm-traffic-increase"))
    world.set_image("podinfo:2")
    world.tick()
    world.hooks["gate"] = "Forbidden"
    halt = "! Halt podinfo.test advancement waiting for traffic increase approval gate"
    start = "Starting canary analysis for podinfo.test"
    assert world.tick(2) == [start, halt, start, halt]
    assert world.alerts[-1] == ("warn", "Canary traffic increase is waiting for approval.")
    world.hooks["gate"] = None
    passed = "Confirm-traffic-increase check gate passed"
    assert world.tick()[1:] == [passed, "Advance podinfo.test canary weight 20"]
    world.hooks["gate"] = "Forbidden"
    assert world.tick(3) == [halt] * 3
    assert (world.weights, world.status["failedChecks"]) == ((80, 20, False), 0)
    world.hooks["gate"] = None
    world.until("Promoting")
    assert [name for name, _ in world.called].count("gate") == 9  # also at the most weight, before the promotion


def test_confirm_traffic_increase_is_skipped_from_mirror_to_first_step():
    world = world_with(hook("confirm-traffic-increase"), mirror=True)
    world.set_image("podinfo:2")
    world.tick(2)
    world.called.clear()
    assert world.tick() == ["Advance podinfo.test canary weight 20"]
    assert world.called == []


def test_confirm_promotion_waits_at_full_weight_while_the_analysis_goes_on():
    world = world_with(hook("confirm-promotion"))
    world.set_image("podinfo:2")
    world.tick(4)
    world.hooks["gate"] = "Forbidden"
    assert world.tick() == ["! Halt podinfo.test advancement waiting for promotion approval gate"]
    assert (world.phase, world.weights) == ("WaitingPromotion", (40, 60, False))
    assert (world.status["canaryWeight"], world.status["iterations"]) == (0, -1)
    checks = len(world.checked)
    assert world.tick(2) == []
    assert len(world.checked) == checks + 4
    world.hooks["gate"] = None
    said = ["Confirm-promotion check gate passed", "Copying podinfo.test template spec to podinfo-primary.test"]
    assert world.tick() == said
    assert world.phase == "Promoting"
    assert set(world.called) == {("gate", "Progressing")}
    world.until("Succeeded")


def test_a_waiting_promotion_can_still_roll_back():
    world = world_with(hook("confirm-promotion"))
    world.set_image("podinfo:2")
    world.hooks["gate"] = "Forbidden"
    world.until("WaitingPromotion")
    world.values["request-success-rate"] = Value(3.0)
    world.tick(2)
    assert world.tick()[0] == "! Rolling back podinfo.test failed checks threshold reached 2"
    assert world.phase == "Failed"


def test_a_new_revision_restarts_a_waiting_promotion():
    world = world_with(hook("confirm-promotion"))
    world.set_image("podinfo:2")
    world.hooks["gate"] = "Forbidden"
    world.until("WaitingPromotion")
    world.set_image("podinfo:3")
    assert world.tick() == ["New revision detected! Restarting analysis for podinfo.test"]
    assert (world.phase, world.weights) == ("Progressing", (100, 0, False))


def test_a_rollback_hook_is_asked_each_tick_and_its_yes_ends_the_run():
    world = world_with(hook("rollback", "panic"))
    world.hooks["panic"] = "Forbidden"
    world.set_image("podinfo:2")
    world.tick()
    assert world.tick()[0] == "Rollback hook panic not signaling a rollback"
    world.hooks["panic"] = None
    assert world.tick() == [
        "! Rollback check panic passed",
        "! Rolling back podinfo.test manual webhook invoked",
        "! Canary failed! Scaling down podinfo.test",
    ]
    assert (world.phase, world.weights) == ("Failed", (100, 0, False))
    assert ("warn", "Rolling back manual webhook invoked") in world.alerts


def test_rollback_hooks_are_dead_while_waiting_for_the_rollout():
    world = world_with(hook("confirm-rollout"), hook("rollback", "panic"))
    world.hooks["gate"] = "Forbidden"
    world.set_image("podinfo:2")
    assert world.tick(3) == ["! Halt podinfo.test advancement waiting for approval gate"]
    assert ("panic", "Waiting") not in world.called


@pytest.mark.parametrize("ending", ["Succeeded", "Failed"])
def test_post_rollout_hooks_hear_of_the_end(ending: str):
    world = world_with(hook("post-rollout", "tell"), hook("post-rollout", "more"))
    world.set_image("podinfo:2")
    if ending == "Failed":
        world.values["request-success-rate"] = Value(1.0)
    said = world.until(ending)
    assert world.called == [("tell", ending), ("more", ending)]
    assert "Post-rollout check tell passed" in said
    told = [event for event in world.emitted if event.message.startswith("Post-rollout")]
    assert {event.phase for event in told} == {"Succeeded" if ending == "Succeeded" else ""}
    if ending == "Succeeded":
        assert said[-1] == "Promotion completed! Scaling down podinfo.test"


def test_a_failed_post_rollout_hook_is_told_and_ends_the_row():
    world = world_with(hook("post-rollout", "tell"), hook("post-rollout", "more"))
    world.hooks["tell"] = "gone"
    world.set_image("podinfo:2")
    said = world.until("Succeeded")
    assert "! Post-rollout hook tell failed gone" in said
    assert world.called == [("tell", "Succeeded")]


@pytest.mark.parametrize(
    ("message", "phase"),
    [
        ("New revision detected! Scaling up podinfo.test", "Progressing"),
        ("Advance podinfo.test canary weight 20", "Progressing"),
        ("Copying podinfo.test template spec to podinfo-primary.test", "Progressing"),
        ("Routing all traffic to primary", "Promoting"),
        ("Promotion completed! Scaling down podinfo.test", "Succeeded"),
    ],
)
def test_event_webhooks_hear_the_phase_of_the_ticks_beginning_but_for_turning_points(message: str, phase: str):
    world = World().initialized()
    done = next(event for event in world.emitted if event.message.startswith("Initialization"))
    assert done.canary["status"]["phase"] == "Initialized"
    world.set_image("podinfo:2")
    world.until("Succeeded")
    event = next(event for event in world.emitted if event.message == message)
    assert (event.phase or event.canary["status"]["phase"]) == phase
