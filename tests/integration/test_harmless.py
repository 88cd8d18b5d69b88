"""Whatever the tutorial is told to do on a cluster that others made, each of their objects is afterwards what it was.

These tests know nothing of how that is done: they look at every object before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import foreign_cluster as foreign
import nbformat
import pytest
from served_api import Served

from canary_tutorial import prepare
from canary_tutorial.connection import Cluster
from canary_tutorial.errors import TutorialError
from canary_tutorial.release import ticks

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MANIFESTS = sorted(path.name for path in foreign.MANIFESTS.glob("*.yaml"))

As = Callable[..., Cluster]
Obj = dict[str, Any]


@pytest.fixture
def as_user(server: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[As]:
    with foreign.connecting(server, monkeypatch) as connected:
        yield connected


@pytest.fixture
def before(server: Served, as_user: As) -> Iterator[dict[str, Obj]]:
    """Fill the cluster; afterwards each object that was there is what it was."""
    foreign.fill(server, foreign.everything())
    api = as_user(show=False).api
    found = foreign.picture(api)
    yield found
    after = foreign.picture(api)
    assert {uid: after.get(uid) for uid in found} == found


def play(path: Path) -> str:
    """A notebook's code cells, one after the other, until one ends in an error that a learner is told; its message."""
    names: dict[str, Any] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            try:
                exec(compile(cell.source, f"{path.name} {cell.id}", "exec"), names)
            except TutorialError as error:
                return str(error)
    return ""


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("who", ["", "mine/dev"], ids=["administrator", "account of one namespace"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_stops_before_it_writes(path: Path, who: str, as_user: As, monkeypatch: pytest.MonkeyPatch):
    as_user(who, show=False)
    if who:
        monkeypatch.setenv("CANARY_TUTORIAL_NAMESPACE", "mine")
    said = play(path)
    if path.stem in ("00-start-here", "06-your-cluster"):
        return  # these two look, and write nothing
    assert "The cluster lacks what the tutorial needs and may not bring. Nothing was written." in said
    if who:
        assert "Prometheus: not found, and your account cannot list services in all namespaces" in said
        assert "→ If you know where it is: export CANARY_TUTORIAL_PROMETHEUS=" in said
    else:
        assert "namespace test: made by somebody else, and holds Deployment test/podinfo" in said
        assert 'connect(..., namespace="test")' in said


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("file", MANIFESTS)
def test_applying_a_manifest_changes_nothing_of_anybody_elses(file: str, as_user: As):
    with suppress(TutorialError):
        as_user().apply(file)


def test_what_ready_brings_is_in_its_own_namespace_and_never_a_second_of_anything(
    before: dict[str, Obj], server: Served, as_user: As
):
    cluster = as_user(namespace="shop")
    with suppress(TutorialError):
        prepare(cluster)
    new = [obj for uid, obj in foreign.picture(cluster.api).items() if uid not in before]
    assert {obj["metadata"].get("namespace", obj["metadata"]["name"]) for obj in new} <= {"shop"}


def test_clean_up_takes_nothing_that_others_keep_in_what_the_lessons_made(server: Served, as_user: As):
    cluster = as_user()
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}
    for obj in (space, *foreign.read("flagger-crd.yaml")):
        cluster.apply_object(obj)
    notes = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes", "namespace": "istio-system"}}
    canary = foreign.read("canary-podinfo.yaml")[0]
    canary["metadata"]["namespace"] = "shop"
    foreign.fill(server, [foreign.namespace("shop"), notes, canary])
    cluster.clean_up()
    assert cluster.get_or_none("canaries", "podinfo", "shop") is not None
    live = cluster.get_or_none("namespaces", "istio-system")
    assert live is not None
    assert "deletionTimestamp" not in live["metadata"]


@pytest.mark.usefixtures("before")
def test_an_account_of_one_namespace_learns_why_nothing_happens(server: Served, as_user: As):
    target = foreign.deployment("podinfo", "mine", "x/podinfo:1", {"app": "podinfo"})
    canary = foreign.read("canary-podinfo.yaml")[0]
    canary["metadata"]["namespace"] = "mine"
    foreign.fill(server, [target, canary])
    assert "Flagger has sent no event about it yet" in as_user("mine/dev", namespace="mine").canary().explain()


def test_the_log_of_a_flagger_that_helm_installed_is_found(server: Served, as_user: As):
    foreign.fill(server, [*foreign.flagger(), foreign.namespace("test"), foreign.read("canary-podinfo.yaml")[0]])
    labels = {"app.kubernetes.io/name": "flagger", "app.kubernetes.io/instance": "flagger", **foreign.HELM}
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "flagger-1", "namespace": "flagger-system", "labels": labels},
        "spec": {"containers": [{"name": "flagger", "image": "x"}]}, "status": {"phase": "Running"},
    }  # fmt: skip
    foreign.fill(server, [pod])
    path = "/api/v1/namespaces/flagger-system/pods/flagger-1/status"
    server.http("PATCH", path, b'{"status": {"phase": "Running"}}', Content_Type="application/merge-patch+json")
    line = '{"ts": "2026-01-01T00:00:00Z", "level": "info", "canary": "podinfo.test", "msg": "New revision detected!"}'
    (server.directory / "flagger-1_flagger.log").write_text(f"2026-01-01T00:00:00.0Z stdout F {line}\n")
    (tick,) = ticks.of_canary(as_user().canary())
    assert tick["events"] == [{"type": "Normal", "message": "New revision detected!"}]
