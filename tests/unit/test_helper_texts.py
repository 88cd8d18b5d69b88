"""What learners read: tables, errors, progress of rollouts, causes, results."""

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from canary_tutorial import check, errors
from canary_tutorial.kube import rollouts
from canary_tutorial.kube.exec import main_container
from canary_tutorial.lessons.exercises import NotYet
from canary_tutorial.release import explain, result, ticks
from canary_tutorial.release.canary import with_flags
from canary_tutorial.release.flagger_log import read_event
from canary_tutorial.release.timeline import Event
from canary_tutorial.reports import summary
from canary_tutorial.reports.notebooks import Run
from canary_tutorial.screen.tables import Table


def test_a_table_reads_well_as_text_and_as_html():
    table = Table(["name", "ready", "ip"], [["podinfo", "1/1", None], ["a<b", 0.123456, ["x", "y"]]], title="pods")
    assert repr(table).splitlines() == [
        "pods", "NAME      READY    IP", "podinfo   1/1      <none>", "a<b       0.1235   x, y",
    ]  # fmt: skip
    assert "a&lt;b" in table._repr_html_()
    assert [row["name"] for row in table] == ["podinfo", "a<b"]
    assert repr(Table(["a"], [])) == "nothing found"


def test_the_servers_table_is_shown_as_kubectl_shows_it():
    columns = [{"name": "Name"}, {"name": "Ready"}, {"name": "IP", "priority": 1}]
    rows = [
        {"cells": ["a", "1/1", "10.0.0.1"], "object": {"metadata": {"namespace": "test"}}},
        {"cells": ["b", "2/2", "10.0.0.2"], "object": {"metadata": {"namespace": "other"}}},
    ]
    shown = Table.of_server({"columnDefinitions": columns, "rows": rows}, namespaces=True)
    assert list(shown.columns) == ["Namespace", "Name", "Ready"]
    assert shown.rows[1] == ["other", "b", "2/2"]
    alone = Table.of_server({"columnDefinitions": columns, "rows": rows[:1]}, wide=True)
    assert list(alone.columns) == ["Name", "Ready", "IP"]


def test_an_error_carries_its_next_step():
    error = errors.refused(403, {"reason": "Forbidden", "message": "pods is forbidden"})
    assert isinstance(error, errors.Refused)
    assert str(error) == "pods is forbidden\n→ " + errors.NEXT_STEP[403]
    assert isinstance(errors.refused(404, {}), errors.Missing)


def test_a_notebook_shows_the_sentence_and_no_traceback(capsys: pytest.CaptureFixture[str]):
    shell = InteractiveShell.instance()
    errors.hide_tracebacks(shell)
    ended = shell.run_cell(
        "from canary_tutorial.errors import BadInput\nraise BadInput('no such tag', 'Choose another.')"
    )
    shown = capsys.readouterr().out
    assert not ended.success
    assert "no such tag" in shown
    assert "→ Choose another." in shown
    assert "Traceback" not in shown
    InteractiveShell.clear_instance()


def deployment(replicas: int, updated: int, total: int, available: int, seen: int = 1) -> dict[str, Any]:
    status = {"updatedReplicas": updated, "replicas": total, "availableReplicas": available, "observedGeneration": seen}
    return {"metadata": {"name": "podinfo", "generation": 1}, "spec": {"replicas": replicas}, "status": status}


@pytest.mark.parametrize(
    ("obj", "done", "text"),
    [
        pytest.param(deployment(1, 1, 1, 1, seen=0), False, "waiting for deployment spec update", id="not yet seen"),
        pytest.param(deployment(2, 1, 2, 2), False, "1 out of 2 new replicas have been updated", id="updating"),
        pytest.param(deployment(2, 2, 3, 2), False, "1 old replicas are pending termination", id="old ones go"),
        pytest.param(deployment(2, 2, 2, 1), False, "1 of 2 updated replicas are available", id="not available"),
        pytest.param(deployment(2, 2, 2, 2), True, "successfully rolled out", id="done"),
        pytest.param(deployment(0, 0, 0, 0), True, "successfully rolled out", id="scaled to zero"),
    ],
)
def test_a_rollout_is_told_in_kubectls_words(obj: dict[str, Any], done: bool, text: str):
    assert rollouts.progress(obj)[0] is done
    assert text in rollouts.progress(obj)[1]


def pod(**state: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"name": "podinfod", "state": state}]}}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            pod(waiting={"reason": "ErrImagePull", "message": "not found"}), "ErrImagePull: not found", id="no image"
        ),
        pytest.param(pod(terminated={"exitCode": 3, "reason": "Error"}), "ended with exit code 3: Error", id="crashed"),
        pytest.param(pod(waiting={"reason": "ContainerCreating"}), "", id="just starting"),
        pytest.param(pod(running={}), "", id="running"),
    ],
)
def test_what_keeps_a_pod_is_named(found: dict[str, Any], text: str):
    assert text in rollouts.blocking_reason([found])
    assert bool(rollouts.blocking_reason([found])) is bool(text)


CANARY = {"metadata": {"name": "podinfo"}, "spec": {"analysis": {}}, "status": {"phase": "Succeeded"}}
AWAKE = [{"status": {"availableReplicas": 1}}]


@pytest.mark.parametrize(
    ("canary", "flagger", "pods", "text"),
    [
        pytest.param({**CANARY, "spec": {"suspend": True}}, AWAKE, [], "suspended", id="suspended"),
        pytest.param(CANARY, [], [], "not installed", id="no Flagger"),
        pytest.param(CANARY, [{"status": {}}], [], "none of its pods is available", id="Flagger down"),
        pytest.param({**CANARY, "status": {"phase": "Waiting"}}, AWAKE, [], "gate is closed", id="gate"),
        pytest.param(CANARY, AWAKE, [pod(waiting={"reason": "ErrImagePull"})], "does not start", id="bad image"),
        pytest.param(CANARY, AWAKE, [], "detects no new revision", id="the promoted image again"),
    ],
)
def test_why_nothing_happens_names_the_cause(
    canary: dict[str, Any], flagger: list[dict[str, Any]], pods: list[dict[str, Any]], text: str
):
    target = {"spec": {"replicas": 0}}
    assert text in explain.why_nothing_happens(canary, target, flagger, pods, [Event(0, "Normal", "hello")])


def nothing(metric: str) -> str:
    return f"Halt advancement no values found for istio metric {metric} probably podinfo.test is not receiving traffic"


SUCCESS, DURATION = "request-success-rate", "request-duration"
HALT = "Halt podinfo.test advancement"


@pytest.mark.parametrize(
    ("message", "requests", "window", "text"),
    [
        pytest.param(nothing(DURATION), 0, 1, "fewer than two scrapes", id="window shorter than two scrapes"),
        pytest.param(nothing(DURATION), 0, 9, "got no requests", id="no traffic"),
        pytest.param(nothing(DURATION), 9, 9, "a moment ago", id="the traffic is too young"),
        pytest.param(nothing(SUCCESS), 9, 9, "Every request failed", id="nothing but failures"),
        pytest.param(f"{HALT} success rate 90.00% < 99%", 50, 9, "About 5 of 50", id="errors"),
        pytest.param(f"{HALT} request duration 1.5s > 500ms", 9, 9, "longer than 1.5s", id="slow"),
        pytest.param(f"{HALT} waiting for approval gate", 9, 9, "gate is closed", id="gate"),
    ],
)
def test_a_halt_is_explained_by_the_cause_that_applies(message: str, requests: float, window: float, text: str):
    assert text in explain.why_halted(message, requests=requests, window=window)


def test_a_metric_that_was_never_seen_is_probably_misspelt():
    assert "is the metric's name right" in explain.why_halted(nothing("x"), requests=0, window=9, counted=False)


def test_fault_switches_are_replaced_and_the_rest_of_the_command_stays():
    command = ["./podinfo", "--port=9898", "--random-error=true", "--random-delay-max=3"]
    assert with_flags(command, []) == ["./podinfo", "--port=9898"]
    assert with_flags(command, ["--unready"]) == ["./podinfo", "--port=9898", "--unready"]


def test_the_container_that_kubectl_takes_unasked():
    found: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"name": "istio-proxy"}, {"name": "podinfod"}]}}
    assert main_container(found) == "podinfod"
    found["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "istio-proxy"}
    assert main_container(found) == "istio-proxy"


def test_an_event_is_read_with_its_best_time():
    obj = {
        "type": "Normal",
        "message": "hi",
        "lastTimestamp": "2026-01-01T00:00:10Z",
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
    }
    assert read_event(obj) == Event(1767225610.0, "Normal", "hi")


BOOK = Path("lesson.ipynb")


def release(phase: str, expected: str = "Succeeded") -> dict[str, Any]:
    return {
        "from": "stefanprodan/podinfo:2.0.0", "image": "stefanprodan/podinfo:2.1.3", "flags": [], "phase": phase,
        "phases": [["Progressing", 5.0], [phase, 40.0]], "weights": [20, 40, 60], "mirrored": True, "seconds": 40.0,
        "intervals_seconds": 35.0, "requests": 820, "failed": 0, "mirrored_requests": 100, "mirrored_failed": 0,
        "expected": expected,
    }  # fmt: skip


def test_what_a_notebook_records_is_found_again_and_summed_up():
    output = {"data": {result.MEDIA_TYPE: {"name": "release", "data": release("Succeeded")}}}
    found = result.recorded({"cells": [{"outputs": [output]}, {}]})
    run = Run(BOOK, 95.0, 24, results=found, files=[BOOK])
    said = summary.text([run], peak_mb=255)
    for part in (
        "podinfo:2.0.0 → podinfo:2.1.3: Succeeded",
        "20, 40, 60 after mirroring",
        "820 requests served, 0 failed",
    ):
        assert part in said
    assert "40.0 s: detected after 5.0 s, then 35.0 s; the sum of its intervals is 35 s (1.00 times)" in said
    assert "255 MB" in said
    assert summary.good([run])


@pytest.mark.parametrize(
    ("run", "good"),
    [
        (Run(BOOK, 1, 1, results={"r": release("Failed")}), False),
        (Run(BOOK, 1, 1, results={"r": release("Failed", expected="Failed")}), True),
        (Run(BOOK, 1, 1, error="cell 3: no"), False),
    ],
)
def test_a_run_is_good_only_if_all_went_as_it_should(run: Run, good: bool):
    assert summary.good([run]) is good


TICK = {
    "time": "2026-11-23T13:59:08.810Z", "canary": "podinfo.test", "phase": "Progressing", "failedChecks": 1,
    "checks": [{"metric": "request-success-rate", "query": "q", "interval": "4s", "value": 91.666, "threshold": ">= 99",
                "verdict": "Halt", "samples": 80.0}],
    "hooks": [{"name": "gate", "type": "confirm-rollout", "error": ""}],
    "events": [{"type": "Warning", "message": "Halt podinfo.test"}],
    "primary": 100, "canary_weight": 0, "mirrored": True,
}  # fmt: skip


def test_ticks_are_read_from_flaggers_log_and_told():
    log = [
        "no json",
        json.dumps({"msg": "tick", "tick": TICK}),
        json.dumps({"msg": "x", "canary": "podinfo.test", "ts": TICK["time"]}),
    ]
    found = ticks.ticks(log, "podinfo.test")
    assert found == [TICK]
    said = ticks.text(1, found[0])
    assert "Progressing       100/0    yes     1" in said
    assert "request-success-rate: 91.67% (threshold >= 99% over 4s, 80 requests) FAILED" in said
    assert "gate gate: passed" in said
    assert "! Halt podinfo.test" in said
    assert len(ticks.Ticks(found).table()) == 1


def test_without_ticks_the_events_of_the_log_make_the_rows():
    log = [
        json.dumps({"level": "info", "ts": "2026-11-23T13:59:08.8Z", "msg": "Starting", "canary": "podinfo.test"}),
        json.dumps({"level": "info", "ts": "2026-11-23T13:59:08.9Z", "msg": "Advance", "canary": "podinfo.test"}),
        json.dumps({"level": "info", "ts": "2026-11-23T13:59:13.8Z", "msg": "Advance", "canary": "podinfo.test"}),
        json.dumps({"level": "info", "ts": "2026-11-23T13:59:13.8Z", "msg": "Other", "canary": "other.test"}),
    ]
    found = ticks.ticks(log, "podinfo.test")
    assert [len(tick["events"]) for tick in found] == [2, 1]
    assert "Starting" in ticks.text(1, found[0])


def test_a_tick_at_which_nothing_happened_is_left_out():
    quiet = {**TICK, "checks": [], "hooks": [], "events": []}
    assert [number for number, _ in ticks.worth_telling([TICK, quiet, quiet, TICK])] == [1, 4]


@pytest.mark.parametrize("answer", [None, "", "20", [20], 28, -20], ids=repr)
def test_an_answer_that_is_no_number_is_as_wrong_as_a_wrong_number(answer: object):
    with pytest.raises(NotYet):
        check("how many", answer, wanted=20, within=8)


def test_an_answer_close_enough_to_what_is_wanted_is_right(capsys: pytest.CaptureFixture[str]):
    check("how many", 27.5, wanted=20, within=8)
    assert capsys.readouterr().out == "✔ how many\n"
