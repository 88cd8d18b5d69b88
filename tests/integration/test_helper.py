"""The helper against a lab of its own: kubectl's verbs, whose cluster it is, and mistakes that end in a sentence."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest
from click.testing import CliRunner

from canary_tutorial import connect
from canary_tutorial.cli.tutorial import main
from canary_tutorial.connection import Cluster
from canary_tutorial.errors import BadInput, CommandFailed, Missing, NoCluster, NotOurs, TookTooLong, Unreachable
from canary_tutorial.install.ownership import LABEL, is_ours


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "canary_tutorial.lab", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for labs, and an environment in which the user's own kubeconfig would be a trap."""
    directory = tmp_path_factory.mktemp("labs")
    before = dict(os.environ)
    os.environ.update(CANARY_TUTORIAL_HOME=str(directory), KUBECONFIG="/nonexistent/kubeconfig")
    for name in ("CANARY_TUTORIAL_CONTEXT", "CANARY_TUTORIAL_KUBECONFIG", "CANARY_TUTORIAL_LAB"):
        os.environ.pop(name, None)
    try:
        yield directory
    finally:
        lab("down")
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def cluster(home: Path) -> Cluster:
    """A lab with podinfo in it, without mesh."""
    found = connect()
    found.apply("test-podinfo.yaml", min_ready_seconds=0)
    found.rollout_status("deployment/podinfo")
    return found


def test_connect_starts_a_lab_and_says_which_it_is(home: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(NoCluster, match="not running\n→ Start it"):
        connect(start=False)
    first = connect()
    assert "Connected to lab: https://127.0.0.1" in capsys.readouterr().out
    assert connect(start=False).api.server == first.api.server


def test_another_cluster_is_chosen_by_name_and_announced(
    cluster: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("CANARY_TUTORIAL_KUBECONFIG", str(home / "lab" / "kubeconfig"))
    other = connect("canary-tutorial-lab")
    assert other.api.server == cluster.api.server
    said = capsys.readouterr().out
    assert cluster.api.server in said
    assert "The lessons write to its namespace test." in said
    with pytest.raises(BadInput, match=r"nosuch.*\n→ .*get-contexts"):
        connect("nosuch")


def test_applying_twice_changes_nothing(cluster: Cluster):
    again = cluster.apply("test-podinfo.yaml", min_ready_seconds=0)
    assert {row["result"] for row in again} == {"unchanged"}
    assert "podinfo spec.minReadySeconds: 5 → 0" in repr(again)


def test_tables_are_kubectls_and_any_name_of_a_kind_will_do(cluster: Cluster):
    assert list(cluster.get("deploy").columns)[:2] == ["Name", "Ready"]
    assert [row["Name"] for row in cluster.get("Deployment")] == ["podinfo"]
    assert [(row["Namespace"], row["Name"]) for row in cluster.get("deployments", namespace="*")] == [
        ("test", "podinfo")
    ]
    assert cluster.get("svc", "podinfo")["spec"]["ports"][0]["port"] == 9898
    with pytest.raises(Missing, match="doesn't have a resource type \"canary"):
        cluster.list("canary")


def test_exec_returns_what_was_said_and_tells_a_failure(cluster: Cluster, capsys: pytest.CaptureFixture[str]):
    assert cluster.exec("deployment/podinfo", "sh", "-c", "echo one; echo two") == "one\ntwo\n"
    assert capsys.readouterr().out == "one\ntwo\n"
    with pytest.raises(CommandFailed, match="exit code 3: no"):
        cluster.exec("deployment/podinfo", "sh", "-c", "echo no >&2; exit 3", show=False)
    with pytest.raises(Missing):
        cluster.exec("pod/nosuch", "true")


def test_service_pages_and_logs_come_through_the_api(cluster: Cluster):
    assert cluster.get_raw("podinfo:9898", "/version")["version"] == "2.0.0"
    assert "podinfo" in cluster.logs("deployment/podinfo")


def test_a_wrong_tag_ends_in_a_sentence_that_names_it(cluster: Cluster):
    with pytest.raises(BadInput, match=r"no container wrong\n→ It has: podinfod"):
        cluster.set_image("deployment/podinfo", wrong="x:1")
    cluster.set_image("deployment/podinfo", podinfod="stefanprodan/podinfo:9.9.9")
    with pytest.raises(TookTooLong, match=r"(ErrImagePull|ImagePullBackOff).*9\.9\.9"):
        cluster.rollout_status("deployment/podinfo", timeout=3)
    cluster.set_image("deployment/podinfo", podinfod="stefanprodan/podinfo:2.0.0")
    cluster.rollout_status("deployment/podinfo")


def test_scale_and_watch(cluster: Cluster):
    too_late = Event()
    timer = Timer(60, too_late.set)
    timer.start()
    watch = cluster.watch("deployments", name="podinfo", stop=too_late)
    assert next(watch)[0] == "ADDED"
    cluster.scale("deployment/podinfo", 2)
    assert next((kind for kind, obj in watch if obj["spec"]["replicas"] == 2), "nothing in time") == "MODIFIED"
    timer.cancel()
    cluster.rollout_status("deployment/podinfo")
    assert len(cluster.list("pods", labels="app=podinfo")) == 2
    cluster.scale("deployment/podinfo", 1)


def test_questions_without_prometheus_say_how_to_get_one(cluster: Cluster):
    with pytest.raises(Unreachable, match=r"Prometheus does not answer.*\n→ cluster.apply\(.prometheus.yaml.\)"):
        cluster.metrics.check()


def test_a_canary_that_is_not_there_says_where_it_comes_from(cluster: Cluster):
    cluster.apply("flagger-crd.yaml")
    assert repr(cluster.canary("podinfo")) == "<Canary podinfo: not there>"
    with pytest.raises(Missing, match=r'Canary "podinfo" not found.*\n→ cluster.apply'):
        cluster.canary("podinfo").wait("Initialized")


@pytest.fixture
def with_canary(cluster: Cluster) -> Cluster:
    """The same with Flagger's kinds and a Canary, and no Flagger."""
    cluster.apply("flagger-crd.yaml")
    cluster.apply("canary-podinfo.yaml", interval="10s")
    return cluster


def test_waiting_without_flagger_says_that_it_is_missing(with_canary: Cluster):
    cluster = with_canary
    with pytest.raises(TookTooLong, match="Flagger is not installed"):
        cluster.canary("podinfo").wait("Initialized", timeout=0.5)


def test_the_same_image_again_is_refused_before_it_is_set(with_canary: Cluster):
    cluster = with_canary
    with pytest.raises(BadInput, match=r"already set to stefanprodan/podinfo:2\.0\.0"):
        cluster.canary("podinfo").release("stefanprodan/podinfo:2.0.0", watch=False)


def test_trace_without_flagger_says_so(with_canary: Cluster):
    ended = CliRunner().invoke(main, ["trace", "podinfo"])
    assert ended.exit_code == 1
    assert "no Flagger runs on this cluster" in ended.output


def test_a_lab_that_runs_is_named_by_the_next_up_and_not_taken_by_a_run(cluster: Cluster):
    again = lab("up")
    assert again.returncode == 0
    assert "canary-tutorial down --name lab" in again.stdout
    ended = CliRunner().invoke(main, ["run", "walkthrough", "--name", "lab"])
    assert ended.exit_code == 1
    assert "the lab 'lab' runs already" in ended.output
    assert lab("status").returncode == 0


def test_clean_up_removes_what_the_tutorial_made_and_nothing_else(cluster: Cluster):
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "default"}}
    cluster.api.request("POST", "/api/v1/namespaces/default/configmaps", theirs)
    with pytest.raises(NotOurs, match=r"ConfigMap default/theirs was not applied: somebody else made it"):
        cluster.apply_object({**theirs, "data": {"a": "b"}})
    assert not is_ours(cluster.get("configmaps", "theirs", "default"))
    assert LABEL.items() <= cluster.get("namespaces", "test")["metadata"]["labels"].items()
    results = {row["object"]: row["result"] for row in cluster.clean_up()}
    made = {"Canary test/podinfo", "Deployment test/podinfo", "Namespace test"}
    assert {results[name] for name in made} == {"deleted"}
    assert cluster.get_or_none("namespaces", "test") is None
    assert "data" not in cluster.get("configmaps", "theirs", "default")


def keep_asking(cluster: Cluster) -> None:
    for _ in range(100):
        cluster.list("pods")
        time.sleep(0.05)


def test_a_lab_that_was_killed_is_told_at_once_and_connect_starts_another(cluster: Cluster, home: Path):
    import json

    status = json.loads(lab("status", "--json").stdout)
    os.kill(status["processes"][0]["pid"], signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"does not answer.*\n→ Is it still running\?"):
        keep_asking(cluster)
    assert time.monotonic() - began < 10
    assert connect().list("namespaces")
