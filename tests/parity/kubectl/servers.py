"""The API servers that a transcript can meet: the lab, and a real one where there is one.

Which of these a server has decides which commands it gets:

    controllers  Kubernetes' controllers: ReplicaSets, Endpoints, default ServiceAccounts, garbage collection
    nodes        pods become ready
    kubelet      commands in pods and their logs
    own          nobody else is there: the user, the node `lab` and the default objects are this suite's own
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from parity.kubectl import control_plane

NEEDS = {"controllers", "nodes", "kubelet", "own"}
KUBECONFIG = "PARITY_KUBECONFIG"
MINOR = "1.32"


class NoServer(Exception):
    """There is no real API server here, or none that the transcripts may use."""


@dataclass
class Server:
    kubeconfig: Path
    has: set[str]
    real: bool


@contextmanager
def lab(home: Path) -> Iterator[Server]:
    """A lab of its own, below `home`. One seed for its hashes: where it names one of several faults, always the same."""
    environment = os.environ | {"CANARY_TUTORIAL_HOME": str(home / "labs"), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "canary_tutorial.lab"]

    def call(verb: str) -> None:
        name = ["--name", "everyday"]
        subprocess.run([*command, verb, *name], env=environment, check=True, capture_output=True, timeout=120)

    call("up")
    try:
        yield Server(home / "labs/everyday/kubeconfig", NEEDS, real=False)
    finally:
        call("down")


@contextmanager
def real(home: Path) -> Iterator[Server]:
    """The cluster of PARITY_KUBECONFIG, else a control plane of the programs in KUBEBUILDER_ASSETS."""
    if named := os.environ.get(KUBECONFIG):
        yield Server(Path(named), what_it_has(named), real=True)
    elif os.environ.get(control_plane.ASSETS):
        with control_plane.running(home) as (kubeconfig, has):
            yield Server(kubeconfig, has, real=True)
    else:
        raise NoServer(f"no real API server: neither {KUBECONFIG} nor {control_plane.ASSETS} is set")


def ask(kubeconfig: str, *arguments: str) -> str:
    """What kubectl prints, or nothing when it fails."""
    command = ["kubectl", "--kubeconfig", kubeconfig, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


def what_it_has(kubeconfig: str) -> set[str]:
    """What a cluster has that somebody else made. It must be a Kubernetes 1.32 without namespaces of our names."""
    version = json.loads(ask(kubeconfig, "get", "--raw", "/version") or "{}")
    if version.get("platform") == "lab" or f"{version.get('major')}.{version.get('minor', '').rstrip('+')}" != MINOR:
        raise NoServer(f"{kubeconfig} is no real Kubernetes {MINOR}: {version or 'it does not answer'}")
    if taken := ask(
        kubeconfig, "get", "namespace", "shop", "codes", "probes", "depths", "--ignore-not-found", "-o", "name"
    ):
        raise NoServer(f"{kubeconfig} already has {' and '.join(taken.split())}")
    ready = '{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    nodes = [line.split()[0] for line in ask(kubeconfig, "get", "nodes", "-o", f"jsonpath={ready}").splitlines()
             if line.endswith(" True")]  # fmt: skip
    has = {"nodes"} if nodes else set()
    if ask(kubeconfig, "get", "configmap", "kube-root-ca.crt", "-n", "default", "-o", "name"):
        has.add("controllers")
    if nodes and ask(kubeconfig, "get", "--raw", f"/api/v1/nodes/{nodes[0]}/proxy/healthz") == "ok":
        has.add("kubelet")
    return has
