"""The objects that the mesh looks at, and the questions that the compilers ask of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]
Key = tuple[str, str]  # namespace, name
DOMAIN = "svc.cluster.local"
SIDECAR = "istio-proxy"
UNKNOWN = "unknown"  # Istio's word in labels for what it cannot know


@dataclass
class World:
    """Everything of each kind, by (namespace, name)."""

    pods: dict[Key, Obj] = field(default_factory=dict)
    services: dict[Key, Obj] = field(default_factory=dict)
    endpoints: dict[Key, Obj] = field(default_factory=dict)
    virtualservices: dict[Key, Obj] = field(default_factory=dict)
    destinationrules: dict[Key, Obj] = field(default_factory=dict)
    gateways: dict[Key, Obj] = field(default_factory=dict)

    def service(self, host: str, namespace: str) -> Obj | None:
        """The Service that a host means when it is named in an object of `namespace`."""
        return self.services.get(service_key(host, namespace))

    def mesh_pods(self) -> Iterator[Obj]:
        """Pods with a sidecar and an address."""
        return (pod for pod in self.pods.values() if has_sidecar(pod) and address_of(pod))

    def destinationrule(self, service: Obj) -> Obj:
        """The spec that holds for a Service: the oldest rule of its name, else of a wildcard; {} if there is none."""
        key = key_of(service)
        wild: Obj | None = None
        for rule in oldest_first(self.destinationrules.values()):
            host = rule["spec"]["host"]
            if service_key(host, rule["metadata"]["namespace"]) == key:
                return dict(rule["spec"])
            if wild is None and host.startswith("*") and fqdn(service).endswith(host[1:]):
                wild = rule["spec"]
        return dict(wild or {})

    def services_of(self, pod: Obj) -> list[Obj]:
        """The Services that select a pod, the oldest first."""
        labels = labels_of(pod).items()
        return oldest_first(
            service
            for (namespace, _), service in self.services.items()
            if namespace == pod["metadata"]["namespace"]
            and service["spec"].get("selector")
            and service["spec"]["selector"].items() <= labels
        )


def oldest_first(objects: Any) -> list[Obj]:
    """Of two objects that claim the same thing, the older one wins, as with Istio."""
    return sorted(objects, key=lambda o: (o["metadata"].get("creationTimestamp", ""), key_of(o)))


def key_of(obj: Obj) -> Key:
    meta = obj["metadata"]
    return meta["namespace"], meta["name"]


def service_key(host: str, namespace: str) -> Key:
    """`podinfo`, `podinfo.test`, `podinfo.test.svc`, `podinfo.test.svc.cluster.local` -> (namespace, name).

    Any other name is no Service's: ("", host).
    """
    name, _, rest = host.partition(".")
    own, _, domain = rest.partition(".")
    return (own or namespace, name) if domain in ("", "svc", DOMAIN) else ("", host)


def fqdn(service: Obj) -> str:
    namespace, name = key_of(service)
    return f"{name}.{namespace}.{DOMAIN}"


def labels_of(pod: Obj) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def has_sidecar(pod: Obj) -> bool:
    return any(container["name"] == SIDECAR for container in pod["spec"]["containers"])


def is_gateway(pod: Obj) -> bool:
    """A gateway's pod is nothing but a proxy."""
    return [container["name"] for container in pod["spec"]["containers"]] == [SIDECAR]


def container_ports(pod: Obj) -> list[int]:
    """The ports of a pod's programs; a gateway's pod has none."""
    programs = [container for container in pod["spec"]["containers"] if container["name"] != SIDECAR]
    return sorted({int(port["containerPort"]) for program in programs for port in program.get("ports") or []})


def address_of(pod: Obj) -> str | None:
    status = pod.get("status") or {}
    return None if status.get("phase") in ("Succeeded", "Failed") else status.get("podIP")


def workload_of(pod: Obj) -> str:
    """The name of what made the pod: the Deployment behind its ReplicaSet, or the pod itself."""
    owner = next(iter(pod["metadata"].get("ownerReferences") or []), None)
    if owner is None:
        return str(pod["metadata"]["name"])
    return str(owner["name"]).removesuffix("-" + labels_of(pod).get("pod-template-hash", ""))


def app_of(pod: Obj) -> str:
    labels = labels_of(pod)
    return str(labels.get("app") or labels.get("app.kubernetes.io/name") or workload_of(pod))


def seconds(duration: str | None, default: str = "0s") -> str:
    """A duration as Envoy wants it: `1m30s`, `500ms`, `30s` -> `90s`, `0.5s`, `30s`; ValueError if it is none."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6}
    text = duration or default
    parts = re.findall(r"([0-9.]+)(ms|us|h|m|s)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return f"{sum(float(number) * units[unit] for number, unit in parts):.6f}".rstrip("0").rstrip(".") + "s"
