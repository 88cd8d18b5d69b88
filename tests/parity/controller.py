"""What is installed before a scenario: the kinds, who Flagger is, and Flagger's Deployment with a group's flags."""

from __future__ import annotations

import asyncio
from typing import Any

from canary_tutorial.kube import manifests
from parity.kube import Kube
from parity.recorder import Recorder

Obj = dict[str, Any]
NAMESPACE = "istio-system"


def manifest(name: str) -> list[Obj]:
    return manifests.read(manifests.find(name))


def deployment(name: str, port: int, metrics: str, flags: list[str]) -> Obj:
    """Flagger's own Deployment, on a port that nobody else has: the real one listens on all addresses."""
    (obj,) = (obj for obj in manifest("flagger-deployment.yaml") if obj["kind"] == "Deployment")
    labels = {"app": name}
    obj["metadata"] |= {"name": name, "labels": labels}
    obj["spec"]["selector"] = {"matchLabels": labels}
    obj["spec"]["template"]["metadata"] = {"labels": labels}
    (container,) = obj["spec"]["template"]["spec"]["containers"]
    container["args"] = [
        *("-log-level=info", "-mesh-provider=istio", "-control-loop-interval=2s"),
        *(f"-metrics-server={metrics}/prometheus", f"-port={port}", *flags),
    ]
    container["ports"] = [{"containerPort": port, "name": "http"}]
    for probe in ("readinessProbe", "livenessProbe"):
        container[probe]["httpGet"]["port"] = port
    return obj


async def install(kube: Kube, recorder: Recorder, *flaggers: Obj, mesh: bool = False) -> None:
    """The kinds and Flagger; with a mesh also Istio and Prometheus, so that requests are real."""
    crds = [obj for obj in manifest("mesh.yaml") if obj["kind"] == "CustomResourceDefinition"]
    for obj in [*manifest("flagger-crd.yaml"), *crds, *manifest("flagger-account.yaml")]:
        await kube.apply(obj)
    await established(kube)
    await recorder.start()
    others = (
        [obj for name in ("mesh.yaml", "prometheus.yaml") for obj in manifest(name) if obj not in crds] if mesh else []
    )
    for obj in [*others, *flaggers]:
        await kube.apply(obj)
    for obj in [*others, *flaggers]:
        if obj["kind"] == "Deployment":
            await ready(recorder, obj["metadata"]["name"])


async def ready(recorder: Recorder, name: str) -> None:
    def replicas() -> Any:
        found = recorder.latest.get(("Deployment", NAMESPACE, name), {})
        return (found.get("status") or {}).get("readyReplicas")

    await recorder.until(replicas, f"{name} is ready")


async def established(kube: Kube) -> None:
    """Wait until every kind is served."""
    while True:
        crds = await kube.list("CustomResourceDefinition")
        conditions = [
            {c["type"]: c["status"] for c in (crd.get("status") or {}).get("conditions") or []} for crd in crds
        ]
        if all(each.get("Established") == "True" for each in conditions):
            return
        await asyncio.sleep(0.05)
