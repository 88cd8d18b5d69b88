"""The lab under fire: Flagger, mesh and Prometheus in it, three accounts, and the victim who should feel nothing.

The victim is podinfo with a Canary and a VirtualService in a namespace of its own; the vault holds a Secret that only
the administrator may read; `steady` is a pod that stays, to connect to.
"""

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

from canary_tutorial import manifests
from canary_tutorial.api import of_kubeconfig
from canary_tutorial.cluster import Cluster
from canary_tutorial.lab.network import OUTBOUND_PORT, app_address
from canary_tutorial.lessons import quick

SECRET = "only-the-vault-knows-this"
PARTS = ("deployment/istiod", "deployment/prometheus", "deployment/flagger")
POD = "containers: [{name: app, image: 'stefanprodan/podinfo:2.0.0', ports: [{containerPort: 9898, name: http}]}]"
CANARY = """
{apiVersion: flagger.app/v1beta1, kind: Canary, metadata: {name: NAME, namespace: victim},
 spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}, skipAnalysis: true, service: {port: 9898},
        analysis: {interval: 1s, threshold: 2, stepWeight: 50}}}
"""
DEPLOYMENT = """
{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: victim},
 spec: {replicas: 1, selector: {matchLabels: {app: NAME}}, template: {metadata: {labels: {app: NAME}}, spec: {POD}}}}
""".replace("POD", POD)
WORLD = (
    "{apiVersion: v1, kind: Namespace, metadata: {name: victim, labels: {istio-injection: enabled}}}",
    *(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}" for name in ("den", "fair", "gate", "vault")),
    f"{{apiVersion: v1, kind: Secret, metadata: {{name: gold, namespace: vault}}, stringData: {{key: {SECRET}}}}}",
    f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: gold, namespace: vault}}, data: {{key: {SECRET}}}}}",
    "{apiVersion: v1, kind: ServiceAccount, metadata: {name: limited, namespace: gate}}",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: all, namespace: den},"
    " rules: [{apiGroups: [''], resources: [pods, pods/log, pods/status, services, configmaps, secrets, serviceaccounts, endpoints], verbs: ['*']},"
    " {apiGroups: [apps, autoscaling, coordination.k8s.io, rbac.authorization.k8s.io, flagger.app, networking.istio.io,"
    " telemetry.istio.io, g0.fuzz.example, g1.fuzz.example, g2.fuzz.example], resources: ['*'], verbs: ['*']}]}",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: limited, namespace: den},"
    " roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: all},"
    " subjects: [{kind: ServiceAccount, name: limited, namespace: gate}]}",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: makes-roles}, rules: ["
    "{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles, clusterrolebindings],"
    " verbs: [get, list, create, update, patch, delete]}]}",
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: makes-roles},"
    " roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: makes-roles},"
    " subjects: [{kind: ServiceAccount, name: limited, namespace: gate}]}",
    "{apiVersion: v1, kind: Pod, metadata: {name: steady, namespace: fair, labels: {keep: 'yes'}}, spec: {POD}}".replace("POD", POD),
    DEPLOYMENT.replace("NAME", "podinfo"), CANARY.replace("NAME", "podinfo"),
    DEPLOYMENT.replace("NAME", "plain"),
    "{apiVersion: v1, kind: Service, metadata: {name: plain, namespace: victim},"
    " spec: {selector: {app: plain}, ports: [{port: 9898, name: http}]}}",
)  # fmt: skip


def sent_to_plain(turn: int) -> dict[str, Any]:
    """A VirtualService whose answers carry a header, so that one sees which version of it is at work."""
    rule = {"route": [{"destination": {"host": "plain"}, "headers": {"response": {"set": {"x-turn": str(turn)}}}}]}
    meta = {"name": "plain", "namespace": "victim"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta,
        "spec": {"hosts": ["plain"], "http": [rule]}}


@dataclass
class Lab:
    directory: Path
    told: dict[str, Any]
    cluster: Cluster
    tokens: dict[str, str]

    @property
    def main(self) -> psutil.Process:
        return psutil.Process(self.told["main"])

    @cached_property
    def mesh(self) -> str:
        """Where Envoy takes the requests of a pod of the victim's namespace."""
        (pod,) = self.cluster.list("pods", "victim", "app=plain")
        return f"http://{app_address(pod['status']['podIP'])}:{OUTBOUND_PORT}"

    def apply(self, text: str) -> None:
        self.cluster.apply_object(yaml.safe_load(text))

    def phase(self, canary: str) -> str:
        return str(self.cluster.get("canaries", canary, "victim").get("status", {}).get("phase"))

    def logs(self) -> dict[str, str]:
        """What Flagger and mesh said."""
        pods = [(p["metadata"]["name"], p["metadata"]["namespace"]) for p in self.cluster.list("pods", "istio-system")]
        said = {name: self.cluster.api.request("GET", f"/api/v1/namespaces/{space}/pods/{name}/log",
            parse=False) for name, space in pods if name.startswith(("flagger", "istiod"))}
        return said


def until(true: Callable[[], Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@contextmanager
def lab(home: Path) -> Iterator[Lab]:
    """A lab in `home`, with everything in place; when it is down, no process of it may be left."""
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}
    subprocess.run([*command, "up"], env=environment, check=True, capture_output=True)
    try:
        directory = home / "lab"
        cluster = Cluster("lab", of_kubeconfig(str(directory / "kubeconfig"), None), "", "victim")
        cluster.apply("mesh.yaml", "prometheus.yaml", "flagger-crd.yaml", "flagger-account.yaml")
        for obj in manifests.read(manifests.find("flagger-deployment.yaml")):
            cluster.apply_object(quick(obj))
        for text in WORLD:
            cluster.apply_object(yaml.safe_load(text))
        cluster.apply_object(sent_to_plain(0))
        cluster.wait_for_rollout(*PARTS, namespace="istio-system")
        cluster.wait_for_rollout("deployment/plain", namespace="victim")
        tokens = {ADMIN: yaml.safe_load((directory / "kubeconfig").read_text())["users"][0]["user"]["token"]}
        for account, namespace, name in ((LIMITED, "gate", "limited"), (NOBODY, "default", "default")):
            where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
            tokens[account] = cluster.api.request("POST", where, {"spec": {}})["status"]["token"]
        running = Lab(directory, json.loads((directory / "lab.json").read_text()), cluster, tokens)
        until(lambda: running.phase("podinfo") == "Initialized", 60, "the victim's Canary is not initialized")
        yield running
    finally:
        subprocess.run([*command, "down"], env=environment, check=False, capture_output=True)


def processes_of(home: Path) -> list[str]:
    """Every process whose command line or environment names that place, but this one."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
            if any(str(home) in word for word in words) and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def content(place: Path) -> dict[str, bytes]:
    """Every file below a directory, and every directory."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(place.rglob("*"))}
