"""What is said of a release is of this release, was measured, and names the cause."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from canary_tutorial.charts.chart import release_chart, with_gaps
from canary_tutorial.cli import tutorial
from canary_tutorial.errors import BadInput
from canary_tutorial.lab.commands import meant
from canary_tutorial.metrics.series import Series, counted_by_rate
from canary_tutorial.release import timeline
from canary_tutorial.release.canary import Canary, set_image_command
from canary_tutorial.release.explain import why_ended, why_halted
from canary_tutorial.release.release import HOOKS, LAST_PATIENCE, Release, requests_by_step
from canary_tutorial.release.timeline import Event, Point, Step
from canary_tutorial.reports import notebooks
from canary_tutorial.screen.tables import Table
from canary_tutorial.widgets.explain_card import what_next

WEBINAR = {"interval": "30s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "mirror": True,
           "metrics": [{"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}}]}  # fmt: skip
TEST = {"destination_workload": "podinfo", "request_host": "podinfo.test:9898"}
PRIMARY = {"destination_workload": "podinfo-primary", "request_host": "podinfo.test:9898"}


def canary_object(phase: str, revision: str = "old", failed: int = 0, **analysis: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "podinfo"},
        "spec": {"targetRef": {"name": "podinfo"}, "analysis": {**WEBINAR, **analysis}},
        "status": {"phase": phase, "lastAppliedSpec": revision, "failedChecks": failed},
    }


def release_after(phase: str, found: list[Series] | None = None) -> Release:
    """A release that was begun while the Canary was in `phase`, at the time 100."""
    obj = canary_object(phase)
    metrics = SimpleNamespace(request_rate=lambda *_: found or [])
    canary: Any = SimpleNamespace(
        name="podinfo", namespace="test", target="podinfo", spec=obj["spec"], window="3s", image=lambda: "podinfo:2",
        metrics=metrics,
    )  # fmt: skip
    release = Release(canary, "podinfo:2", "podinfo:1", [])
    release.began = 100.0
    release._objects, release._earlier, release._busy = {}, "old", phase in timeline.RUNNING
    release._observe("canaries", obj)
    return release


# -- the state of an earlier release


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Initialized"])
def test_until_flagger_detects_a_release_the_state_of_the_one_before_is_not_shown(phase: str):
    release = release_after(phase)
    assert phase not in repr(release)
    assert "not yet detected" in repr(release)
    assert phase not in {name for name, _ in timeline.phases(release.points)}
    release._observe("canaries", canary_object("Progressing", "new"))
    release._observe("canaries", canary_object("Failed", "new", failed=2))
    assert [name for name, _ in timeline.phases(release.points)] == ["", "Progressing", "Failed"]


def test_a_release_that_waits_behind_a_gate_is_detected():
    release = release_after("Succeeded")
    release._observe("canaries", canary_object("Waiting", "old"))
    assert release.running
    assert [name for name, _ in timeline.phases(release.points)] == ["", "Waiting"]


def test_weights_and_failed_checks_of_a_release_that_is_replaced_are_not_this_ones():
    release = release_after("Progressing")
    routes = [
        {"destination": {"host": f"podinfo-{name}"}, "weight": n} for name, n in (("primary", 60), ("canary", 40))
    ]
    release._observe("virtualservices", {"spec": {"http": [{"route": routes}]}})
    release._observe("canaries", canary_object("Progressing", failed=1))
    assert release.weights == []
    assert not release.running
    assert {point.failed_checks for point in release.points} == {0}


def test_the_band_before_the_detection_says_so():
    release = release_after("Failed")
    chart = release_chart([], release.points, 100.0, release.points[0].time + 5)
    assert [band.text for band in chart.bands] == ["not yet detected"]


def test_what_comes_next_before_the_detection_is_the_detection():
    said = what_next(canary_object("Failed"), Point(0, "", 100, 0, False, 0))
    assert said == "Flagger detects the new version at its next tick, at most 30 s from now."


# -- no line where nothing was measured


def test_a_first_sample_that_stands_alone_is_not_joined_to_the_next():
    assert with_gaps([(-10, 5.0), (9, 20.0), (10, 20.0)]) == [(-10, 5.0), (-9, None), (9, 20.0), (10, 20.0)]


def test_samples_of_a_long_release_are_joined_though_they_are_seconds_apart():
    assert with_gaps([(0, 1.0), (5, 1.0), (10, 1.0)], step=5) == [(0, 1.0), (5, 1.0), (10, 1.0)]


def test_what_the_target_answered_before_the_release_is_not_drawn_as_shifted():
    found = [Series(TEST, [(95, 20), (99, 20), (104, 4)]), Series(PRIMARY, [(95, 20), (104, 16)])]
    release = release_after("Succeeded", found)
    assert [series.labels for series in release.series()] == [PRIMARY]
    release.points.append(Point(103.0, "Progressing", 80, 20, False, 0))
    assert [list(series.samples) for series in release.series()] == [[(104, 4)], [(95, 20), (104, 16)]]


# -- what is counted


def test_what_was_sent_to_the_canary_by_its_own_name_is_not_drawn_as_shifted():
    load_test = Series({**TEST, "request_host": "podinfo-canary.test:9898"}, [(100.0, 50.0), (101.0, 50.0)])
    chart = release_chart([load_test], [], 100.0, 110.0)
    drawn = {line.name: [y for _, y in line.points] for line in chart.tracks[0].lines}
    assert drawn["direct: podinfo, podinfo-canary.test:9898"] == [50.0, 50.0]
    assert drawn["shifted: no requests"] == []


def test_requests_behind_a_check_are_those_between_the_windows_first_and_last_scrape():
    counter = Series({}, [(95, 100), (99, 180), (100, 200), (104, 280), (105, 3), (106, 23)])
    assert counted_by_rate([counter], 99, 104) == 100
    assert counted_by_rate([counter], 99, 106) == 123, "with a counter that began anew"
    assert counted_by_rate([counter, Series({}, [(103, 500)])], 99, 104) == 100, "one scrape makes no rate"


def test_steps_are_measured_against_what_users_sent_whatever_that_is():
    def counter(labels: dict[str, str], per_second: float) -> Series:
        return Series(labels, [(at, per_second * at) for at in range(0, 21)])

    steps = [Step(0, 10, "", 100, 0, False), Step(10, 20, "Progressing", 80, 20, False)]
    table = requests_by_step(steps, [counter(PRIMARY, 4), counter(TEST, 1)], 0.5)
    rows = [(row["phase"], row["series"], row["expected"], row["measured"], row["off by %"]) for row in table]
    assert rows == [("Progressing", "primary", 4.0, 4.0, 0.0), ("Progressing", "shifted", 1.0, 1.0, 0.0)]


def test_an_ab_test_moves_no_weight():
    routes = [
        {"destination": {"host": f"podinfo-{name}"}, "weight": n} for name, n in (("primary", 0), ("canary", 100))
    ]
    rule = {"match": [{"headers": {"x-test": {"exact": "1"}}}], "route": routes}
    other = {"route": [{"destination": {"host": "podinfo-primary"}, "weight": 100}]}
    obj = canary_object("Progressing", iterations=3, match=[{"headers": {"x-test": {"exact": "1"}}}])
    point = timeline.observe(obj, {"spec": {"http": [rule, other]}}, 0)
    assert (point.primary, point.canary) == (100, 0)
    assert str(point) == "Progressing 100/0 + matching requests to the canary"
    assert timeline.weights_reached([point]) == []


# -- the cause


HALT = "Halt advancement no values found for custom metric: orders probably podinfo.test is not receiving traffic"


@pytest.mark.parametrize(
    ("message", "facts", "said"),
    [
        (HALT, {"requests": 600}, "its MetricTemplate's query finds nothing"),
        (HALT, {"requests": 0}, "got no requests"),
        (HALT, {"requests": 600, "scrape": 20}, "fewer than two scrapes"),
        (HALT.replace("custom metric: orders", "istio metric request-duration"), {"requests": 3}, "first requests"),
        (
            HALT.replace("custom metric: orders", "istio metric request-success-rate"),
            {"requests": 3},
            "Every request failed",
        ),
    ],
)
def test_a_check_without_a_value_names_the_cause_that_applies(message: str, facts: dict[str, Any], said: str):
    assert said in why_halted(message, window=30, **facts)


SKIPPED = "Promotion completed! Canary analysis was skipped for podinfo.test"
ABORTED = "Rolling back podinfo.test manual webhook invoked"
ENDED = "Canary failed! Scaling down podinfo.test"
STARTED = ["New revision detected! Scaling up podinfo.test", "Starting canary analysis for podinfo.test"]
NOT_READY = "canary deployment podinfo.test not ready: waiting for rollout to finish"
FAILED = "Halt podinfo.test advancement success rate 80.00% < 99%"
DEADLINE = (
    'canary deployment podinfo.test not ready with retryable false: deployment "podinfo" exceeded its progress deadline'
)


@pytest.mark.parametrize(
    ("phase", "messages", "why"),
    [
        ("Succeeded", [*STARTED, NOT_READY, "Promotion completed! Scaling down podinfo.test"], "every check passed"),
        ("Succeeded", [*STARTED, FAILED, "Promotion completed!"], f"promoted after 1 failed checks; the last: {FAILED}"),
        ("Succeeded", [SKIPPED], "promoted without checks (skipAnalysis)"),
        ("Failed", [*STARTED, FAILED, FAILED, "Rolling back podinfo.test failed checks threshold reached 2"], FAILED),
        ("Failed", [*STARTED, "Rollback hook abort not signaling a rollback", FAILED, ABORTED,
                    ENDED], ABORTED),
        ("Failed", [STARTED[0], NOT_READY, DEADLINE, ENDED], DEADLINE),
        ("Progressing", [*STARTED, "Advance"], "not finished: Advance"),
    ],
)  # fmt: skip
def test_why_a_release_ended_is_what_decided_it(phase: str, messages: list[str], why: str):
    assert why_ended(phase, messages) == why


def test_where_the_next_tick_makes_no_check_none_is_announced():
    point = Point(0, "Progressing", 100, 0, False, 0)
    assert what_next(canary_object("Progressing", mirror=False), point) == (
        "20% of the requests go to the new version. No check is made at this tick."
    )
    later = Point(0, "Progressing", 80, 20, False, 0)
    assert "If a check fails: failed checks 1" in what_next(canary_object("Progressing", mirror=False), later)


# -- what a person asks for


def asked(phase: str, gates: bool = True) -> tuple[Canary, list[Any]]:
    """A Canary in `phase`, and what is sent to its cluster."""
    sent: list[Any] = []
    found = {"canaries": canary_object(phase), "services": {} if gates else None}
    cluster: Any = SimpleNamespace(
        get_or_none=lambda kind, *_: found[kind], patch=lambda *words: sent.append(words), proxy_path=lambda *_: "/",
        api=SimpleNamespace(request=lambda *words, **_: sent.append(words)),
    )  # fmt: skip
    canary = Canary(cluster, "podinfo", "test", lambda: None)
    canary.say = lambda _: None
    canary._afterwards = lambda _: None
    return canary, sent


@pytest.mark.parametrize(
    ("verb", "phase", "said"),
    [
        ("abort", "Waiting", "cannot roll back yet"), ("abort", "Promoting", "Too late to roll back"),
        ("abort", "Finalising", "Too late"), ("abort", "Succeeded", "No release to roll back"),
        ("promote", "Promoting", "Too late to promote"), ("promote", "Failed", "No release to promote"),
    ],
)  # fmt: skip
def test_what_flagger_would_not_act_on_is_refused_and_nothing_is_sent(verb: str, phase: str, said: str):
    canary, sent = asked(phase)
    with pytest.raises(BadInput, match=said):
        getattr(canary, verb)()
    assert sent == []


@pytest.mark.parametrize("phase", ["Progressing", "WaitingPromotion"])
def test_an_abort_is_sent_while_flagger_asks_its_rollback_hook(phase: str):
    canary, sent = asked(phase)
    canary.abort()
    assert [words[0] for words in sent] == ["canaries", "POST"]


def test_without_gates_an_abort_leaves_the_canary_as_it_is():
    canary, sent = asked("Progressing", gates=False)
    with pytest.raises(BadInput, match="gates"):
        canary.abort()
    assert sent == []


def test_a_release_is_shown_as_the_one_command_that_does_it():
    canary: Any = SimpleNamespace(namespace="test", target="podinfo")
    assert (
        set_image_command(canary, "podinfod", "podinfo:2")
        == "kubectl -n test set image deployment/podinfo podinfod=podinfo:2"
    )
    patch = set_image_command(canary, "podinfod", "podinfo:2", ["./podinfo", "--random-error=true"])
    assert patch.startswith("kubectl -n test patch deployment podinfo -p '{")
    assert json.loads(patch.partition("-p ")[2].strip("'"))["spec"]["template"]["spec"]["containers"] == [
        {"name": "podinfod", "image": "podinfo:2", "command": ["./podinfo", "--random-error=true"]}
    ]


# -- the command line


PARTS = [
    "main", "istio-system/flagger-1/flagger", "test/flagger-loadtester-1/loadtester", "test/flagger-loadtester-1/istio-proxy",
    "test/podinfo-primary-1/podinfod", "test/podinfo-1/podinfod", "test/podinfo-1/istio-proxy",
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("flagger", "istio-system/flagger-1/flagger"), ("loadtester", "test/flagger-loadtester-1/loadtester"),
        ("flagger-loadtester", "test/flagger-loadtester-1/loadtester"), ("podinfo", "test/podinfo-1/podinfod"),
        ("podinfo-primary", "test/podinfo-primary-1/podinfod"), ("main", "main"), ("test/podinfo-1/istio-proxy",) * 2,
        ("istio-proxy", "test/podinfo-1/istio-proxy"), ("test/podinfo-1", "test/podinfo-1/podinfod"), ("nosuch", None),
    ],
)  # fmt: skip
def test_a_log_is_that_of_the_part_that_was_meant(word: str, part: str | None):
    assert meant(word, PARTS) == part


def test_a_report_that_fails_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def ended(error: str) -> Any:
        def run(book: Path, output: Path, *_: Any, **__: Any) -> notebooks.Run:
            files = [output / "report.ipynb", output / "report.html"]
            for file in files:
                file.write_text(error or "good")
            result = {"phase": "Succeeded", "verdict": "promoted", "why": "every check passed"}
            return notebooks.Run(book, 1, 1, error, {} if error else {"report": result}, files)

        return run

    monkeypatch.setattr(tutorial, "lab_for", lambda *_, **__: nullcontext())
    monkeypatch.setattr("canary_tutorial.release.result.as_text", lambda _: "")
    for error, code in (("", 0), ("cell 3: no cluster", 2), ("", 0)):
        monkeypatch.setattr(notebooks, "run", ended(error))
        done = CliRunner().invoke(tutorial.main, ["report", "--output", str(tmp_path)])
        assert done.exit_code == code, done.output
        assert (tmp_path / "report.html").read_text() == "good"
    assert error == ""
    assert (tmp_path / "failed" / "report.html").read_text() == "cell 3: no cluster"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed", "report.html", "report.ipynb", "report.json"]


def test_an_empty_table_without_a_title_says_only_that():
    assert Table(["a"], [])._repr_html_() == "<p>nothing found</p>"


@pytest.mark.parametrize("phases", [("Progressing", "Finalising", "Succeeded"), ("Progressing", "Failed")])
@pytest.mark.parametrize(
    "last", ["Promotion completed! Scaling down podinfo.test", "Canary failed! Scaling down podinfo.test"]
)
def test_a_release_is_watched_until_its_last_event_is_heard_however_late_that_is(phases: tuple[str, ...], last: str):
    release = release_after("Initialized")
    limits: list[float] = []
    release._stop_in = limits.append  # type: ignore[method-assign]
    for phase in phases:
        release._observe("canaries", canary_object(phase, "new"))
    release._tell(Event(time.time(), "Normal", "Halt podinfo.test advancement"))
    assert limits == [LAST_PATIENCE], "the status has ended, but a slow API server still owes an event"
    release._tell(Event(time.time(), "Normal", last))
    assert limits == [LAST_PATIENCE, HOOKS]


def test_a_release_whose_last_event_was_heard_before_its_status_waits_only_for_hooks():
    release = release_after("Initialized")
    limits: list[float] = []
    release._stop_in = limits.append  # type: ignore[method-assign]
    release._observe("canaries", canary_object("Progressing", "new"))
    release._tell(Event(time.time(), "Warning", "Canary failed! Scaling down podinfo.test"))
    release._observe("canaries", canary_object("Failed", "new"))
    release._observe("canaries", canary_object("Failed", "new", failed=0, threshold=3))
    assert limits == [HOOKS]


def test_a_release_whose_last_event_never_comes_ends_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("canary_tutorial.release.release.LAST_PATIENCE", 0.1)
    release = release_after("Initialized")
    for phase in ("Progressing", "Failed"):
        release._observe("canaries", canary_object(phase, "new"))
    assert release._stop.wait(60)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_while_a_release_is_awaited_a_line_says_how_it_stands(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """With an interval of half a minute, nothing changes for half a minute."""
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.setattr("canary_tutorial.screen.progress.StatusLine.elapsed", property(lambda self: 17.0))
    release = release_after("Initialized")
    half_seconds: Iterator[Point | Event | None] = iter(
        [None, None, Point(110.0, "Progressing", 80, 20, False, 0), None]
    )
    monkeypatch.setattr(release, "_news_and_pauses", lambda: half_seconds)
    release.wait_for(weight=20)
    assert "Waiting for 20%: " in screen.getvalue()
    assert "(17 s)" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K"), "the line is gone again"
    assert "Progressing" in capsys.readouterr().out
    assert list(half_seconds) == [None]


def test_a_log_gets_no_second_line_for_what_is_printed_anyway(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr("canary_tutorial.screen.progress.StatusLine.elapsed", property(lambda self: 17.0))
    release = release_after("Initialized")
    monkeypatch.setattr(
        release, "_news_and_pauses", lambda: iter([None, Point(110.0, "Progressing", 80, 20, False, 0), None])
    )
    release.follow()
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert not said.err
