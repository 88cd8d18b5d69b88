"""A cluster that has all it needs, reached by a context of a kubeconfig: another lab, in another place, whose mesh and
Prometheus somebody else installed, with Flagger in a namespace of its own and labelled as Helm labels it.

The walkthrough and the report run there as they are, in a namespace that was free, and leave nothing else behind.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foreign_cluster as foreign
import pytest

from canary_tutorial import connect
from canary_tutorial.connection import Cluster
from canary_tutorial.install.ownership import is_ours, title

Obj = dict[str, Any]
CONTEXT, NAMESPACE = "somebody-elses", "lessons"
LAB = [sys.executable, "-m", "canary_tutorial.lab"]
QUICK = ["-p", "interval", "3s", "-p", "window", "3s"]


@dataclass
class Elsewhere:
    """The cluster, what was there before, and what preflight listed."""

    cluster: Cluster
    before: dict[str, Obj]
    listed: list[str]
    output: Path

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "canary_tutorial", *words, "--output", str(self.output)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    def new(self) -> list[Obj]:
        return [obj for uid, obj in foreign.picture(self.cluster.api).items() if uid not in self.before]


def install(cluster: Cluster) -> None:
    """What the administrators of that cluster did, before anybody came to learn."""
    system = [obj for name in ("mesh.yaml", "prometheus.yaml") for obj in foreign.read(name)]
    names = ("flagger-crd.yaml", "flagger-account.yaml", "flagger-deployment.yaml")
    flagger = [moved(obj) for name in names for obj in foreign.read(name)]
    for obj in [*system, *flagger]:
        path = cluster.api.resource_of(obj).path(None, obj["metadata"].get("namespace"))
        if cluster.live(obj) is None:
            cluster.api.request("POST", path, obj, {"fieldManager": "helm"})
        if obj["kind"] == "CustomResourceDefinition":
            cluster.wait_established(obj["metadata"]["name"])
    cluster.rollout_status("deployment/istiod", "deployment/prometheus", namespace="istio-system")
    cluster.rollout_status("deployment/progressive-delivery", namespace="flagger-system")


def moved(obj: Obj) -> Obj:
    """Flagger's objects as a Helm release in the namespace flagger-system has them."""
    text = json.dumps(obj).replace('"namespace": "istio-system"', '"namespace": "flagger-system"')
    obj = foreign.released(json.loads(text), "flagger")
    if obj["kind"] == "Namespace":
        obj["metadata"]["name"] = "flagger-system"
    if obj["kind"] == "Deployment":
        labels = {"app.kubernetes.io/name": "flagger", "app.kubernetes.io/instance": "flagger"}
        obj["metadata"] |= {"name": "progressive-delivery", "labels": {**labels, **foreign.HELM}}
        obj["spec"]["selector"]["matchLabels"] = labels
        obj["spec"]["template"]["metadata"]["labels"] = labels
        container = obj["spec"]["template"]["spec"]["containers"][0]
        container["args"] = [word.replace("interval=10s", "interval=1s") for word in container["args"]]
    return obj


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    theirs, mine = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("mine")
    up = {**os.environ, "CANARY_TUTORIAL_HOME": str(theirs)}
    subprocess.run([*LAB, "up", "--name", "other"], env=up, check=True, capture_output=True)
    before = dict(os.environ)
    try:
        text = (theirs / "other" / "kubeconfig").read_text().replace("canary-tutorial-other", CONTEXT)
        (mine / "kubeconfig").write_text(text)
        for name in ("CANARY_TUTORIAL_LAB", "CANARY_TUTORIAL_PROMETHEUS", "JPY_SESSION_NAME", "VSCODE_PID"):
            os.environ.pop(name, None)
        os.environ.update(
            CANARY_TUTORIAL_HOME=str(mine / "labs"),
            CANARY_TUTORIAL_KUBECONFIG=str(mine / "kubeconfig"),
            CANARY_TUTORIAL_CONTEXT=CONTEXT,
            CANARY_TUTORIAL_NAMESPACE=NAMESPACE,
            IPYTHONDIR=str(mine / "ipython"),
        )
        cluster = connect(show=False)
        install(cluster)
        yield Elsewhere(cluster, foreign.picture(cluster.api), cluster.preflight().objects, mine / "out")
        assert not (mine / "labs").exists(), "no lab was started"
    finally:
        os.environ.clear()
        os.environ.update(before)
        subprocess.run([*LAB, "down", "--name", "other"], env=up, check=True, capture_output=True)


def wanted(obj: Obj) -> Obj:
    """An object without what its controllers keep up to date."""
    kept = ("name", "namespace", "labels", "annotations", "ownerReferences", "finalizers")
    metadata = {key: copy.deepcopy(obj["metadata"].get(key)) for key in kept}
    metadata["annotations"] = {
        key: value
        for key, value in (metadata["annotations"] or {}).items()
        if not key.startswith("deployment.kubernetes.io")
    }
    return {**obj, "metadata": metadata, "status": None}


def unharmed(elsewhere: Elsewhere) -> None:
    after = foreign.picture(elsewhere.cluster.api)
    for uid, obj in elsewhere.before.items():
        if obj["kind"] != "Lease":  # the node's heartbeat
            assert wanted(after[uid]) == wanted(obj), title(obj)


def test_preflight_lists_the_lessons_own_namespace_only(elsewhere: Elsewhere):
    assert elsewhere.listed == [
        f"Namespace {NAMESPACE}",
        *(f"{kind} {NAMESPACE}/{name}" for kind, name in [
            ("Telemetry", "canary-tutorial-request-host"),
            ("Deployment", "podinfo"),
            ("Service", "podinfo"),
            ("Deployment", "flagger-loadtester"),
            ("Service", "flagger-loadtester"),
            ("Canary", "podinfo"),
        ]),
    ]  # fmt: skip


def test_the_walkthrough_succeeds_there_and_writes_what_preflight_listed(elsewhere: Elsewhere):
    done = elsewhere.command("run", "walkthrough", "-p", "load_seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights   20, 40, 60 after mirroring" in done.stdout
    new = elsewhere.new()
    assert {title(obj) for obj in new if is_ours(obj)} == set(elsewhere.listed)
    others = [obj for obj in new if not is_ours(obj)]
    assert {obj["metadata"].get("namespace") for obj in others} == {NAMESPACE}
    unharmed(elsewhere)


def test_a_report_succeeds_there_and_writes_to_its_namespace_only(elsewhere: Elsewhere):
    words = ["--context", CONTEXT, "-n", NAMESPACE, "--image", "stefanprodan/podinfo:6.14.1", *QUICK]
    done = elsewhere.command("report", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((elsewhere.output / "report.json").read_text())
    assert (found["canary"], found["phase"]) == (f"{NAMESPACE}/podinfo", "Succeeded")
    assert (found["weights"], found["failed"]) == ([20, 40, 60], 0)
    assert found["ticks"], "Flagger's log was found where it is"
    assert {title(obj) for obj in elsewhere.new() if is_ours(obj)} == set(elsewhere.listed)
    unharmed(elsewhere)


def test_clean_up_takes_away_what_was_listed_and_nothing_else(elsewhere: Elsewhere):
    results = {row["object"]: row["result"] for row in elsewhere.cluster.clean_up()}
    assert results == dict.fromkeys(elsewhere.listed, "deleted")
    assert elsewhere.new() == []
    unharmed(elsewhere)
