"""Whole canaries on one lab with real traffic: each scenario in a namespace of its own, all side by side.

A scenario stages podinfo, its users and a Canary, does what its name says and returns what was seen; the tests assert on
that. AT_ONCE releases run side by side, with intervals of 5 s: more or faster ones would keep a small machine's Envoy busier
with changes of its configuration than with requests, and a check needs two scrapes within its window.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary_tutorial.connection import Cluster
from canary_tutorial.kube import manifests
from canary_tutorial.kube.api import of_kubeconfig
from canary_tutorial.lessons.prepare import with_short_control_loop
from canary_tutorial.release.release import Release

NAME = "canaries"
AT_ONCE = 6


@dataclass
class Seen:
    """What a scenario saw."""

    release: Release
    status: dict[str, Any]
    cluster: Cluster

    @property
    def phases(self) -> list[str]:
        found: list[str] = []
        for point in self.release.points:
            if not found or found[-1] != point.phase:
                found.append(point.phase)
        return found

    @property
    def routes(self) -> list[tuple[int, int, bool]]:
        found: list[tuple[int, int, bool]] = []
        for point in self.release.points:
            routes = (point.primary, point.canary, point.mirror)
            if not found or found[-1] != routes:
                found.append(routes)
        return found


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("lab")
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    subprocess.run([*command, "up", "--name", NAME], env=environment, check=True, capture_output=True)
    yield home / NAME / "kubeconfig"
    subprocess.run([*command, "down", "--name", NAME], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def runs(kubeconfig: Path) -> Iterator[Callable[[str], Seen]]:
    """All scenarios, started together; ask for one by name."""
    common = Cluster(NAME, of_kubeconfig(str(kubeconfig), None), "")
    common.apply("mesh.yaml", "prometheus.yaml", "flagger-crd.yaml", "flagger-account.yaml")
    for obj in manifests.read(manifests.find("flagger-deployment.yaml")):
        common.apply_object(with_short_control_loop(obj))
    common.rollout_status("deployment/istiod", "deployment/prometheus", "deployment/flagger", namespace="istio-system")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures: dict[str, Future[Seen]] = {
            name: pool.submit(play, Cluster(NAME, of_kubeconfig(str(kubeconfig), None), "", name), scenario)
            for name, scenario in SCENARIOS.items()
        }
        yield lambda name: futures[name].result(timeout=240)


def play(cluster: Cluster, scenario: Callable[[Cluster], Release]) -> Seen:
    release = scenario(cluster)
    return Seen(release, (cluster.get_or_none("canaries", "podinfo") or {}).get("status", {}), cluster)


# -- staging


def stage(
    cluster: Cluster,
    *,
    users: bool = True,
    headers: str = "",
    interval: str = "5s",
    annotations: dict[str, str] | None = None,
    **analysis: Any,
) -> Any:
    """podinfo, its users and a Canary in the cluster's namespace; returns the Canary, at rest."""
    names = ["test-podinfo.yaml", *(["test-loadtester.yaml"] if users else [])]
    objects = [obj for name in names for obj in manifests.read(manifests.find(name))]
    objects, _ = manifests.with_settings(objects, {"min_ready_seconds": 0})
    for obj in objects:
        if annotations and obj["kind"] == "Deployment":
            obj["spec"]["template"]["metadata"].setdefault("annotations", {}).update(annotations)
        cluster.apply_object(moved(obj, cluster.namespace, headers))
    cluster.rollout_status("deployment/podinfo", timeout=60)
    (canary,) = manifests.read(manifests.find("canary-podinfo.yaml"))
    canary, _ = manifests.with_settings([canary], {"interval": interval, "window": interval})
    canary = moved(canary[0], cluster.namespace, "")
    spec = canary["spec"]
    spec.update(analysis.pop("spec", {}))
    spec["analysis"] = {k: v for k, v in {**spec["analysis"], **analysis}.items() if v is not None}
    cluster.apply_object(canary)
    found = cluster.canary()
    found.wait_until_idle(90)
    return found


def moved(obj: dict[str, Any], namespace: str, headers: str) -> dict[str, Any]:
    text = json.dumps(obj).replace("podinfo.test:", f"podinfo.{namespace}:").replace("gates.test", f"gates.{namespace}")
    obj = json.loads(text)
    if obj["kind"] == "Namespace":
        obj["metadata"]["name"] = namespace
    else:
        obj["metadata"]["namespace"] = namespace
    if headers and obj["kind"] == "Deployment" and obj["metadata"]["name"] == "flagger-loadtester":
        obj["spec"]["template"]["spec"]["containers"][0]["command"] = [
            "sh", "-c", f"hey -z 24h -q 10 -c 2 {headers} http://podinfo.{namespace}:9898/ & "
            f"exec hey -z 24h -q 10 -c 2 http://podinfo.{namespace}:9898/",
        ]  # fmt: skip
    return obj


# -- the scenarios


def mirrored(cluster: Cluster) -> Release:
    return stage(cluster).release("stefanprodan/podinfo:2.1.3").follow(show=False)


def unmirrored(cluster: Cluster) -> Release:
    return stage(cluster, mirror=None).release("stefanprodan/podinfo:2.1.3").follow(show=False)


def errors(cluster: Cluster) -> Release:
    canary = stage(cluster, interval="6s")  # 120 requests a look: chance alone must not pass it
    return canary.release("stefanprodan/podinfo:2.1.2", flags=["--random-error=true"]).follow(show=False)


def latency(cluster: Cluster) -> Release:
    slow = ["--random-delay=true", "--random-delay-min=600", "--random-delay-max=900", "--random-delay-unit=ms"]
    return stage(cluster).release("stefanprodan/podinfo:2.1.2", flags=slow).follow(show=False)


def silence(cluster: Cluster) -> Release:
    """Nobody asks for anything, but Prometheus scrapes the pods, as podinfo's own manifests have it."""
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": "9898"}
    return stage(cluster, users=False, annotations=scrape).release("stefanprodan/podinfo:2.1.3").follow(show=False)


def deadline(cluster: Cluster) -> Release:
    canary = stage(cluster, spec={"progressDeadlineSeconds": 5})
    return canary.release("stefanprodan/podinfo:9.9.9").follow(show=False)


def ab(cluster: Cluster) -> Release:
    match = [
        {"headers": {"x-user": {"exact": "insider"}}},
        {"headers": {"cookie": {"regex": "^(.*?;)?(tester=true)(;.*)?$"}}},
    ]
    canary = stage(
        cluster,
        headers='-H "x-user: insider"',
        stepWeight=None,
        maxWeight=None,
        mirror=None,
        iterations=2,
        threshold=5,
        match=match,
    )
    release = canary.release("stefanprodan/podinfo:2.1.3")
    release.wait_for(event="iteration 1/2")
    hey = f"hey -n 20 -c 2 -H Cookie:tester=true http://podinfo.{cluster.namespace}:9898/".split()
    cluster.exec("deployment/flagger-loadtester", *hey, show=False)
    return release.follow(show=False)


def bluegreen(cluster: Cluster) -> Release:
    canary = stage(cluster, stepWeight=None, maxWeight=None, iterations=2)
    return canary.release("stefanprodan/podinfo:2.1.3").follow(show=False)


def gates(cluster: Cluster) -> Release:
    canary = stage(cluster, mirror=None)
    for obj in manifests.read(manifests.find("gates.yaml")):
        cluster.apply_object(moved(obj, cluster.namespace, ""))
    cluster.rollout_status("deployment/gates")
    url = f"http://gates.{cluster.namespace}/gate/check"
    hooks = [
        {"name": "start", "type": "confirm-rollout", "url": url},
        {"name": "end", "type": "confirm-promotion", "url": url},
    ]
    cluster.patch("canaries", "podinfo", {"spec": {"analysis": {"webhooks": hooks}}})
    release = canary.release("stefanprodan/podinfo:2.1.3")
    release.wait_for(phase="Waiting")
    canary.approve()
    release.wait_for(phase="Progressing")
    canary.hold()
    release.wait_for(phase="WaitingPromotion")
    canary.approve()
    return release.follow(show=False)


def revision(cluster: Cluster) -> Release:
    canary = stage(cluster, mirror=None)
    release = canary.release("stefanprodan/podinfo:2.1.2")
    release.wait_for(weight=20)
    return canary.release("stefanprodan/podinfo:2.1.3").follow(show=False)


def deletion(cluster: Cluster) -> Release:
    canary = stage(cluster, spec={"revertOnDeletion": True}, mirror=None)
    release = canary.release("stefanprodan/podinfo:2.1.3").follow(show=False)
    cluster.delete("canaries", "podinfo")
    deadline = time.monotonic() + 60
    while cluster.get_or_none("canaries", "podinfo") and time.monotonic() < deadline:
        time.sleep(0.3)
    return release


SCENARIOS: dict[str, Callable[[Cluster], Release]] = {
    scenario.__name__: scenario
    for scenario in (mirrored, unmirrored, errors, latency, silence, deadline, ab, bluegreen, gates, revision, deletion)
}


# -- what was seen

Runs = Callable[[str], Seen]


def test_a_mirrored_canary_is_promoted_in_the_webinars_steps(runs: Runs):
    seen = runs("mirrored")
    assert seen.phases == ["", "Progressing", "Promoting", "Finalising", "Succeeded"]
    assert seen.routes == [
        (100, 0, False),
        (100, 0, True),
        (80, 20, False),
        (60, 40, False),
        (40, 60, False),
        (100, 0, False),
    ]
    assert [m for m in seen.release.messages if "not ready" not in m] == [  # a pod may start slower than a tick
        "New revision detected! Scaling up podinfo.mirrored",
        "Starting canary analysis for podinfo.mirrored",
        "Advance podinfo.mirrored canary weight 0",
        "Advance podinfo.mirrored canary weight 20",
        "Advance podinfo.mirrored canary weight 40",
        "Advance podinfo.mirrored canary weight 60",
        "Copying podinfo.mirrored template spec to podinfo-primary.mirrored",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down podinfo.mirrored",
    ]
    users = seen.release.impact()
    assert users.failed == 0
    assert users.answered > 300
    for kind in ("podinfo", "podinfo-primary"):
        containers = seen.cluster.get("deployments", kind)["spec"]["template"]["spec"]["containers"]
        assert containers[0]["image"].endswith(":2.1.3")
    assert seen.cluster.get("deployments", "podinfo")["spec"]["replicas"] == 0


def test_without_mirror_the_first_step_is_a_real_share(runs: Runs):
    seen = runs("unmirrored")
    assert seen.routes == [(100, 0, False), (80, 20, False), (60, 40, False), (40, 60, False), (100, 0, False)]
    assert seen.release.phase == "Succeeded"
    assert seen.release.impact().failed == 0


def test_errors_on_mirrored_requests_roll_back_and_users_see_none(runs: Runs):
    seen = runs("errors")
    assert seen.phases[-1] == "Failed"
    assert seen.routes == [(100, 0, False), (100, 0, True), (100, 0, False)]
    assert seen.status["failedChecks"] == 0, "cleared by the rollback"
    assert seen.release.messages[-2:] == [
        "Rolling back podinfo.errors failed checks threshold reached 2",
        "Canary failed! Scaling down podinfo.errors",
    ]
    assert sum("advancement success rate" in m for m in seen.release.messages) == 2
    users = seen.release.impact()
    assert users.failed == 0
    assert users.mirrored_failed > 0


def test_slow_answers_roll_back(runs: Runs):
    seen = runs("latency")
    assert seen.phases[-1] == "Failed"
    assert any("advancement request duration" in m for m in seen.release.messages)


def test_no_traffic_is_a_failed_check(runs: Runs):
    seen = runs("silence")
    assert seen.phases[-1] == "Failed"
    expected = (
        "Halt advancement no values found for istio metric request-success-rate probably podinfo.silence is not "
        "receiving traffic: running query failed: no values found"
    )
    assert seen.release.messages.count(expected) == 2
    scraped = seen.cluster.metrics.query('count(http_requests_total{namespace="silence"})')
    assert scraped[0].samples[-1][1] > 0, "Prometheus has scraped no pod"


def test_a_version_that_does_not_start_ends_by_the_deadline_without_a_check(runs: Runs):
    seen = runs("deadline")
    assert seen.phases[-1] == "Failed"
    assert not any("Rolling back" in m or "Starting" in m for m in seen.release.messages)
    assert seen.release.messages[-1] == "Canary failed! Scaling down podinfo.deadline"
    assert seen.release.messages[-2] == (
        "canary deployment podinfo.deadline not ready: waiting for rollout to finish: "
        "0 of 1 (readyThreshold 100%) updated replicas are available"
    )


def test_ab_sends_matching_users_by_header_and_by_cookie(runs: Runs):
    seen = runs("ab")
    assert seen.release.phase == "Succeeded"
    assert [m for m in seen.release.messages if "iteration" in m] == [
        "Advance podinfo.ab canary iteration 1/2",
        "Advance podinfo.ab canary iteration 2/2",
    ]
    served = seen.cluster.metrics.requests(seen.release.began, seen.release.ended)
    share = {r.workload: r.count for r in served if r.code == "200"}
    assert share["podinfo"] > 60, "insiders at 20 requests a second, and 20 testers"
    assert seen.status["canaryWeight"] == 0


def test_blue_green_mirrors_checks_and_switches_everybody(runs: Runs):
    seen = runs("bluegreen")
    assert seen.release.phase == "Succeeded"
    assert seen.routes == [(100, 0, False), (100, 0, True), (0, 100, False), (100, 0, False)]
    assert "Stop traffic mirroring and route all traffic to canary" in seen.release.messages
    assert seen.release.impact().failed == 0


def test_gates_hold_a_release_before_it_starts_and_before_it_is_promoted(runs: Runs):
    seen = runs("gates")
    phases = ["Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising", "Succeeded"]
    assert [p for p in seen.phases if p in phases] == phases, seen.release.messages
    assert "Halt podinfo.gates advancement waiting for approval start" in seen.release.messages
    assert "Confirm-rollout check start passed" in seen.release.messages
    assert "Halt podinfo.gates advancement waiting for promotion approval end" in seen.release.messages
    waiting = next(p for p in seen.release.points if p.phase == "WaitingPromotion")
    assert (waiting.canary, waiting.iterations) == (60, -1)


def test_a_new_revision_in_mid_run_starts_the_analysis_again(runs: Runs):
    seen = runs("revision")
    assert "New revision detected! Restarting analysis for podinfo.revision" in seen.release.messages
    assert seen.release.phase == "Succeeded"
    assert "Advance podinfo.revision canary weight 20" in seen.release.messages, "from the beginning"
    assert seen.release.impact().failed == 0


def test_deletion_gives_the_target_its_pods_and_its_service_back(runs: Runs):
    seen = runs("deletion")
    assert seen.cluster.get_or_none("canaries", "podinfo") is None
    assert seen.cluster.get("deployments", "podinfo")["spec"]["replicas"] == 1
    assert seen.cluster.get("services", "podinfo")["spec"]["selector"] == {"app": "podinfo"}


@pytest.mark.skipif(
    subprocess.run(["which", "kubectl"], capture_output=True).returncode != 0, reason="kubectl is not here"
)
def test_kubectl_shows_and_waits_for_a_canary(runs: Runs, kubeconfig: Path):
    runs("mirrored")

    def kubectl(*words: str) -> str:
        command = ["kubectl", "--kubeconfig", str(kubeconfig), "-n", "mirrored", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    assert kubectl("get", "canary", "-o", "wide").split("\n")[0].split() == [
        "NAME", "STATUS", "WEIGHT", "SUSPENDED", "FAILEDCHECKS", "INTERVAL", "MIRROR", "STEPWEIGHT", "STEPWEIGHTS",
        "MAXWEIGHT", "LASTTRANSITIONTIME",
    ]  # fmt: skip
    described = kubectl("describe", "canary", "podinfo")
    assert "Canary analysis completed successfully, promotion finished." in described
    assert "Advance podinfo.mirrored canary weight 40" in described
    assert "condition met" in kubectl("wait", "--for=condition=promoted", "canary/podinfo", "--timeout=5s")
    assert yaml.safe_load(kubectl("get", "canary", "podinfo", "-o", "yaml"))["status"]["phase"] == "Succeeded"
