"""The mesh in a whole lab: pods come and go, programs are killed, and Prometheus tells what happened."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mesh_objects as make
import psutil
import pytest
from lightkube import Client, KubeConfig, codecs
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Pod, Service
from mesh_bench import request, statuses, wait_until

from canary_tutorial.lab.machine import images, network

MANIFESTS = Path(__file__).parents[2] / "manifests"
VirtualService = create_namespaced_resource("networking.istio.io", "v1beta1", "VirtualService", "virtualservices")
QUERY = (
    "sum by(destination_workload, request_host) (rate(istio_requests_total{"
    'reporter="destination", destination_workload_namespace="test", response_code!~"5.*"}[4s]))'
)


class Lab:
    def __init__(self, home: Path) -> None:
        self.environment = os.environ | {"CANARY_TUTORIAL_HOME": str(home)}
        self.directory = home / "mesh"
        self._command("up")
        self.client = Client(config=KubeConfig.from_file(self.directory / "kubeconfig"), field_manager="test")

    def _command(self, verb: str) -> None:
        command = [sys.executable, "-m", "canary_tutorial.lab", verb, "--name", "mesh"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        self.client.close()
        self._command("down")

    def apply(self, *files: str) -> None:
        for file in files:
            for obj in codecs.load_all_yaml((MANIFESTS / file).read_text(), create_resources_for_crds=True):
                self.client.apply(obj, force=True)

    def pod(self, app: str, namespace: str = "test") -> Pod:
        found = self.client.list(Pod, namespace=namespace, labels={"app": app})
        return next(pod for pod in found if pod.metadata and not pod.metadata.deletionTimestamp)

    def available(self, name: str, namespace: str = "test") -> bool:
        deployment = self.client.get(Deployment, name, namespace=namespace)
        status, wanted = deployment.status, deployment.spec.replicas  # type: ignore[union-attr]
        return bool(
            status
            and status.observedGeneration == deployment.metadata.generation  # type: ignore[union-attr]
            and (status.updatedReplicas, status.availableReplicas, status.replicas) == (wanted, wanted, wanted)
        )

    def rule(self, primary: int, canary: int, **rule: Any) -> None:
        vs = make.virtualservice(make.weighted(primary, canary, **rule))
        meta = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService"}
        self.client.apply(VirtualService({**meta, **vs}), force=True)

    @property
    def proxy(self) -> str:
        """Where the programs of the loadtester's pod find their proxy."""
        return network.app_address(self.pod("flagger-loadtester").status.podIP)  # type: ignore[union-attr,arg-type]

    def load(self, seconds: int) -> subprocess.Popen[str]:
        """200 requests a second to podinfo, through the mesh."""
        program = images.find_program("hey")
        assert program, "hey is not installed: make setup"
        proxy = f"http://{self.proxy}:{network.OUTBOUND_PORT}"
        command = [program, "-x", proxy, "-z", f"{seconds}s", "-q", "50", "-c", "4", "http://podinfo.test:9898/"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def ask(self) -> int:
        return request(self.proxy, network.OUTBOUND_PORT, "GET", "http://podinfo.test:9898/").status

    def query(self, promql: str) -> list[dict[str, Any]]:
        """By Prometheus' own API on its pod."""
        address = self.pod("prometheus", "istio-system").status.podIP  # type: ignore[union-attr]
        answer = request(str(address), 9090, "GET", f"/api/v1/query?query={promql.replace(' ', '%20')}")
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"]
        return found

    def rates(self) -> dict[tuple[str, str], float]:
        """The webinar's query: (workload, host) -> requests a second, without what has ended."""
        series = {
            (each["metric"]["destination_workload"], each["metric"]["request_host"]): float(each["value"][1])
            for each in self.query(QUERY)
        }
        return {key: value for key, value in series.items() if value}

    def process(self, part: str) -> psutil.Process:
        main = json.loads((self.directory / "lab.json").read_text())["main"]
        return next(p for p in psutil.Process(main).children(recursive=True) if part in " ".join(p.cmdline()))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("labs"))
    try:
        made.apply("mesh.yaml", "prometheus.yaml", "test-podinfo.yaml", "test-loadtester.yaml")
        for name, namespace in (("istiod", "istio-system"), ("prometheus", "istio-system"), ("podinfo", "test")):
            wait_until(lambda name=name, namespace=namespace: made.available(name, namespace), 60)  # type: ignore[misc]
        wait_until(lambda: made.available("flagger-loadtester"), 30)
        wait_until(lambda: made.ask() == 200)
        yield made
    finally:
        made.down()


def image(deployment: str, tag: str) -> dict[str, Any]:
    containers = [{"name": "podinfod", "image": f"stefanprodan/podinfo:{tag}"}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def test_a_rolling_update_and_scaling_lose_no_request(lab: Lab) -> None:
    load = lab.load(30)
    lab.client.patch(Deployment, "podinfo", image("podinfo", "2.1.3"), namespace="test")
    wait_until(lambda: lab.available("podinfo"), 40)
    for replicas in (3, 1):
        lab.client.patch(Deployment, "podinfo", {"spec": {"replicas": replicas}}, namespace="test")
        wait_until(lambda: lab.available("podinfo"), 40)
    found = statuses(load.communicate()[0])
    assert found.keys() == {200}
    assert found[200] > 5000


def test_requests_flow_again_soon_after_envoy_is_killed(lab: Lab) -> None:
    killed = lab.process("envoy -c bootstrap.json")
    killed.send_signal(signal.SIGKILL)
    killed.wait(5)
    wait_until(lambda: lab.ask() == 200)
    assert lab.process("envoy -c bootstrap.json").pid != killed.pid


def test_a_killed_program_is_started_again_and_answers(lab: Lab) -> None:
    killed = lab.process("lab.podinfo")
    killed.send_signal(signal.SIGKILL)
    killed.wait(5)
    wait_until(lambda: lab.ask() == 200, 30)


def test_nothing_of_a_lab_with_a_mesh_listens_beyond_loopback(lab: Lab) -> None:
    guard = psutil.Process(json.loads((lab.directory / "lab.json").read_text())["guard"])
    listening = {
        process.name(): connection.laddr.ip
        for process in guard.children(recursive=True)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN and not connection.laddr.ip.startswith("127.")
    }
    assert listening == {}
    assert {"envoy", "prometheus"} <= {process.name() for process in guard.children(recursive=True)}


def test_a_new_control_plane_takes_over(lab: Lab) -> None:
    old = lab.pod("istiod", "istio-system").metadata
    lab.client.delete(Pod, old.name, namespace="istio-system")  # type: ignore[union-attr,arg-type]
    wait_until(lambda: lab.pod("istiod", "istio-system").metadata.name != old.name)  # type: ignore[union-attr]
    wait_until(lambda: lab.available("istiod", "istio-system"), 30)
    wait_until(lambda: lab.ask() == 200, 30)


def steady(lab: Lab, expected: dict[tuple[str, str], float]) -> None:
    """The rates come within 10 % of what is expected, and there is nothing else."""

    def near() -> bool:
        found = lab.rates()
        return found.keys() == expected.keys() and all(abs(found[k] / v - 1) <= 0.1 for k, v in expected.items())

    wait_until(near, 20)


def test_the_webinars_three_series_have_its_labels_and_levels(lab: Lab) -> None:
    """20 requests a second by the loadtester, windows of 4 s: mirrored, shifted, primary."""
    podinfo = lab.client.get(Deployment, "podinfo", namespace="test").to_dict()
    primary = {
        "metadata": {"name": "podinfo-primary", "namespace": "test"},
        "spec": {**podinfo["spec"], "replicas": 1, "selector": {"matchLabels": {"app": "podinfo-primary"}}},
    }
    primary["spec"]["template"] = {
        "metadata": {"labels": {"app": "podinfo-primary"}},
        "spec": podinfo["spec"]["template"]["spec"],
    }
    lab.client.apply(Deployment.from_dict(primary), force=True)
    for name, app in (("podinfo-primary", "podinfo-primary"), ("podinfo-canary", "podinfo")):
        spec = {"selector": {"app": app}, "ports": [{"name": "http", "port": 9898, "targetPort": "http"}]}
        service = {"metadata": {"name": name, "namespace": "test"}, "spec": spec}
        lab.client.apply(Service.from_dict(service), force=True)
    wait_until(lambda: lab.available("podinfo-primary"), 40)

    to_primary, shifted = ("podinfo-primary", "podinfo.test:9898"), ("podinfo", "podinfo.test:9898")
    mirrored = ("podinfo", "podinfo.test-shadow:9898")
    lab.rule(100, 0, mirror={"host": "podinfo-canary"})
    steady(lab, {to_primary: 20, mirrored: 20})
    for weight in (20, 40, 60):
        lab.rule(100 - weight, weight)
        steady(lab, {to_primary: 20 * (1 - weight / 100), shifted: 20 * weight / 100})
    lab.rule(100, 0)
    steady(lab, {to_primary: 20})


def test_a_change_of_weights_arrives_in_well_under_a_second(lab: Lab) -> None:
    """From the write to the API to the first request that goes the other way."""
    proxy = lab.proxy
    took = []
    for canary in (100, 0, 100, 0, 100):
        began = time.monotonic()
        lab.rule(100 - canary, canary)
        wanted = "podinfo-primary" if canary == 0 else "podinfo"
        wait_until(lambda wanted=wanted: workload_that_answers(proxy) == wanted)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 1


def workload_that_answers(proxy: str) -> str:
    answer = request(proxy, network.OUTBOUND_PORT, "GET", "http://podinfo.test:9898/")
    return str(answer.json["hostname"]).rsplit("-", 2)[0]


def test_prometheus_has_istios_labels_and_says_that_connections_are_encrypted(lab: Lab) -> None:
    (found,) = lab.query(
        "sum by(source_workload, destination_workload, destination_service_name, connection_security_policy) "
        '(rate(istio_requests_total{reporter="destination", destination_workload="podinfo-primary"}[4s]))>0'
    )
    assert found["metric"] == {
        "source_workload": "flagger-loadtester",
        "destination_workload": "podinfo-primary",
        "destination_service_name": "podinfo-primary",
        "connection_security_policy": "mutual_tls",
    }


def test_flaggers_question_about_the_duration_has_an_answer(lab: Lab) -> None:
    (found,) = lab.query(
        'histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination", '
        'destination_workload_namespace="test", destination_workload=~"podinfo-primary"}[4s])) by (le))'
    )
    assert 0 < float(found["value"][1]) < 500
