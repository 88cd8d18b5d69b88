"""The objects that the mesh looks at, and the questions that the compilers ask of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]
DOMAIN = "svc.cluster.local"
SIDECAR = "istio-proxy"


@dataclass
class World:
    """Everything of each kind, by (namespace, name)."""

    pods: dict[tuple[str, str], Obj] = field(default_factory=dict)
    services: dict[tuple[str, str], Obj] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], Obj] = field(default_factory=dict)
    virtualservices: dict[tuple[str, str], Obj] = field(default_factory=dict)
    destinationrules: dict[tuple[str, str], Obj] = field(default_factory=dict)
    gateways: dict[tuple[str, str], Obj] = field(default_factory=dict)

    def service(self, host: str, namespace: str) -> Obj | None:
        """The Service that a host means when it is named in an object of `namespace`."""
        return self.services.get(service_key(host, namespace))

    def mesh_pods(self) -> Iterator[Obj]:
        """Pods with a sidecar and an address."""
        return (pod for pod in self.pods.values() if has_sidecar(pod) and address_of(pod))

    def destinationrule(self, service: Obj) -> Obj:
        """The spec of the DestinationRule for a Service, {} if there is none."""
        meta = service["metadata"]
        key = (meta["namespace"], meta["name"])
        for (namespace, _), rule in sorted(self.destinationrules.items()):
            if service_key(rule["spec"]["host"], namespace) == key:
                return dict(rule["spec"])
        return {}

    def services_of(self, pod: Obj) -> list[Obj]:
        """The Services that select a pod, the oldest first."""
        labels = (pod["metadata"].get("labels") or {}).items()
        chosen = [
            service
            for (namespace, _), service in self.services.items()
            if namespace == pod["metadata"]["namespace"]
            and service["spec"].get("selector")
            and service["spec"]["selector"].items() <= labels
        ]
        return sorted(chosen, key=lambda s: (s["metadata"].get("creationTimestamp", ""), s["metadata"]["name"]))


def service_key(host: str, namespace: str) -> tuple[str, str]:
    """`podinfo`, `podinfo.test`, `podinfo.test.svc`, `podinfo.test.svc.cluster.local` -> (namespace, name)."""
    name, _, rest = host.partition(".")
    first = rest.partition(".")[0]
    return (first or namespace, name)


def fqdn(service: Obj) -> str:
    meta = service["metadata"]
    return f"{meta['name']}.{meta['namespace']}.{DOMAIN}"


def has_sidecar(pod: Obj) -> bool:
    return any(container["name"] == SIDECAR for container in pod["spec"]["containers"])


def address_of(pod: Obj) -> str | None:
    status = pod.get("status") or {}
    return None if status.get("phase") in ("Succeeded", "Failed") else status.get("podIP")


def workload_of(pod: Obj) -> str:
    """The name of what made the pod: the Deployment behind its ReplicaSet, or the pod itself."""
    labels = pod["metadata"].get("labels") or {}
    owner = next(iter(pod["metadata"].get("ownerReferences") or []), None)
    if owner is None:
        return str(pod["metadata"]["name"])
    return str(owner["name"]).removesuffix("-" + labels.get("pod-template-hash", ""))


def app_of(pod: Obj) -> str:
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get("app") or labels.get("app.kubernetes.io/name") or workload_of(pod))


def is_gateway(pod: Obj) -> bool:
    """A gateway's pod is nothing but a proxy."""
    return [container["name"] for container in pod["spec"]["containers"]] == [SIDECAR]


def seconds(duration: str | None, default: str = "0s") -> str:
    """A duration as Envoy wants it: `1m30s`, `500ms`, `30s` -> `90s`, `0.5s`, `30s`."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}
    parts = re.findall(r"([0-9.]+)(ms|us|h|m|s)", duration or default)
    return f"{sum(float(number) * units[unit] for number, unit in parts):.6f}".rstrip("0").rstrip(".") + "s"
