"""Counting from scrapes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary_tutorial.metrics.prometheus import Impact, Metrics
from canary_tutorial.metrics.series import Series, increase, parse, rate, requests, role

PRIMARY = {"destination_workload": "podinfo-primary", "request_host": "podinfo.test:9898", "response_code": "200"}


def counter(*values: float, start: float = 0, **labels: str) -> Series:
    return Series({**PRIMARY, **labels}, [(start + i, value) for i, value in enumerate(values)])


def test_the_answer_of_prometheus_is_read_without_its_nans():
    matrix = [{"metric": {"a": "b"}, "values": [[1, "2"], [2, "NaN"], [3, "4.5"]]}]
    assert parse(matrix) == [Series({"a": "b"}, [(1.0, 2.0), (3.0, 4.5)])]
    assert parse([{"metric": {}, "value": [7, "1"]}]) == [Series({}, [(7.0, 1.0)])]


@pytest.mark.parametrize(
    ("series", "span", "grown"),
    [
        pytest.param(counter(10, 30, 50, 70), (0, 3), 60, id="the difference of first and last"),
        pytest.param(counter(10, 30, 50, 70), (1, 2), 20, id="inside"),
        pytest.param(counter(10, 30, 5, 25), (0, 3), 45, id="a restart counts from zero"),
        pytest.param(counter(7, 9, start=5), (2, 6), 9, id="a counter born in the span began at zero"),
        pytest.param(counter(10, 30), (5, 9), 0, id="no scrape in the span"),
    ],
)
def test_increase_counts_what_was_counted(series: Series, span: tuple[float, float], grown: float):
    assert increase(series, *span) == grown


def test_what_was_counted_before_prometheus_looked_is_not_ours():
    assert increase(counter(500, 520, start=5), 2, 6, watched=5) == 20


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30))
def test_increase_is_never_negative_and_adds_up(values: list[float]):
    series, end = counter(*values), float(len(values) - 1)
    whole = increase(series, 0, end)
    parts = sum(increase(series, i, i + 1) for i in range(len(values) - 1))
    assert whole >= 0
    assert whole == pytest.approx(parts)


def test_rate_takes_counters_together_and_needs_two_scrapes():
    assert rate([counter(0, 10, 20), counter(0, 5, 10, response_code="500")], 0, 2) == 15
    assert rate([counter(0, 10, 20)], 0, 0.5) is None
    assert rate([], 0, 9) is None


def test_requests_are_summed_over_pods_and_told_apart_by_host():
    shadow = {"destination_workload": "podinfo", "request_host": "podinfo.test-shadow:9898", "response_code": "500"}
    found = requests([counter(0, 10, pod="a"), counter(0, 5, pod="b"), counter(0, 3, **shadow)], 0, 1)
    assert [(r.workload, r.count, r.mirrored, r.failed) for r in found] == [
        ("podinfo", 3, True, True), ("podinfo-primary", 15, False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (PRIMARY, "primary"),
        ({"destination_workload": "podinfo", "request_host": "podinfo.test:9898"}, "shifted"),
        ({"destination_workload": "podinfo", "request_host": "podinfo.test-shadow:9898"}, "mirrored"),
        ({"destination_workload": "podinfo"}, "shifted"),
        ({"destination_workload": "podinfo", "request_host": "podinfo-canary.test:9898"}, "direct"),
        ({"destination_workload": "podinfo-primary", "request_host": "podinfo-primary"}, "direct"),
        ({"destination_workload": "web", "request_host": "shop-canary.test"}, "direct"),  # a Service of another name
        ({"destination_workload": "app-canary", "request_host": "app-canary.test"}, "shifted"),  # an app of that name
        ({"destination_workload": "app-canary-primary", "request_host": "app-canary.test"}, "primary"),
        ({"destination_workload": "podinfo", "request_host": "podinfo-canary.test-shadow"}, "mirrored"),
    ],
)
def test_two_labels_tell_the_series_apart(labels: dict[str, Any], name: str):
    assert role(labels) == name


@pytest.mark.parametrize("reporter", ["source", "destination"])
def test_users_are_those_who_asked_for_the_service_itself(monkeypatch: pytest.MonkeyPatch, reporter: str):
    found = [
        counted("podinfo-primary", "podinfo.test:9898", "200", 0, 80),
        counted("podinfo", "podinfo", "500", 0, 20),
        counted("podinfo-primary", "app.example.com", "200", 0, 5),  # through a gateway
        counted("podinfo", "podinfo-canary.test:9898", "500", 0, 1000),  # a load test of the canary
        counted("podinfo-primary", "podinfo-primary.test", "200", 0, 1000),
        counted("podinfo2", "podinfo2.test", "500", 0, 1000),  # another service
    ]
    users = impact(monkeypatch, {"destination": found} if reporter == "destination" else {"source": found})
    assert (users.answered, users.failed, users.mirrored) == (105, 20, 0)
    assert users.reporter == reporter
    assert str(users).endswith("of them failed"), "and no caveat"


def test_a_restarted_sidecar_is_said_beside_what_was_counted(monkeypatch: pytest.MonkeyPatch):
    """What waited in it, what it refused and what it had counted since its last scrape is in no metric."""
    users = impact(monkeypatch, {"source": [counted("podinfo-primary", "podinfo.test:9898", "200", 0, 90, 4, 14)]})
    assert (users.answered, users.failed) == (104, 0)
    assert str(users).endswith("A sidecar was restarted meanwhile: what it lost is not counted")


def counted(workload: str, host: str, code: str, *values: float) -> Series:
    return counter(*values, destination_workload=workload, request_host=host, response_code=code)


def impact(monkeypatch: pytest.MonkeyPatch, counters: dict[str, list[Series]]) -> Impact:
    """Of podinfo in the first ten seconds, from the counters of each reporter."""
    monkeypatch.setattr(Metrics, "counters", lambda _self, _start, _end, of="destination": counters.get(of, []))
    return Metrics.__new__(Metrics).impact(0.0, 10.0, "podinfo")
