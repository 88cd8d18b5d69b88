"""A pod's status: phase, conditions, container states and back-off, from what the kubelet knows of its containers."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from controller_objects import NOW, Obj, at, pod

from canary_tutorial.lab.kubelet import probes
from canary_tutorial.lab.kubelet.status import ContainerState, back_off, pod_status, terminated
from canary_tutorial.lab.objects import condition

RUNNING = {"running": {"startedAt": at(0)}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
CRASHED = {"waiting": {"reason": "CrashLoopBackOff"}}
DONE = terminated(0, at(0), NOW, "lab://1")
FAILED = terminated(1, at(0), NOW, "lab://1")


def state(of: Obj, ready: bool = False, last: Obj | None = None, name: str = "app") -> ContainerState:
    restarts = 1 if last else 0
    return ContainerState(name, "podinfo:2.0.0", of, last or {}, ready, ready, restarts, "lab://1")


@pytest.mark.parametrize(
    ("policy", "init", "containers", "phase"),
    [
        pytest.param("Always", [], [CREATING], "Pending", id="not started yet"),
        pytest.param("Always", [], [RUNNING, CREATING], "Pending", id="one of two not started yet"),
        pytest.param("Always", [], [RUNNING], "Running", id="running"),
        pytest.param("Always", [], [FAILED], "Running", id="crashed, about to start again"),
        pytest.param("Always", [], [DONE], "Running", id="done, about to start again"),
        pytest.param("OnFailure", [], [DONE], "Succeeded", id="OnFailure: done"),
        pytest.param("OnFailure", [], [FAILED], "Running", id="OnFailure: about to start again"),
        pytest.param("Never", [], [DONE], "Succeeded", id="Never: done"),
        pytest.param("Never", [], [FAILED], "Failed", id="Never: failed"),
        pytest.param("Never", [], [DONE, FAILED], "Failed", id="Never: one of two failed"),
        pytest.param("Never", [], [DONE, RUNNING], "Running", id="Never: one still runs"),
        pytest.param("Always", [RUNNING], [CREATING], "Pending", id="initializing"),
        pytest.param("Always", [FAILED], [CREATING], "Pending", id="init crashed, starts again"),
        pytest.param("Never", [FAILED], [CREATING], "Failed", id="Never: init failed"),
        pytest.param("Always", [DONE], [RUNNING], "Running", id="initialized"),
    ],
)
def test_the_phase_follows_from_the_containers(policy: str, init: list[Obj], containers: list[Obj], phase: str) -> None:
    one = pod("a", spec={"restartPolicy": policy})

    status = pod_status(one, [state(s) for s in init], [state(s) for s in containers], "127.16.0.1", NOW)

    assert status["phase"] == phase


def test_a_crashing_container_leaves_the_pod_running() -> None:
    status = pod_status(pod("a"), [], [state(CRASHED, last=FAILED)], "127.16.0.1", NOW)

    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["lastState"] == FAILED


def told(status: Obj, type_: str) -> tuple[str, str | None, str | None]:
    found = condition({"status": status}, type_) or {}
    return found["status"], found.get("reason"), found.get("message")


@pytest.mark.parametrize(
    ("containers", "ready"),
    [
        pytest.param([state(RUNNING, ready=True)], ("True", None, None), id="ready"),
        pytest.param(
            [state(RUNNING, ready=True), state(RUNNING, name="slow")],
            ("False", "ContainersNotReady", "containers with unready status: [slow]"),
            id="one of two not ready",
        ),
    ],
)
def test_ready_says_which_container_is_not(containers: list[ContainerState], ready: tuple[str, str, str]) -> None:
    status = pod_status(pod("a"), [], containers, "127.16.0.1", NOW)

    assert told(status, "Ready") == told(status, "ContainersReady") == ready
    assert told(status, "PodScheduled")[0] == "True"


def test_initialized_says_which_step_is_missing() -> None:
    steps = [state(DONE, name="one"), state(RUNNING, name="two"), state(CREATING, name="three")]

    status = pod_status(pod("a"), steps, [state(CREATING)], "127.16.0.1", NOW)

    missing = "containers with incomplete status: [two three]"
    assert told(status, "Initialized") == ("False", "ContainersNotInitialized", missing)
    assert len(status["initContainerStatuses"]) == 3


def test_a_pod_that_is_done_is_not_ready_any_more() -> None:
    status = pod_status(pod("a", spec={"restartPolicy": "Never"}), [], [state(DONE)], "127.16.0.1", NOW)

    assert told(status, "Ready") == ("False", "PodCompleted", None)


def test_times_move_only_when_a_condition_changes() -> None:
    first = pod_status({**pod("a"), "status": {}}, [], [state(RUNNING)], "127.16.0.1", NOW)
    later = NOW + timedelta(seconds=9)
    second = pod_status({**pod("a"), "status": first}, [], [state(RUNNING, ready=True)], "127.16.0.1", later)

    def since(status: Obj, type_: str) -> str:
        return str((condition({"status": status}, type_) or {})["lastTransitionTime"])

    assert since(second, "PodScheduled") == at(0)
    assert since(second, "Ready") == at(9)
    assert second["startTime"] == at(0)


@pytest.mark.parametrize(
    ("code", "reason"), [(0, "Completed"), (1, "Error"), (137, "Error")], ids=["done", "failed", "killed"]
)
def test_an_ended_container_says_how(code: int, reason: str) -> None:
    ended = terminated(code, at(-5), NOW, "lab://1")["terminated"]

    assert (ended["exitCode"], ended["reason"]) == (code, reason)
    assert (ended["startedAt"], ended["finishedAt"]) == (at(-5), at(0))


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert [back_off(n) for n in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


# -- probes: a clock that moves when somebody sleeps, and probes that answer from a list


class Clock:
    def __init__(self, answers: str, patch: pytest.MonkeyPatch) -> None:
        self.now, self.answers = 0.0, iter(answers)
        self.asked: list[float] = []
        patch.setattr(probes.time, "monotonic", lambda: self.now)
        patch.setattr(probes.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def once(self, probe: Obj) -> str | None:
        self.asked.append(round(self.now, 1))
        return None if next(self.answers) == "+" else "it says no"


def verdicts(answers: str, patch: pytest.MonkeyPatch, impatient: bool = False, **probe: Any) -> tuple[str, Clock]:
    """What comes of a row of answers (+ and -): + and - for verdicts, ! for each failure told."""
    clock = Clock(answers, patch)
    heard: list[str] = []

    async def run() -> None:
        prober: Any = clock
        async for verdict in probes.watch(prober, probe, tell=lambda why: heard.append("!"), impatient=impatient):
            heard.append("+" if verdict.good else "-")

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(run())
    return "".join(heard), clock


@pytest.mark.parametrize(
    ("answers", "probe", "heard"),
    [
        pytest.param("++", {}, "++", id="each success is good"),
        pytest.param("+--", {}, "+!!", id="two failures of three are only told"),
        pytest.param("+---", {}, "+!!!-", id="the third makes a verdict"),
        pytest.param("--+---", {}, "!!+!!!-", id="a success forgives"),
        pytest.param("-", {"failureThreshold": 1}, "!-", id="failureThreshold 1"),
        pytest.param("+-++", {"successThreshold": 2}, "!+", id="successThreshold 2"),
    ],
)
def test_rows_of_answers_make_verdicts(answers: str, probe: Obj, heard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(answers, monkeypatch, periodSeconds=5, **probe)[0] == heard


def test_a_fresh_container_is_asked_often_but_fails_no_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, clock = verdicts("-" * 100, monkeypatch, impatient=True, periodSeconds=2, failureThreshold=2)

    assert clock.asked[:4] == [0, 0.2, 0.4, 0.6]
    assert heard[:3] == "!!-"
    later = [time for time in clock.asked if time > probes.PATIENT_AFTER + 2]
    assert [round(b - a) for a, b in pairwise(later)] == [2] * (len(later) - 1)


def test_after_the_first_success_the_period_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    _, clock = verdicts("--+++", monkeypatch, impatient=True, periodSeconds=10, initialDelaySeconds=3)

    assert clock.asked[:5] == [3, 3.2, 3.4, 13.4, 23.4]


async def _get(port: int) -> str | None:
    async with aiohttp.ClientSession() as http:
        prober = probes.Prober({}, "127.0.0.1", _no_exec, http)
        return await prober.once({"httpGet": {"port": port, "path": "/healthz"}})


async def _no_exec(command: list[str]) -> tuple[int, str]:
    return 1, ""


def test_where_nobody_listens_a_probe_says_it_as_go_does():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        why = asyncio.run(_get(port))
    assert why == f'Get "http://127.0.0.1:{port}/healthz": dial tcp 127.0.0.1:{port}: connect: connection refused'
