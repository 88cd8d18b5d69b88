"""On a cluster that others made: nothing of theirs is changed, duplicated or deleted, whatever the tutorial is told to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import foreign_cluster as foreign
import pytest
from click.testing import CliRunner
from served_api import Served

from canary_tutorial import prepare
from canary_tutorial.cli.tutorial import main
from canary_tutorial.connection import Cluster
from canary_tutorial.errors import NotOurs, NotReady, TutorialError
from canary_tutorial.install import installed
from canary_tutorial.install.parts import MISSING, THERE, UNKNOWN
from canary_tutorial.install.preflight import CREATE, Preflight
from canary_tutorial.lab.api.checks.admission import admit
from canary_tutorial.lab.controllers.manager import Manager
from canary_tutorial.lab.events import Recorder

FOR_THE_LAB = ["mesh.yaml", "prometheus.yaml", "flagger-crd.yaml", "flagger-account.yaml", "flagger-deployment.yaml"]

As = Callable[..., Cluster]


@pytest.fixture
def as_user(server: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[As]:
    with foreign.connecting(server, monkeypatch) as connected:
        yield connected


@pytest.fixture
def untouched(server: Served, as_user: As) -> Iterator[None]:
    """Fill the cluster; afterwards each object that was there is what it was."""
    foreign.fill(server, foreign.everything())
    api = as_user(show=False).api
    before = foreign.picture(api)
    yield
    after = foreign.picture(api)
    assert {uid: after.get(uid) for uid in before} == before


def states(found: Preflight) -> dict[str, str]:
    return {row["needed"]: row["state"] for row in found}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("words", [["run", "walkthrough"], ["run"], ["report", "--context", "lab"]], ids=" ".join)
def test_run_and_report_stop_before_a_kernel_is_started(words: list[str], as_user: As, tmp_path: Path):
    as_user(show=False)
    ended = CliRunner().invoke(main, [*words, "--output", str(tmp_path / "out")])
    assert ended.exit_code in (1, 2)
    assert "Nothing was written" in ended.output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("file", FOR_THE_LAB)
def test_what_is_made_for_the_lab_is_refused_with_its_installer(file: str, as_user: As):
    cluster = as_user()
    with pytest.raises(
        NotReady, match=rf"{file} was not applied: it needs a node with the label canary-tutorial.dev/lab"
    ):
        cluster.apply(file)
    installer = {"mesh.yaml": "istioctl install", "prometheus.yaml": "kubectl apply"}.get(
        file, "helm upgrade -i flagger"
    )
    with pytest.raises(NotReady, match=rf"\n→ {installer}"):
        cluster.apply("test-loadtester.yaml", file)  # refused whole, although the first of the two would do


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("file", ["test-podinfo.yaml", "canary-podinfo.yaml"])
def test_an_object_of_somebody_else_is_named_with_its_owner(file: str, as_user: As):
    kind = {"test-podinfo.yaml": "Deployment", "canary-podinfo.yaml": "Canary"}[file]
    with pytest.raises(
        NotOurs, match=rf"^{kind} test/podinfo was not applied: field manager helm made it.*\n→ Choose a"
    ):
        as_user().apply(file)


@pytest.mark.usefixtures("untouched")
def test_a_namespace_of_somebody_else_gets_no_label(as_user: As):
    cluster = as_user(namespace="shop")
    rows = cluster.apply("test-loadtester.yaml")
    assert [row["result"] for row in rows] == ["left as it is: made by field manager helm", "created", "created"]
    assert cluster.get("deployments", "flagger-loadtester")["spec"]["template"]["spec"]["containers"][0]["command"][
        -1
    ] == ("http://podinfo.shop:9898/")
    assert {row["object"]: row["result"] for row in cluster.clean_up()} == {
        "Deployment shop/flagger-loadtester": "deleted",
        "Service shop/flagger-loadtester": "deleted",
    }


@pytest.mark.usefixtures("untouched")
def test_preflight_finds_what_others_installed_and_lists_what_would_be_created(as_user: As):
    cluster = as_user(namespace="shop")
    found = cluster.preflight()
    assert {row["needed"]: row["what"] for row in found if row["state"] == THERE} == {
        f"Kubernetes {cluster.version}": cluster.api.server,
        "your rights": "14 needed, all granted",
        "mesh: Istio": "Deployment istio-system/istiod 1.27.1; networking.istio.io v1, v1beta1, v1alpha3",
        "Prometheus": "service monitoring/prometheus-server:80",
        "Flagger's kinds": "flagger.app v1beta1",
        "Flagger's account": "Deployment flagger-system/flagger 1.44.0",
        "Flagger": "Deployment flagger-system/flagger 1.44.0",
    }
    assert [row["needed"] for row in found.missing] == ["namespace shop"]
    assert found.missing[0]["next step"] == "kubectl label namespace shop istio-injection=enabled"
    assert found.objects == [
        "Telemetry shop/canary-tutorial-request-host",
        "Deployment shop/podinfo",
        "Service shop/podinfo",
        "Deployment shop/flagger-loadtester",
        "Service shop/flagger-loadtester",
        "Canary shop/podinfo",
    ]
    with pytest.raises(NotReady, match="its pods get no sidecar"):
        prepare(cluster)
    assert cluster.metrics.where == "monitoring/prometheus-server:80"


@pytest.mark.usefixtures("untouched")
def test_an_account_of_one_namespace_is_told_what_it_may_not_and_reads_nothing_that_it_may_not(
    as_user: As, server: Served, monkeypatch: pytest.MonkeyPatch
):
    cluster = as_user("mine/dev", namespace="mine")
    refused: list[str] = []
    request = cluster.api.request

    def watched(method: str, path: str, *args: Any, **options: Any) -> Any:
        try:
            return request(method, path, *args, **options)
        except TutorialError as error:
            if getattr(error, "status", 0) == 403:
                refused.append(f"{method} {path}")
            raise

    monkeypatch.setattr(cluster.api, "request", watched)
    found = cluster.preflight()
    assert states(found) == {
        f"Kubernetes {cluster.version}": THERE,
        "namespace mine": THERE,
        "your rights": THERE,
        "mesh: Istio": UNKNOWN,
        "Prometheus": MISSING,
        "label request_host": CREATE,
        "Flagger's kinds": THERE,
        "Flagger's account": UNKNOWN,
        "Flagger": UNKNOWN,
        "test-podinfo.yaml": CREATE,
        "test-loadtester.yaml": CREATE,
        "canary-podinfo.yaml": CREATE,
    }
    assert all(" mine/" in name for name in found.objects)
    assert list(cluster.clean_up()) == []
    monkeypatch.setenv("CANARY_TUTORIAL_PROMETHEUS", "monitoring/prometheus-server:80")
    (row,) = cluster.preflight().missing
    assert row["what"] == "your account cannot get services/proxy in monitoring"
    with pytest.raises(NotReady, match=r"\n→ Your account may not do this .*Ask its owner for the rights") as caught:
        cluster.preflight().require()
    assert caught.value.status == 403
    assert refused == []


@pytest.mark.parametrize(
    ("image", "labels", "args", "said"),
    [
        pytest.param(
            "registry.example:5000/mirror/flagger@sha256:" + "0" * 64, {"team": "x"}, (), "", id="by its image"
        ),
        pytest.param("registry.example/fluxcd-flagger:1.44", {"app": "flagger"}, (), "", id="by app"),
        pytest.param("registry.example/f:1", {"app.kubernetes.io/name": "flagger"}, (), "", id="by Helm's label"),
        pytest.param(
            "x/flagger:1", {"a": "b"}, ("-namespace=prod",), "namespace prod only", id="for another namespace"
        ),
        pytest.param(
            "x/flagger:1", {"a": "b"}, ("--mesh-provider", "linkerd"), "is set up for linkerd", id="another mesh"
        ),
    ],
)
def test_no_second_flagger_comes_beside_one_that_runs(
    image: str, labels: dict[str, str], args: tuple[str, ...], said: str, server: Served, as_user: As
):
    foreign.fill(server, [*foreign.istio(), *foreign.prometheus(), foreign.namespace("somewhere")])
    foreign.fill(server, [foreign.deployment("progressive", "somewhere", image, labels, args)])
    cluster = as_user(namespace="mine")
    found = {row["needed"]: row for row in cluster.preflight()}
    assert found["Flagger"]["state"] == (MISSING if said else THERE)
    assert "somewhere/progressive" in found["Flagger"]["what"]
    assert said in found["Flagger"]["what"]
    assert installed.the_flagger(cluster)["metadata"]["name"] == "progressive"


def test_a_load_tester_and_an_application_called_flagger_are_not_taken_for_it(server: Served, as_user: As):
    foreign.fill(server, [foreign.namespace("a"), foreign.namespace("b"), *foreign.flagger()])
    foreign.fill(
        server, [foreign.deployment("flagger-loadtester", "a", "x/flagger-loadtester:0.38.0", {"app": "loadtester"})]
    )
    foreign.fill(server, [foreign.deployment("flagger", "b", "example.com/shop:1", {"app": "flagger"})])
    found = installed.flagger(as_user())
    assert [d["metadata"]["namespace"] for d in found.objects] == ["flagger-system"]


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://prometheus:9090", "home/prometheus:9090"),
        ("http://prom.monitoring.svc.cluster.local", "monitoring/prom:80"),
        ("https://prom.monitoring.svc/", "monitoring/prom:443"),
        ("https://prometheus.example.com/api", ""),
        ("http://localhost:9090", ""),
        ("http://[::1", ""),
        ("", ""),
    ],
)
def test_the_prometheus_that_flagger_asks_is_read_from_its_url(url: str, where: str):
    assert installed.service_of_url(url, "home") == where


# -- fields that somebody set since, and cleaning up


@pytest.fixture
def controllers(server: Served) -> None:
    """Those of the lab, so that a deleted namespace goes and what belonged to a deleted object is collected."""
    addresses = [f"127.1.0.{number}" for number in range(1, 20)]
    server.call(lambda: Manager(server.store, Recorder(server.store), admit, "", lambda: iter(addresses)))


def edit(server: Served, path: str, body: str, manager: str) -> None:
    answer = server.http(
        "PATCH", f"{path}?fieldManager={manager}", body.encode(), Content_Type="application/merge-patch+json"
    )
    assert answer.status_code == 200, answer.text


def test_a_field_that_somebody_set_since_is_not_taken_back(server: Served, as_user: As):
    cluster = as_user()
    cluster.apply("test-loadtester.yaml")
    path = "/api/v1/namespaces/test/services/flagger-loadtester"
    edit(server, path, '{"spec": {"selector": {"app": "another"}}}', "kubectl-edit")
    with pytest.raises(
        NotOurs, match=r"Service test/flagger-loadtester was not applied: kubectl-edit set .*selector"
    ) as caught:
        cluster.apply("test-loadtester.yaml")
    assert "--force-conflicts" in caught.value.next_step
    assert cluster.get("services", "flagger-loadtester")["spec"]["selector"] == {"app": "another"}


def test_what_flagger_takes_over_stays_flaggers_and_what_the_lessons_patch_comes_back(server: Served, as_user: As):
    cluster = as_user()
    cluster.apply("test-podinfo.yaml")
    edit(
        server,
        "/api/v1/namespaces/test/services/podinfo",
        '{"spec": {"selector": {"app": "podinfo-primary"}}}',
        "flagger",
    )
    cluster.set_image("deployment/podinfo", podinfod="stefanprodan/podinfo:2.1.0")
    results = [row["result"] for row in cluster.apply("test-podinfo.yaml")]
    assert results[1] == "configured"
    assert re.fullmatch(r"left to Flagger: \.spec\.selector.*", results[2])
    assert cluster.canary().image() == "stefanprodan/podinfo:2.0.0" if cluster.serves("canaries.flagger.app") else True
    assert cluster.get("services", "podinfo")["spec"]["selector"] == {"app": "podinfo-primary"}


@pytest.mark.usefixtures("controllers")
def test_clean_up_keeps_a_namespace_and_kinds_that_hold_what_others_made(server: Served, as_user: As):
    cluster = as_user(namespace="lessons")
    foreign.fill(server, [foreign.namespace("shop")])
    for name in ("flagger-crd.yaml", "telemetry.yaml"):
        for obj in cluster.objects(name):
            if obj["kind"] != "Telemetry":
                cluster.apply_object(obj)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes", "namespace": "lessons"}}
    labels = {"app.kubernetes.io/part-of": "canary-tutorial"}
    copied = {**theirs, "metadata": {"name": "copy", "namespace": "lessons", "labels": labels}}
    canary = foreign.read("canary-podinfo.yaml")[0]
    canary["metadata"]["namespace"] = "shop"
    foreign.fill(server, [theirs, copied, canary])
    results = {row["object"]: row["result"] for row in cluster.clean_up()}
    assert (
        results["CustomResourceDefinition canaries.flagger.app"]
        == "kept: in use by Canary shop/podinfo (field manager helm)"
    )
    assert results["CustomResourceDefinition alertproviders.flagger.app"].startswith(
        "kept: in use by Canary shop/podinfo"
    )
    assert results["Namespace lessons"].startswith("kept: holds ConfigMap lessons/copy")
    assert "ConfigMap lessons/notes" in results["Namespace lessons"]
    assert cluster.get_or_none("canaries", "podinfo", "shop") is not None
    assert cluster.get_or_none("configmaps", "copy") is not None


@pytest.mark.usefixtures("controllers")
def test_clean_up_leaves_what_the_lessons_made_in_another_namespace(server: Served, as_user: As):
    as_user(namespace="yours").apply("test-loadtester.yaml")
    mine = as_user(namespace="mine")
    mine.apply("test-loadtester.yaml")
    results = {row["object"]: row["result"] for row in mine.clean_up()}
    assert results == {
        "Deployment mine/flagger-loadtester": "deleted",
        "Service mine/flagger-loadtester": "deleted",
        "Namespace mine": "deleted",
        "Namespace yours": 'kept: connect(..., namespace="yours").clean_up() takes it away',
    }
    assert mine.get_or_none("deployments", "flagger-loadtester", "yours") is not None


def test_a_kind_whose_server_is_down_hinders_nothing(server: Served, as_user: As, monkeypatch: pytest.MonkeyPatch):
    from canary_tutorial.errors import Refused

    cluster = as_user()
    request = cluster.api.request

    def broken(method: str, path: str, *args: Any, **options: Any) -> Any:
        if path == "/apis/autoscaling/v2":
            raise Refused("the server is currently unable to handle the request", status=503)
        return request(method, path, *args, **options)

    monkeypatch.setattr(cluster.api, "request", broken)
    assert cluster.list("namespaces")
    assert {row["object"] for row in cluster.apply("test-loadtester.yaml")} >= {"Service test/flagger-loadtester"}
