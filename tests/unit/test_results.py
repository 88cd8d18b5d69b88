"""What a release leaves in numbers, and as text."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from canary_tutorial.metrics.prometheus import Impact
from canary_tutorial.release.release import Release
from canary_tutorial.release.result import as_text, of_release, recorded
from canary_tutorial.release.timeline import Event, Point

SPEC = {
    "targetRef": {"name": "podinfo"},
    "analysis": {"interval": "4s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "mirror": True},
}


def released(*points: Point, impact: Impact) -> Release:
    canary: Any = SimpleNamespace(
        name="podinfo", namespace="test", target="podinfo", spec=SPEC, window="3s",
        metrics=SimpleNamespace(impact=lambda *_: impact),
    )  # fmt: skip
    release = Release(canary, "stefanprodan/podinfo:2.1.0", "stefanprodan/podinfo:2.0.0", [])
    release.began, release.ended = 100.0, points[-1].time
    release.points = list(points)
    release.events = [Event(101.0, "Normal", "New revision detected!")]
    return release


GOOD = released(
    Point(100, "", 100, 0, False, 0), Point(103, "Progressing", 100, 0, True, 0), Point(107, "Progressing", 80, 20, False, 1),
    Point(111, "Progressing", 60, 40, False, 1), Point(115, "Promoting", 60, 40, False, 1),
    Point(131, "Succeeded", 100, 0, False, 0),
    impact=Impact(620, 0, 80, 3, "source"),
)  # fmt: skip


def test_seconds_count_from_the_change_and_weights_in_the_order_reached():
    found = of_release(GOOD)
    assert found["phases"] == [["", 0.0], ["Progressing", 3.0], ["Promoting", 15.0], ["Succeeded", 31.0]]
    assert (found["weights"], found["mirrored"], found["seconds"]) == ([20, 40], True, 31.0)
    assert (found["interval_seconds"], found["intervals_seconds"]) == (4.0, 28.0)
    assert (found["requests"], found["failed"], found["mirrored_requests"], found["mirrored_failed"]) == (620, 0, 80, 3)


def test_the_text_says_how_long_it_took_beside_the_sum_of_its_intervals():
    text = as_text(of_release(GOOD))
    assert text.splitlines()[0] == "podinfo:2.0.0 → podinfo:2.1.0: Succeeded"
    assert "20, 40 after mirroring" in text
    assert "620 requests served, 0 failed" in text
    assert "detected after 3.0 s, then 28.0 s; the sum of its intervals is 28 s (1.00 times)" in text


def test_one_that_was_only_mirrored_says_that_no_user_was_sent_to_it():
    failed = released(
        Point(103, "Progressing", 100, 0, True, 0), Point(120, "Failed", 100, 0, False, 0),
        impact=Impact(400, 0, 300, 290, "destination"),
    )  # fmt: skip
    text = as_text(of_release(failed))
    assert "none: it was mirrored, and no user sent to it" in text
    assert text.splitlines()[-1] == "  time      20.0 s"
    assert of_release(failed)["counted_by"] == "destination"


def test_that_nobody_counted_what_a_dead_proxy_could_not_take_is_said_beside_the_numbers():
    doubted = replace(GOOD.impact(), uncounted=True)
    assert "0 of them failed; mirrored: 80" in str(GOOD.impact())
    assert str(doubted).endswith(
        "; a proxy started anew meanwhile, and nobody counted the requests that it could not take"
    )
    assert "a proxy started anew" not in as_text(of_release(GOOD))
    assert "a proxy started anew" in as_text({**of_release(GOOD), "uncounted": True})


def test_results_are_found_among_a_notebooks_outputs():
    entry = {"data": {"application/vnd.canary-tutorial.result+json": {"name": "a", "data": {"b": 1}}}}
    cells = [{"outputs": [{"name": "stdout"}, entry]}, {}, {"outputs": [{"data": {"text/plain": ""}}]}]
    assert recorded({"cells": cells}) == {"a": {"b": 1}}
