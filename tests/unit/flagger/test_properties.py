"""What must hold in every run, whatever the settings, answers and accidents: found out by random releases."""

from __future__ import annotations

from typing import Any

from flagger_world import World, canary, podinfo, unavailable
from hypothesis import given, settings
from hypothesis import strategies as st

from canary_tutorial.flagger.effects import Value
from canary_tutorial.flagger.status import FAILED, PROGRESSING, SUCCEEDED, WAITING_PROMOTION

WEIGHTS = st.integers(1, 120)
ANALYSES = st.one_of(
    st.fixed_dictionaries({"stepWeight": WEIGHTS, "maxWeight": st.integers(0, 100)}),
    st.fixed_dictionaries({"stepWeights": st.lists(WEIGHTS, min_size=1, max_size=5, unique=True).map(sorted)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 4)}),
    st.fixed_dictionaries({"iterations": st.integers(1, 4), "match": st.just([{"headers": {"x": {"exact": "y"}}}])}),
)
MORE = st.fixed_dictionaries(
    {"threshold": st.integers(0, 3)},
    optional={"mirror": st.booleans(), "stepWeightPromotion": st.integers(1, 60), "mirrorWeight": st.integers(0, 100)},
)
GATES = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
ACCIDENTS = st.lists(
    st.one_of(
        st.just("calm"),
        st.just("calm"),
        st.just("bad metric"),
        st.just("new image"),
        st.just("target waits"),
        st.sampled_from(GATES),
    ),
    max_size=25,
)


def make(analysis: dict[str, Any], more: dict[str, Any]) -> World:
    hooks = [{"name": type_, "type": type_, "url": "http://gates/"} for type_ in GATES]
    world = World(podinfo(), canary({**analysis, **more, "webhooks": hooks}))
    world.hooks["rollback"] = "Forbidden"
    world.initialized().set_image("podinfo:2")
    return world


def happen(world: World, accident: str) -> None:
    """One tick under an accident, which is over afterwards."""
    if accident == "bad metric":
        world.values["request-success-rate"] = Value(1.0)
    elif accident == "new image":
        world.set_image(f"podinfo:{world.now.timestamp():.0f}")
    elif accident == "target waits":
        world.stuck["podinfo"] = unavailable(world.now)
    elif accident in GATES:
        world.hooks[accident] = None if accident == "rollback" else "Forbidden"
    before, failed = world.phase, world.status["failedChecks"]
    said = world.tick()
    assert_sound(world, before, failed, said)
    world.values["request-success-rate"] = Value(100.0)
    world.stuck.clear()
    for gate in GATES:
        world.hooks[gate] = "Forbidden" if gate == "rollback" else None


def assert_sound(world: World, before: str, failed: int, said: list[str]) -> None:
    primary, weight, _ = world.weights
    assert 0 <= primary <= 100
    assert 0 <= weight <= 100
    assert primary + weight == 100
    if any("Canary failed!" in line for line in said):
        assert world.weights == (100, 0, False)
        assert world.replicas == 0
    running = before in (PROGRESSING, WAITING_PROMOTION) and world.phase in (PROGRESSING, WAITING_PROMOTION)
    if running and not any("Restarting" in line for line in said):
        assert world.status["failedChecks"] >= failed, "failed checks fell inside a run"
    if any(line.startswith("Copying") for line in said):
        assert failed < world.canary.threshold, "promoted with too many failed checks"


@settings(max_examples=150, deadline=None)
@given(ANALYSES, MORE, ACCIDENTS)
def test_every_release_is_sound_and_comes_to_an_end(
    analysis: dict[str, Any], more: dict[str, Any], accidents: list[str]
):
    world = make(analysis, more)
    for accident in accidents:
        happen(world, accident)
    limit = 500  # a phase that is no dead end gets to the end of its run when nothing more happens
    while world.phase not in (SUCCEEDED, FAILED) and limit:
        happen(world, "calm")
        limit -= 1
    assert world.phase in (SUCCEEDED, FAILED)
    world.set_image("podinfo:last")
    happen(world, "calm")
    happen(world, "calm")
    assert world.phase == PROGRESSING, "no way out of the end"


@settings(max_examples=100, deadline=None)
@given(ANALYSES, MORE)
def test_a_release_that_always_fails_shifts_nobody_for_good(analysis: dict[str, Any], more: dict[str, Any]):
    world = make(analysis, more)
    world.values["request-success-rate"] = Value(0.0)
    world.until(FAILED)
    assert world.weights == (100, 0, False)
    assert world.status["failedChecks"] == 0
    image = world["Deployment/podinfo-primary"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "podinfo:1"


@settings(max_examples=100, deadline=None)
@given(ANALYSES, MORE)
def test_an_idle_tick_changes_nothing(analysis: dict[str, Any], more: dict[str, Any]):
    world = make(analysis, more)
    world.until(SUCCEEDED)
    world.tick()
    before = {key: (obj.get("spec"), obj.get("status")) for key, obj in world.objects.items()}
    assert world.tick() == []
    assert {key: (obj.get("spec"), obj.get("status")) for key, obj in world.objects.items()} == before
