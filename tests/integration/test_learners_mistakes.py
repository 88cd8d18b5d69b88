"""What a learner can do wrong in a lesson, and the sentence that it ends in: what happened, and what to do next.

One lab with everything a lesson has; the tests run in their order, as a lesson goes from bad to worse.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from canary_tutorial import connect, prepare
from canary_tutorial.connection import Cluster
from canary_tutorial.errors import BadInput, Missing, Refused, TutorialError, Unreachable
from canary_tutorial.kube.wait import wait_until
from canary_tutorial.release import release
from canary_tutorial.release.canary import Canary

PODINFO = "stefanprodan/podinfo"
QUICK = {"interval": "3s", "window": "3s"}  # a window needs two scrapes: three leave room for one that comes late


def lab(*words: str) -> str:
    command = [sys.executable, "-m", "canary_tutorial.lab", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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
    return connect(show=False)


@pytest.fixture(scope="module")
def canary(cluster: Cluster) -> Canary:
    found = prepare(cluster, **QUICK)
    assert found is not None
    return found


# -- the wrong cluster


def kubeconfig(server: str, token: str = "none", ca: str = "") -> str:
    where: dict[str, Any] = {"server": server, **({"certificate-authority-data": ca} if ca else {})}
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "mine",
        "clusters": [{"name": "mine", "cluster": where}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "mine", "context": {"cluster": "mine", "user": "me"}}],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        pytest.param(None, "mine", "No configuration found", id="no such file"),
        pytest.param("{broken: [", "mine", "is not a kubeconfig", id="broken YAML"),
        pytest.param("hello", "mine", "is not a kubeconfig", id="a text"),
        pytest.param("- a\n- b\n", "mine", "is not a kubeconfig", id="a list"),
        pytest.param("", "mine", "mine", id="an empty file"),
        pytest.param(kubeconfig("http://127.0.0.1:1"), "yours", "yours", id="no such context"),
    ],
)
def test_a_kubeconfig_that_will_not_do_is_named_with_what_is_wrong(
    text: str | None, context: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("CANARY_TUTORIAL_KUBECONFIG", str(path))
    with pytest.raises(BadInput) as caught:
        connect(context)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert "get-contexts" in caught.value.next_step


def test_a_cluster_that_is_not_there_is_told_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("https://127.0.0.1:1"))
    monkeypatch.setenv("CANARY_TUTORIAL_KUBECONFIG", str(path))
    with pytest.raises(
        Unreachable, match=r"^https://127.0.0.1:1 does not answer: [^<>]*refused\n→ Is it still running"
    ):
        connect("mine")


def test_without_rights_each_refusal_says_which_and_whom_to_ask(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "guest", "namespace": "default"}}
    cluster.apply_object(account)
    path = "/api/v1/namespaces/default/serviceaccounts/guest/token"
    token = cluster.api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    own = yaml.safe_load(Path(json.loads(lab("status", "--json"))["kubeconfig"]).read_text())
    ca = own["clusters"][0]["cluster"]["certificate-authority-data"]
    (tmp_path / "guest").write_text(kubeconfig(cluster.api.server, token["status"]["token"], ca))
    monkeypatch.setenv("CANARY_TUTORIAL_KUBECONFIG", str(tmp_path / "guest"))

    guest = connect("mine")

    for mistake in (lambda: guest.apply("mesh.yaml"), lambda: guest.list("deployments"), lambda: prepare(guest)):
        with pytest.raises(Refused, match=r"cannot .*\n→ Your account may not do this .*Ask its owner") as caught:
            mistake()
        assert caught.value.status == 403


# -- cells out of order, twice, and in a new kernel


def test_a_release_before_there_is_anything_says_where_it_comes_from(cluster: Cluster):
    with pytest.raises(Missing, match=r'Canary "podinfo" not found.*\n→ cluster.apply'):
        cluster.canary("podinfo").release(f"{PODINFO}:2.1.0")
    with pytest.raises(Unreachable, match=r"Prometheus does not answer.*\n→ cluster.apply"):
        cluster.metrics.impact(time.time() - 10)
    with pytest.raises(BadInput, match='Service "gates" not found'):
        cluster.canary("podinfo").approve()


def test_in_a_notebook_errors_are_sentences_without_a_traceback(home: Path):
    book = nbformat.v4.new_notebook()
    cells = ('from canary_tutorial import connect\nconnect("nowhere")', "canary.release('x')", "1 / 0")
    book.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    NotebookClient(book, kernel_name="python3", allow_errors=True).execute()
    first, second, third = ("\n".join(cell.outputs[-1]["traceback"]) for cell in book.cells)
    assert "nowhere" in first
    assert "get-contexts" in first
    assert first.count("\n") == 1, "the message and the next step"
    assert "name 'canary' is not defined" in second
    assert "Run All Above" in second
    assert "Traceback" not in first + second
    assert "Traceback" in third, "a mistake in Python is shown as Python shows it"


def test_a_wrong_tag_is_named_and_set_right_while_it_runs_and_a_new_kernel_waits_for_the_end(
    cluster: Cluster, canary: Canary, capfd: pytest.CaptureFixture[str]
):
    wrong = canary.release(f"{PODINFO}:9.9.9")
    wait_until(lambda: ("does not start" in canary.explain(), canary.explain()), "the wrong tag to be noticed", 30)
    assert "9.9.9" in canary.explain()
    with pytest.raises(BadInput, match=r"already set to .*9\.9\.9.*\n→ Choose another tag"):
        canary.release(f"{PODINFO}:9.9.9")
    capfd.readouterr()

    right = canary.release(f"{PODINFO}:2.1.0")

    assert "A release is under way. Flagger restarts the analysis" in capfd.readouterr().out
    with pytest.raises(TutorialError, match=r"9\.9\.9 was superseded.*\n→ canary-tutorial trace podinfo"):
        wrong.follow(show=False)
    again = prepare(connect(show=False), **QUICK)  # as a new kernel would
    assert again is not None
    said = capfd.readouterr()
    assert "a release is under way (Progressing)" in said.err
    assert "Ready: <Canary podinfo Succeeded" in said.out, canary.events()
    assert again.primary_image() == f"{PODINFO}:2.1.0"
    assert right.follow(show=False).phase == "Succeeded"


# -- what was taken away


def test_without_prometheus_or_users_it_is_said_and_ready_brings_them_back(cluster: Cluster, canary: Canary):
    cluster.scale("deployment/prometheus", 0, "istio-system")
    cluster.scale("deployment/flagger-loadtester", 0)
    wait_until(lambda: (not cluster.list("pods", "istio-system", "app=prometheus"), "there"), "Prometheus to be gone")
    with pytest.raises(Unreachable, match=r"Prometheus does not answer.*\n→ cluster.apply"):
        cluster.metrics.impact(time.time() - 10)

    prepare(cluster, **QUICK)

    wait_until(
        lambda: (bool(cluster.metrics.requests(time.time() - 3)), "nothing yet"), "requests to be counted again", 30
    )


def test_a_canary_and_its_deployment_deleted_in_mid_release_are_told_and_brought_back(cluster: Cluster, canary: Canary):
    running = canary.release(f"{PODINFO}:2.1.1")
    wait_until(lambda: (running.running, repr(running)), "the release to begin", 30)
    cluster.delete("deployments", "podinfo")
    wait_until(lambda: (cluster.get_or_none("deployments", "podinfo") is None, "there"), "the Deployment to be gone")
    assert "there is no Deployment podinfo" in canary.explain()
    with pytest.raises(Missing, match=r'Deployment "podinfo" not found in .*\n→ Bring it back: prepare\(cluster\)'):
        canary.release(f"{PODINFO}:2.1.2")
    cluster.delete("canaries", "podinfo")
    with pytest.raises(Missing, match=r"deleted during its release\n→ Bring it back"):
        running.follow(show=False)
    assert repr(canary) == "<Canary podinfo: not there>"

    assert "Initialized" in repr(prepare(cluster, **QUICK))


def test_a_lab_killed_in_mid_release_is_told_by_the_release_itself(
    cluster: Cluster, canary: Canary, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(release, "PATIENCE", 2.0)
    running = canary.release(f"{PODINFO}:2.1.3")
    wait_until(lambda: (running.running, repr(running)), "the release to begin", 30)
    (main,) = [p["pid"] for p in json.loads(lab("status", "--json"))["processes"] if p["name"].startswith("main")]
    os.kill(main, signal.SIGKILL)
    with pytest.raises(Unreachable, match=r"does not answer.*\n→ Is it still running\? .*connect\(\) starts a new one"):
        running.follow(show=False)
    assert connect(show=False).get_or_none("canaries", "podinfo") is None, "a new lab, from nothing"
