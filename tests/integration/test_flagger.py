"""The controller as a process, on an API server without kubelet: what a person sees of it with kubectl."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary_tutorial.lab import kinds

MANIFESTS = Path(__file__).parents[2] / "manifests"
Obj = dict[str, Any]


class Prometheus(BaseHTTPRequestHandler):
    """Answers every query with 1, and the success rate with 100."""

    def do_GET(self) -> None:
        value = "1" if "vector" in self.path else "100"
        result = [{"metric": {}, "value": [0, value]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Cluster:
    """The API server, and a Deployment controller of three lines."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.crds = [obj for obj in yaml.safe_load_all((MANIFESTS / "flagger-crd.yaml").read_text()) if obj]
        self.crds += [
            obj
            for obj in yaml.safe_load_all((MANIFESTS / "mesh.yaml").read_text())
            if obj and obj["kind"] == "CustomResourceDefinition"
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._make_ready)

    def start(self) -> None:
        for crd in self.crds:
            self.apply(crd)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _make_ready(self) -> None:
        while not self._stop.wait(0.05):
            self.server.call(self._settle)

    def _settle(self) -> None:
        store = self.server.store
        for obj in store.list(kinds.DEPLOYMENTS):
            meta, replicas = obj["metadata"], obj["spec"].get("replicas", 1)
            ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
            status = {"observedGeneration": meta["generation"], **ready}
            if obj.get("status") != status:
                store.change(
                    kinds.DEPLOYMENTS, meta["name"], meta["namespace"], lambda o, s=status: o.update(status=s), "status"
                )

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(
            ["kubectl", *words], input=stdin, env=self.server.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def apply(self, obj: Obj) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(obj))

    def canary(self) -> Obj:
        found: Obj = json.loads(self.kubectl("get", "canary", "podinfo", "-n", "test", "-o", "json"))
        return found

    def phase(self) -> str:
        return str((self.canary().get("status") or {}).get("phase", ""))


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


@pytest.fixture
def cluster(server: Any) -> Iterator[Cluster]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    made = Cluster(server)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def flagger(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """The controller's process; what it logs is in the file."""
    prometheus = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=prometheus.serve_forever, args=(0.05,), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "flagger.log"
    words = [
        *(
            "-log-level=info",
            "-control-loop-interval=500ms",
            f"-port={port}",
            "-kubeconfig",
            str(cluster.server.kubeconfig),
        ),
        f"-metrics-server=http://127.0.0.1:{prometheus.server_address[1]}",
    ]
    environment = {
        **os.environ,
        "FLAGGER_MIN_ANALYSIS_INTERVAL": "500ms",
        "FLAGGER_RECORD": str(tmp_path / "run.jsonl"),
    }
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "canary_tutorial.flagger", *words], stderr=errors, env=environment
        )
    (tmp_path / "port").write_text(str(port))
    (tmp_path / "pid").write_text(str(process.pid))
    yield log
    process.terminate()
    assert process.wait(10) == 0
    prometheus.shutdown()
    prometheus.server_close()


def objects() -> list[Obj]:
    labels = {"app": "podinfo"}
    container = {"name": "podinfod", "image": "podinfo:1", "ports": [{"containerPort": 9898}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    meta = {"name": "podinfo", "namespace": "test"}
    metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"}]
    analysis = {
        "interval": "1s",
        "threshold": 2,
        "stepWeight": 50,
        "maxWeight": 100,
        "metrics": metrics,
        "mirror": True,
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": meta,
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": analysis,
            },
        },
    ]


def test_kubectl_sees_a_release_from_its_beginning_to_its_end(cluster: Cluster, flagger: Path, tmp_path: Path):
    for obj in objects():
        cluster.apply(obj)
    cluster.kubectl("wait", "canary/podinfo", "-n", "test", "--for=condition=promoted", "--timeout=20s")
    assert cluster.phase() == "Initialized"
    cluster.kubectl("set", "image", "deployment/podinfo", "-n", "test", "podinfod=podinfo:2")
    until(lambda: cluster.phase() == "Progressing")
    cluster.kubectl("wait", "canary/podinfo", "-n", "test", "--for=condition=promoted", "--timeout=30s")
    status = cluster.canary()["status"]
    assert (status["phase"], status["canaryWeight"], status["failedChecks"], status["iterations"]) == (
        "Succeeded",
        0,
        0,
        0,
    )
    (condition,) = status["conditions"]
    assert condition["message"] == "Canary analysis completed successfully, promotion finished."

    wide = cluster.kubectl("get", "canary", "-n", "test", "-o", "wide").splitlines()
    columns = ["NAME", "STATUS", "WEIGHT", "SUSPENDED", "FAILEDCHECKS", "INTERVAL", "MIRROR", "STEPWEIGHT"]
    assert wide[0].split() == [*columns, "STEPWEIGHTS", "MAXWEIGHT", "LASTTRANSITIONTIME"]
    assert wide[1].split()[:3] == ["podinfo", "Succeeded", "0"]
    described = cluster.kubectl("describe", "canary", "podinfo", "-n", "test")
    for text in (
        "Initialization done! podinfo.test",
        "Advance podinfo.test canary weight 50",
        "Synced",
        "Type:                  Promoted",
    ):
        assert text in described

    shown = ("-n", "test", "-o", "json", "--show-managed-fields")
    primary = json.loads(cluster.kubectl("get", "deployment", "podinfo-primary", *shown))
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "podinfo:2"
    owner = primary["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["controller"]) == ("Canary", True)
    assert "flagger" in {entry["manager"] for entry in primary["metadata"]["managedFields"]}
    routes = json.loads(cluster.kubectl("get", "virtualservice", "podinfo", "-n", "test", "-o", "json"))
    assert [each["weight"] for each in routes["spec"]["http"][0]["route"]] == [100, 0]

    port = (tmp_path / "port").read_text()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        figures = page.read().decode()
    for line in (
        'flagger_info{mesh_provider="istio",version="1.44.0"} 1.0',
        'flagger_canary_total{namespace="test"} 1.0',
        'flagger_canary_status{name="podinfo",namespace="test"} 1.0',
        'flagger_canary_weight{namespace="test",workload="podinfo-primary"} 100.0',
        'flagger_canary_metric_analysis{metric="request-success-rate",name="podinfo",namespace="test"} 100.0',
        'flagger_canary_successes_total{analysis_status="completed",deployment_strategy="canary",name="podinfo",'
        'namespace="test"} 1.0',
    ):
        assert line in figures, line
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as page:
        assert page.read() == b"OK"

    said = [json.loads(line) for line in flagger.read_text().splitlines()]
    messages = [line["msg"] for line in said]
    assert messages[0].startswith("Starting flagger version 1.44.0")
    assert "Connected to Kubernetes API v1.32.4" in messages
    assert {"level", "ts", "caller", "msg"} <= said[0].keys()
    replay = [sys.executable, "-m", "canary_tutorial.flagger.replay", str(tmp_path / "run.jsonl")]
    shown = subprocess.run(replay, capture_output=True, text=True, check=True).stdout
    assert "Promotion completed! Scaling down podinfo.test" in shown


MALFORMED: dict[str, Obj] = {
    "no-spec": {},
    "spec-null": {"spec": None},
    "spec-empty": {"spec": {}},
    "reverting": {"spec": {"revertOnDeletion": True}},
    "analysis-null": {"spec": {"targetRef": None, "analysis": None}},
    "no-lists": {"spec": {"analysis": {"metrics": None, "webhooks": None, "alerts": None, "match": None}}},
    "fractions": {"spec": {"analysis": {"threshold": 1.5, "stepWeight": 0.5}, "service": {"port": 98.98}}},
    "huge": {"spec": {"progressDeadlineSeconds": 1e300, "analysis": {"stepWeight": 1e300}, "service": {"port": 1e300}}},
    "odd-interval": {"spec": {"analysis": {"interval": "1s" + "1" * 20_000}}},
    "another-path": {"spec": {"targetRef": {"name": "../../test/deployments/podinfo"}}},
}


def malformed(name: str, odd: Obj) -> Obj:
    """A Canary that is in order but for this."""
    _, canary = objects()
    canary["metadata"] = {"name": name, "namespace": "test"}
    canary["spec"]["targetRef"]["name"] = name
    for field, value in (odd.get("spec") or {}).items():
        mended = canary["spec"].get(field) if isinstance(value, dict) else None
        canary["spec"][field] = {**mended, **value} if mended else value
    if not odd.get("spec"):
        del canary["spec"]
        canary |= odd
    return canary


def test_canaries_that_cannot_be_read_stop_nobody_elses_release(cluster: Cluster, flagger: Path):
    path = "/apis/flagger.app/v1beta1/namespaces/test/canaries"
    as_json, as_patch = {"Content_Type": "application/json"}, {"Content_Type": "application/merge-patch+json"}
    taken = []
    for name, odd in MALFORMED.items():
        answer = cluster.server.http("POST", path, json.dumps(malformed(name, odd)).encode(), **as_json)
        taken += [name] if answer.status_code == 201 else []
    assert {"no-spec", "fractions", "huge", "another-path"} <= set(taken)
    deployment, canary = objects()
    canary["spec"]["analysis"]["interval"] = "500ms"
    for obj in (deployment, canary):
        cluster.apply(obj)
    until(lambda: cluster.phase() == "Initialized")
    for name in taken:  # an edit makes Flagger look again
        edit = json.dumps({"metadata": {"annotations": {"looked": "again"}}}).encode()
        assert cluster.server.http("PATCH", f"{path}/{name}", edit, **as_patch).status_code == 200
    cluster.kubectl("set", "image", "deployment/podinfo", "-n", "test", "podinfod=podinfo:2")
    until(lambda: cluster.phase() == "Progressing")
    for name in taken[::2]:
        cluster.server.http("DELETE", f"{path}/{name}")
    until(lambda: cluster.phase() == "Succeeded")
    log = flagger.read_text()
    assert log.count("Starting operator") == 1
    assert "Traceback" not in log
    assert "Canary no-spec.test has no spec.analysis" in log
    assert "exception was never retrieved" not in log


def test_deleting_with_revert_gives_the_target_its_pods_back(cluster: Cluster, flagger: Path):
    deployment, canary = objects()
    canary["spec"]["revertOnDeletion"] = True
    cluster.apply(deployment)
    cluster.apply(canary)
    until(lambda: cluster.phase() == "Initialized")
    assert cluster.canary()["metadata"]["finalizers"] == ["finalizer.flagger.app"]
    cluster.kubectl("delete", "canary", "podinfo", "-n", "test", "--timeout=20s")
    replicas = cluster.kubectl("get", "deployment", "podinfo", "-n", "test", "-o", "jsonpath={.spec.replicas}")
    assert replicas == "1"


def test_a_canary_of_two_strategies_is_refused_by_its_schema(cluster: Cluster):
    _, canary = objects()
    canary["spec"]["analysis"]["iterations"] = 3
    words = ["kubectl", "apply", "-f", "-"]
    done = subprocess.run(
        words, input=yaml.safe_dump(canary), env=cluster.server.environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "spec.analysis" in done.stderr


def test_without_its_kinds_it_says_so_and_ends(server: Any):
    words = [sys.executable, "-m", "canary_tutorial.flagger", "-kubeconfig", str(server.kubeconfig), "-port=0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Canary CRD is not registered" in done.stderr


def test_of_two_replicas_one_acts(cluster: Cluster, tmp_path: Path):
    def holder() -> str:
        words = ("get", "lease", "flagger-leader-election", "-n", "test", "-o", "jsonpath={.spec.holderIdentity}")
        return cluster.kubectl(*words)

    words = [sys.executable, "-m", "canary_tutorial.flagger", "-kubeconfig", str(cluster.server.kubeconfig), "-port=0"]
    words += ["-enable-leader-election", "-control-loop-interval=300ms", "-log-level=info"]
    words += ["-leader-election-namespace=test", "-metrics-server=http://127.0.0.1:1"]
    logs = [tmp_path / name for name in ("one", "two")]
    processes = []
    try:
        for log in logs:
            with log.open("w") as errors:
                processes.append(subprocess.Popen(words, stderr=errors))
            until(lambda log=log: "Started operator workers" in log.read_text())
        for obj in objects():
            cluster.apply(obj)
        until(lambda: cluster.phase() == "Initialized", 40)
        assert ["Synced test/podinfo" in log.read_text() for log in logs] == [True, False], "the one that came first"
        first = holder()
        assert first.startswith(f"{socket.gethostname()}_")
        processes[0].terminate()
        until(lambda: holder() not in ("", first))
        until(lambda: "Synced test/podinfo" in logs[1].read_text())
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
