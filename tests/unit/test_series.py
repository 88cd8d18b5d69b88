"""Counting from scrapes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary_tutorial.metrics.prometheus import Metrics
from canary_tutorial.metrics.series import RequestCount, Series, increase, parse, rate, requests, role

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
        RequestCount("podinfo-primary", "podinfo.test:9898", "200", 80),
        RequestCount("podinfo", "podinfo", "500", 20),
        RequestCount("podinfo-primary", "app.example.com", "200", 5),  # through a gateway
        RequestCount("podinfo", "podinfo-canary.test:9898", "500", 1000),  # a load test of the canary
        RequestCount("podinfo-primary", "podinfo-primary.test", "200", 1000),
        RequestCount("podinfo2", "podinfo2.test", "500", 1000),  # another service
    ]
    counters = [counter(0, each.count, destination_workload=each.workload, request_host=each.host, response_code=each.code)
                for each in found]  # fmt: skip
    by = {"source": counters if reporter == "source" else [], "destination": counters}
    monkeypatch.setattr(Metrics, "counters", lambda self, start, end, of="destination": by[of])
    users = Metrics.__new__(Metrics).impact(0.0, 10.0, "podinfo")
    assert (users.answered, users.failed, users.mirrored) == (105, 20, 0)
    assert users.reporter == reporter
    assert not users.uncounted


def test_a_counter_that_begins_anew_tells_of_requests_that_nobody_counted(monkeypatch: pytest.MonkeyPatch):
    """Envoy was killed: its clients were refused, and it knows nothing of that."""
    before = counter(
        0, 90, 5, 20, destination_workload="podinfo-primary", request_host="podinfo.test", response_code="200"
    )
    monkeypatch.setattr(Metrics, "counters", lambda self, start, end, of="destination": [before])
    assert Metrics.__new__(Metrics).impact(0.0, 10.0, "podinfo").uncounted


def test_the_requests_behind_a_check_are_those_that_its_query_sees(monkeypatch: pytest.MonkeyPatch):
    """PromQL's window begins after what was counted at its first scrape; an exact count would go back one more."""
    asked = []
    scraped = [(99.0, 180.0), (100.0, 200.0), (104.0, 280.0)]

    def query(self: Metrics, promql: str, at: float) -> list[Series]:
        asked.append(promql)
        return [Series({}, scraped)]

    monkeypatch.setattr(Metrics, "query", query)
    metrics = Metrics.__new__(Metrics)
    metrics.namespace = "test"
    assert metrics.request_count("podinfo", "5s", 104.9) == 80
    assert asked[0].endswith("[5s]")
