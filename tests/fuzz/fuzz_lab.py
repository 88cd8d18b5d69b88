"""The lab under fire: Flagger, mesh and Prometheus in it, and who lives there (`world.yaml`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import yaml
from fuzz_inputs import ADMIN, LIMITED, NOBODY

from canary_tutorial.connection import Cluster
from canary_tutorial.kube import manifests
from canary_tutorial.kube.api import of_kubeconfig
from canary_tutorial.lab.machine.network import OUTBOUND_PORT, app_address
from canary_tutorial.lessons.prepare import with_short_control_loop

WORLD = (Path(__file__).parent / "world.yaml").read_text()
SECRET = "only-the-vault-knows-this"
PARTS = ("deployment/istiod", "deployment/prometheus", "deployment/flagger")


@dataclass
class Lab:
    directory: Path
    told: dict[str, Any]
    cluster: Cluster
    tokens: dict[str, str]

    @property
    def server(self) -> str:
        return str(self.told["server"])

    def headers(self, account: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[account]}"}

    @property
    def main(self) -> psutil.Process:
        return psutil.Process(self.told["main"])

    @property
    def envoys(self) -> list[int]:
        family = psutil.Process(self.told["guard"]).children(recursive=True)
        return [process.pid for process in family if "envoy" in process.name()]

    @cached_property
    def mesh(self) -> str:
        """Where Envoy takes the requests of a pod of the victim's namespace."""
        (pod,) = self.cluster.list("pods", "victim", "app=plain")
        return f"http://{app_address(pod['status']['podIP'])}:{OUTBOUND_PORT}"

    def route_plain(self, turn: int) -> None:
        """Give the answers of the Service `plain` a header, so that one sees which VirtualService is at work."""
        rule = {"route": [{"destination": {"host": "plain"}, "headers": {"response": {"set": {"x-turn": str(turn)}}}}]}
        meta, spec = {"name": "plain", "namespace": "victim"}, {"hosts": ["plain"], "http": [rule]}
        kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
        self.cluster.apply_object({**kind, "metadata": meta, "spec": spec})

    def settle(self, name: str = "podinfo") -> None:
        """Make everybody of `world.yaml`; with another name, only one more such victim."""
        for obj in yaml.safe_load_all(WORLD.replace("podinfo", name).replace(f"{name}:2", "podinfo:2")):
            if obj["metadata"]["name"] == name or name == "podinfo":
                self.cluster.apply_object(obj)

    def phase(self, canary: str) -> str:
        return str(self.cluster.get("canaries", canary, "victim").get("status", {}).get("phase"))

    def logs(self) -> dict[str, str]:
        """What Flagger and mesh said."""
        names = [each["metadata"]["name"] for each in self.cluster.list("pods", "istio-system")]
        where = "/api/v1/namespaces/istio-system/pods"
        api = self.cluster.api
        said = [name for name in names if name.startswith(("flagger", "istiod"))]
        return {name: api.request("GET", f"{where}/{name}/log", parse=False) for name in said}


def until(true: Callable[[], Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@contextmanager
def lab(home: Path) -> Iterator[Lab]:
    """A lab in `home` with everybody in place."""
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}
    subprocess.run([*command, "up"], env=environment, check=True, capture_output=True)
    try:
        directory = home / "lab"
        cluster = Cluster("lab", of_kubeconfig(str(directory / "kubeconfig"), None), "", "victim")
        cluster.apply("mesh.yaml", "prometheus.yaml", "flagger-crd.yaml", "flagger-account.yaml")
        for obj in manifests.read(manifests.find("flagger-deployment.yaml")):
            cluster.apply_object(with_short_control_loop(obj))
        admin = yaml.safe_load((directory / "kubeconfig").read_text())["users"][0]["user"]["token"]
        running = Lab(directory, json.loads((directory / "lab.json").read_text()), cluster, {ADMIN: admin})
        running.settle()
        running.route_plain(0)
        for account, namespace, name in ((LIMITED, "gate", "limited"), (NOBODY, "default", "default")):
            where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
            running.tokens[account] = cluster.api.request("POST", where, {"spec": {}})["status"]["token"]
        cluster.rollout_status(*PARTS, namespace="istio-system")
        cluster.rollout_status("deployment/plain", namespace="victim")
        until(lambda: running.phase("podinfo") == "Initialized", 180, "the victim's Canary is not initialized")
        yield running
    finally:
        subprocess.run([*command, "down"], env=environment, check=False, capture_output=True)


def processes_of(home: Path) -> list[str]:
    """Every process whose command line or environment names that place, but this one."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
        except psutil.Error:
            continue
        if alive and any(str(home) in word for word in words):
            found.append(" ".join(words[:9]))
    return found


def content(place: Path) -> dict[str, bytes]:
    """Every file below a directory, and every directory."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(place.rglob("*"))}
