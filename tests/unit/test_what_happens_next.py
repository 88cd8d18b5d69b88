"""What happens next and when, thresholds and verdicts, why an image would be ignored: the pure core of the views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from canary_tutorial.release.timeline import Point
from canary_tutorial.widgets.explain_card import limits, passes, threshold_text, what_next, when_next
from canary_tutorial.widgets.picker import choices, why_ignored

METRICS = [{"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}}]
WEBINAR = {"interval": "30s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "mirror": True, "metrics": METRICS}
AB = {
    "interval": "30s",
    "threshold": 2,
    "iterations": 3,
    "match": [{"headers": {"a": {"exact": "b"}}}],
    "metrics": METRICS,
}


def canary(phase: str, analysis: dict[str, Any] = WEBINAR, failed: int = 0, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "podinfo"},
        "spec": {"targetRef": {"name": "podinfo"}, "analysis": analysis, **spec},
        "status": {"phase": phase, "failedChecks": failed},
    }


def at(phase: str, weight: int = 0, mirror: bool = False, iterations: int = 0, matched: int = 0) -> Point:
    return Point(0, phase, 100 - weight, weight, mirror, 0, iterations, matched)


FAILING = "If a check fails: failed checks 1 (threshold 2)."
PASSING = "If all checks pass:"


@pytest.mark.parametrize(
    ("obj", "point", "said"),
    [
        (canary("Progressing", suspend=True), at("Progressing"), "Nothing: the canary is suspended."),
        (canary("Succeeded"), at("Succeeded"), "Flagger waits for a new revision: set another image."),
        (canary("Initialized"), at("Initialized"), "Flagger waits for a new revision: set another image."),
        (canary(""), at(""), "Flagger makes the primary, and sends all requests to it once it is ready."),
        (canary("Waiting"), at("Waiting"), "It asks the gate again: once that is open, the new version gets its pods."),
        (canary("Promoting"), at("Promoting"), "Once the primary runs the new version, all requests go back to it."),
        (canary("Finalising"), at("Finalising"), "The canary is scaled to zero: the release has succeeded."),
        (canary("Progressing"), at("Progressing"),
         "Once its pods are ready, every request is mirrored to the new version; users notice nothing."),
        (canary("Progressing"), at("Progressing", mirror=True),
         f"If all checks pass: 20% of the requests go to the new version. {FAILING}"),
        (canary("Progressing"), at("Progressing", 40), f"{PASSING} 60% of the requests go to the new version. {FAILING}"),
        (canary("Progressing"), at("Progressing", 60), f"If all checks pass: the primary gets the new version. {FAILING}"),
        (canary("Progressing", failed=1), at("Progressing", 20),
         "If all checks pass: 40% of the requests go to the new version. "
         "If a check fails: failed checks 2, and the tick after it rolls back (threshold 2)."),
        (canary("Progressing", failed=2), at("Progressing", 20), "Rolls back at the next tick: 2 failed checks, threshold 2."),
        (canary("Progressing", AB), at("Progressing", iterations=1, matched=100), f"{PASSING} iteration 2 of 3. {FAILING}"),
    ],
)  # fmt: skip
def test_what_comes_next_is_said_for_each_state(obj: dict[str, Any], point: Point, said: str):
    assert what_next(obj, point) == said


WRITTEN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phase", "after", "seconds"),
    [("Progressing", 10, 20), ("Progressing", 70, 20), ("Waiting", 29, 1), ("Succeeded", 10, None), ("", 10, None)],
)
def test_the_next_tick_comes_an_interval_after_the_last_write(phase: str, after: float, seconds: float | None):
    obj = canary(phase)
    obj["status"]["lastTransitionTime"] = WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert when_next(obj, WRITTEN.timestamp() + after) == seconds


def test_a_suspended_canary_has_no_next_tick():
    obj = canary("Progressing", suspend=True)
    obj["status"]["lastTransitionTime"] = WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert when_next(obj, WRITTEN.timestamp()) is None


RATE, LATENCY = "request-success-rate", "request-duration"


@pytest.mark.parametrize(
    ("metric", "bounds", "text", "good", "bad"),
    [
        ({"name": RATE, "thresholdRange": {"min": 99}}, (99, None), "at least 99%", [99, 100], [98.9]),
        ({"name": LATENCY, "thresholdRange": {"max": 500}}, (None, 500), "at most 500%", [500, 0], [500.1]),
        ({"name": "x", "thresholdRange": {"min": 1, "max": 2}}, (1, 2), "at least 1% and at most 2%", [1, 1.5, 2], [0.9, 2.1]),
        ({"name": RATE, "threshold": 99}, (99, None), "at least 99%", [99], [98]),
        ({"name": LATENCY, "threshold": 500}, (None, 500), "at most 500%", [500], [501]),
        ({"name": "x", "thresholdRange": {"min": 0}}, (0, None), "at least 0%", [0], [-1]),
        ({"name": "x"}, (None, None), "none", [0, 1e9], []),
    ],
)  # fmt: skip
def test_thresholds_are_read_said_and_applied(
    metric: dict[str, Any], bounds: tuple[float | None, float | None], text: str, good: list[float], bad: list[float]
):
    assert limits(metric) == bounds
    assert threshold_text(metric, "%") == text
    assert [passes(metric, value) for value in good] == [True] * len(good)
    assert [passes(metric, value) for value in bad] == [False] * len(bad)
    assert passes(metric, None) is None


ERRORS = ["--random-error=true"]


@pytest.mark.parametrize(
    ("tag", "flags", "target", "target_flags", "phase", "said"),
    [
        ("2.1.0", [], "2.0.0", [], "Succeeded", ""),
        ("2.0.0", [], "2.0.0", [], "Succeeded", "is what was promoted last"),
        ("2.0.0", ERRORS, "2.0.0", [], "Succeeded", ""),
        ("2.1.0", [], "2.1.0", [], "Failed", "was rejected just now"),
        ("2.1.0", ERRORS, "2.1.0", [], "Failed", ""),
        ("2.1.0", [], "2.1.0", [], "Progressing", "is being released already"),
        ("2.1.1", [], "2.1.0", [], "Progressing", ""),
    ],
)  # fmt: skip
def test_why_flagger_would_ignore_a_choice(
    tag: str, flags: list[str], target: str, target_flags: list[str], phase: str, said: str
):
    found = why_ignored(tag, flags, "2.0.0", target, target_flags, phase)
    assert (said in found) if said else found == ""


def test_the_list_marks_what_users_get_and_what_was_tried_last():
    assert choices(("2.0.0", "2.1.0", "2.1.1"), "2.0.0", "2.1.0") == [
        ("2.0.0  (users get this one)", "2.0.0"), ("2.1.0  (tried last)", "2.1.0"), ("2.1.1", "2.1.1"),
    ]  # fmt: skip


def test_what_runs_is_in_the_list_though_nobody_offered_it():
    assert choices(("2.0.0",), "9.9.9", "2.0.0")[0] == ("9.9.9  (users get this one)", "9.9.9")
