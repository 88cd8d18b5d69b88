"""The plan of a release: Flagger's own rules, run on a model of a cluster."""

import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary_tutorial.release import timeline
from canary_tutorial.release.plan import plan
from canary_tutorial.release.timeline import interval

METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"},
    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"},
]
WEBINAR = {
    "interval": "30s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "mirror": True, "metrics": METRICS,
}  # fmt: skip
GATE = {"name": "gate", "type": "confirm-promotion", "url": "http://gates"}
RECORDED = Path(__file__).parents[1] / "parity" / "recorded"


def of(analysis: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"targetRef": {"kind": "Deployment", "name": "podinfo"}, "analysis": analysis, **spec}


@pytest.mark.parametrize(
    ("spec", "ticks"),
    [
        pytest.param(of(WEBINAR), 7, id="the webinar's"),
        pytest.param(of({**WEBINAR, "mirror": False}), 6, id="without mirroring"),
        pytest.param(of({**WEBINAR, "webhooks": [GATE]}), 7, id="with an open gate"),
        pytest.param(of({"stepWeight": 10, "maxWeight": 50}), 8, id="five steps"),
        pytest.param(of({"stepWeights": [1, 10, 80]}), 6, id="listed weights"),
        pytest.param(of({"stepWeight": 50, "stepWeightPromotion": 25}), 8, id="promoted in steps of 25"),
        pytest.param(of({"iterations": 5, "match": [{}]}), 8, id="A/B"),
        pytest.param(of({"iterations": 5}), 9, id="Blue/Green"),
        pytest.param(of(WEBINAR, skipAnalysis=True), 1, id="analysis skipped"),
    ],
)
def test_the_fewest_ticks_follow_from_the_spec(spec: dict[str, Any], ticks: int):
    found = plan(spec)
    assert found.ticks == ticks
    assert found.points[-1].phase == "Succeeded"
    assert found.seconds == ticks * interval(spec)


def test_the_last_weight_may_pass_the_maximum():
    assert plan(of(WEBINAR)).weights == [20, 40, 60]


def test_failing_checks_lead_to_a_rollback_at_the_tick_after_the_threshold():
    found = plan(of(WEBINAR), passing=False)
    assert [(point.phase, point.failed_checks) for point in found.points[-3:]] == [
        ("Progressing", 1), ("Progressing", 2), ("Failed", 0),
    ]  # fmt: skip
    assert found.failed_checks == 2
    assert found.weights == [], "with mirroring, no user is sent to a version that fails from the start"


def test_a_release_that_cannot_go_on_ends_where_it_stays():
    found = plan(of({"stepWeight": 0, "threshold": 1}))
    assert found.points[-1].phase == "Progressing"


def test_a_release_that_would_take_years_is_planned_as_far_as_a_thousand_ticks():
    found = plan(of({"iterations": 2**31 - 1, "threshold": 1}))
    assert found.ticks == 1000
    assert found.points[-1].phase == "Progressing"


def test_the_next_tick_is_found_by_what_is_true_now():
    found = plan(of(WEBINAR))
    for now, following in zip(found.points, found.points[1:], strict=False):
        assert found.after(now) == following
    assert found.after(found.points[-1]) is None


@given(
    analysis=st.fixed_dictionaries(
        {"threshold": st.integers(0, 5), "metrics": st.sampled_from([METRICS, []])},
        optional={
            "maxWeight": st.integers(1, 100),
            "mirror": st.booleans(),
            "stepWeightPromotion": st.integers(5, 100),
        },
    ),
    strategy=st.one_of(
        st.fixed_dictionaries({"stepWeight": st.integers(5, 100)}),
        st.fixed_dictionaries(
            {"stepWeights": st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True).map(sorted)}
        ),
        st.fixed_dictionaries({"iterations": st.integers(1, 8)}, optional={"match": st.just([{}])}),
    ),
)
def test_a_release_whose_checks_pass_is_promoted(analysis: dict[str, Any], strategy: dict[str, Any]):
    found = plan(of({**analysis, **strategy}))
    phases = [point.phase for point in found.points]
    assert phases[-1] == "Succeeded"
    rising = [point.canary for point in found.points if point.phase == "Progressing"]
    assert rising == sorted(rising)


@pytest.mark.parametrize("name", ["success", "steps", "weight100", "tcp", "affinity", "ab", "bluegreen", "bluegreen2"])
def test_the_real_flagger_went_as_planned(name: str):
    recording = json.loads((RECORDED / f"{name}.json").read_text())["recording"]
    (canary,) = (obj for key, obj in recording["objects"].items() if key.startswith("Canary/"))
    (statuses,) = recording["statuses"].values()
    said = [(status.get("phase"), status.get("canaryWeight"), status.get("iterations")) for status in statuses]
    began = next(i for i, (phase, _, _) in enumerate(said) if phase == "Progressing")
    ended = next(i for i, (phase, _, _) in enumerate(said) if phase == "Succeeded")
    run = said[began : ended + 1]
    found = plan(canary["spec"])
    phases = [
        phase for phase, _ in groupby(run, itemgetter(0)) if phase != "WaitingPromotion"
    ]  # a plan's gates are open
    assert phases == [phase for phase, _ in timeline.phases(found.points)]
    judged = [status for status in run if status[0] in ("Progressing", "WaitingPromotion")]
    if any(point.iterations for point in found.points):
        assert max(status[2] for status in judged) == max(point.iterations for point in found.points)
    else:
        assert sorted({status[1] for status in judged} - {0}) == found.weights
