"""A release as points, steps and ticks."""

from typing import Any

import pytest

from canary_tutorial.release import timeline
from canary_tutorial.release.timeline import Point


def canary(phase: str = "Progressing", failed: int = 0, **analysis: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "podinfo"},
        "spec": {"targetRef": {"name": "podinfo"}, "service": {"port": 9898}, "analysis": analysis},
        "status": {"phase": phase, "failedChecks": failed},
    }


def rule(primary: int, secondary: int, **more: Any) -> dict[str, Any]:
    hosts = {"podinfo-primary": primary, "podinfo-canary": secondary}
    return {"route": [{"destination": {"host": host}, "weight": weight} for host, weight in hosts.items()], **more}


def service(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"http": list(rules)}}


MIRROR = {"mirror": {"host": "podinfo-canary"}}
WEBINAR = {"interval": "30s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "mirror": True}


@pytest.mark.parametrize(
    ("routes", "seen"),
    [
        pytest.param(None, (100, 0, False), id="no VirtualService yet"),
        pytest.param(service(rule(100, 0)), (100, 0, False), id="at rest"),
        pytest.param(service(rule(100, 0, **MIRROR)), (100, 0, True), id="mirroring"),
        pytest.param(service(rule(80, 20)), (80, 20, False), id="shifted"),
        pytest.param(service(rule(0, 100), {"route": rule(100, 0)["route"][:1]}), (0, 100, False), id="A/B"),
        pytest.param(service(rule(100, 0), rule(60, 40)), (60, 40, False), id="the last rule that knows the canary"),
        pytest.param({"spec": {}}, (100, 0, False), id="no routes"),
    ],
)  # fmt: skip
def test_weights_are_read_as_flagger_reads_them(routes: dict[str, Any] | None, seen: tuple[int, int, bool]):
    assert timeline.weights_of(canary(), routes) == seen


def test_a_service_name_of_its_own_names_the_hosts():
    named = canary()
    named["spec"]["service"]["name"] = "web"
    assert timeline.service_names(named) == ("web", "web-primary", "web-canary")


def test_a_point_says_what_is_true_now():
    point = timeline.observe(canary(failed=1), service(rule(80, 20)), 7.0)
    assert point == Point(7.0, "Progressing", 80, 20, False, 1)
    assert str(point) == "Progressing 80/20"
    assert str(timeline.observe(canary(), service(rule(100, 0, **MIRROR)), 7.0)) == "Progressing 100/0 + mirror"


def webinar() -> list[Point]:
    points = [
        (0, "Initialized", 100, 0, False), (3, "Progressing", 100, 0, False), (8, "Progressing", 100, 0, True),
        (13, "Progressing", 80, 20, False), (18, "Progressing", 60, 40, False), (23, "Progressing", 40, 60, False),
        (28, "Promoting", 40, 60, False), (33, "Finalising", 100, 0, False), (38, "Succeeded", 100, 0, False),
    ]  # fmt: skip
    return [
        Point(float(time), phase, primary, secondary, mirror, 0) for time, phase, primary, secondary, mirror in points
    ]


def test_weights_and_phases_are_told_in_order():
    assert timeline.weights_reached(webinar()) == [20, 40, 60]
    assert timeline.phases(webinar()) == [
        ("Initialized", 0), ("Progressing", 3), ("Promoting", 28), ("Finalising", 33), ("Succeeded", 38),
    ]  # fmt: skip


def test_steps_join_points_that_differ_only_in_failed_checks():
    points = [
        Point(0, "Progressing", 80, 20, False, 0),
        Point(5, "Progressing", 80, 20, False, 1),
        Point(9, "Failed", 100, 0, False, 0),
    ]
    (first, second) = timeline.steps(points, 12)
    assert (first.start, first.end, first.canary) == (0, 9, 20)
    assert (second.start, second.end, second.phase) == (9, 12, "Failed")
