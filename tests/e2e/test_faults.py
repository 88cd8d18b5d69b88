"""Programs killed in the middle of a release: the lab brings them back, and the release ends as it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from canary_tutorial import connect, prepare
from canary_tutorial.release.canary import Canary

NAME = "faults"
COMMAND = [sys.executable, "-m", "canary_tutorial.lab"]


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    before = dict(os.environ)
    os.environ.update(CANARY_TUTORIAL_HOME=str(tmp_path_factory.mktemp("home")), CANARY_TUTORIAL_LAB=NAME)
    os.environ.pop("CANARY_TUTORIAL_CONTEXT", None)
    try:
        found = prepare(connect(), interval="3s", window="3s", min_ready_seconds=0)
        assert found is not None
        yield found
    finally:
        subprocess.run([*COMMAND, "down", "--name", NAME], check=False, capture_output=True)
        os.environ.clear()
        os.environ.update(before)


def processes() -> list[dict[str, Any]]:
    said = subprocess.run([*COMMAND, "status", "--json", "--name", NAME], check=True, capture_output=True, text=True)
    return list(json.loads(said.stdout)["processes"])


def kill(name: str) -> int:
    """kill -9 of the youngest process of that name; returns its pid."""
    pid = max(int(each["pid"]) for each in processes() if each["name"] == name)
    os.kill(pid, signal.SIGKILL)
    return pid


def comes_back(name: str, gone: int, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(each["name"] == name and each["pid"] != gone for each in processes()):
            return True
        time.sleep(0.2)
    return False


def test_a_release_outlives_hey_flagger_and_the_canarys_own_process(canary: Canary):
    release = canary.release("stefanprodan/podinfo:2.1.3", flags=[])
    release.wait_for(mirroring=True)
    assert comes_back("hey", kill("hey"))
    release.wait_for(weight=20)
    assert comes_back("canary_tutorial.flagger", kill("canary_tutorial.flagger"))
    assert comes_back("canary_tutorial.lab.podinfo", kill("canary_tutorial.lab.podinfo"))
    release.follow(show=False)
    assert release.phase == "Succeeded", release.messages
    assert canary.primary_image().endswith(":2.1.3")


def test_envoy_killed_in_a_release_costs_moments_and_leaves_nothing_stuck(canary: Canary):
    release = canary.release("stefanprodan/podinfo:2.1.2", flags=[])
    release.wait_for(weight=20)
    assert comes_back("envoy", kill("envoy"))
    release.follow(show=False)
    assert release.ended, "Flagger has decided, whatever it decided"
    point = canary.observe()
    assert (point.primary, point.canary, point.mirror) == (100, 0, False)
    assert canary.deployment()["spec"]["replicas"] == 0


def test_prometheus_killed_comes_back_and_gone_for_longer_is_a_failed_check(canary: Canary):
    cluster = canary.cluster
    tag = "2.1.1" if not canary.primary_image().endswith(":2.1.1") else "2.1.0"
    release = canary.release(f"stefanprodan/podinfo:{tag}", flags=[])
    release.wait_for(mirroring=True)
    assert comes_back("prometheus", kill("prometheus"))
    cluster.scale("deployment/prometheus", 0, "istio-system")
    release.follow(show=False)
    cluster.scale("deployment/prometheus", 1, "istio-system")
    cluster.rollout_status("deployment/prometheus", namespace="istio-system")
    assert release.phase == "Failed"
    assert any("Prometheus query failed" in m or "no values found" in m for m in release.messages)
    assert release.messages[-1] == "Canary failed! Scaling down podinfo.test"


def test_without_flagger_nothing_happens_to_a_canary(canary: Canary):
    cluster = canary.cluster
    cluster.scale("deployment/flagger", 0, "istio-system")
    before = canary.obj["status"]
    cluster.set_image("deployment/podinfo", podinfod="stefanprodan/podinfo:6.0.0")
    time.sleep(3 * canary.interval)
    assert canary.obj["status"] == before
    assert canary.deployment()["spec"]["replicas"] == 0
    cluster.scale("deployment/flagger", 1, "istio-system")
