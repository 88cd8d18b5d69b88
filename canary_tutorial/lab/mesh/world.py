"""The objects that the mesh reads, and the lookups that the compilers need. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from canary_tutorial.lab.mesh import values
from canary_tutorial.lab.objects import SIDECAR, Obj, has_sidecar

Key = tuple[str, str]  # namespace, name
DOMAIN = "svc.cluster.local"
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
            if service_key(spec_of(rule)["host"], rule["metadata"]["namespace"]) == key:
                return dict(spec_of(rule))
            if wild is None and is_for(rule, service):
                wild = spec_of(rule)
        return dict(wild or {})

    def services_of(self, pod: Obj) -> list[Obj]:
        """The Services that select a pod, the oldest first."""
        labels = labels_of(pod).items()
        return oldest_first(
            service
            for (namespace, _), service in self.services.items()
            if namespace == pod["metadata"]["namespace"]
            and spec_of(service).get("selector")
            and spec_of(service)["selector"].items() <= labels
        )


def spec_of(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def said(fields: Obj | None) -> Obj:
    """The fields of an object that say something: null says nothing, and must not cover what another one says."""
    return {field: value for field, value in (fields or {}).items() if value is not None}


def is_for(rule: Obj, service: Obj) -> bool:
    """Whether a DestinationRule names a Service, or all of a kind."""
    host = spec_of(rule)["host"]
    if service_key(host, rule["metadata"]["namespace"]) == key_of(service):
        return True
    return bool(host.startswith("*") and fqdn(service).endswith(host[1:]))


def ports_of(service: Obj) -> list[Obj]:
    """A Service's ports, each number once: of two protocols on one number, HTTP has only one."""
    found: dict[int, Obj] = {}
    for port in spec_of(service).get("ports") or []:
        if (port.get("protocol") or "TCP") == "TCP":
            found.setdefault(values.port(port["port"]), port)
    return list(found.values())


def oldest_first(objects: Any) -> list[Obj]:
    """Of two objects that claim the same thing, the older one wins, as with Istio."""
    return sorted(objects, key=lambda o: (str(o["metadata"].get("creationTimestamp") or ""), key_of(o)))


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


def containers_of(pod: Obj) -> list[Obj]:
    return spec_of(pod).get("containers") or []


def is_gateway(pod: Obj) -> bool:
    """A gateway's pod is nothing but a proxy."""
    return [container.get("name") for container in containers_of(pod)] == [SIDECAR]


def container_ports(pod: Obj) -> list[int]:
    """The ports of a pod's programs; a gateway's pod has none."""
    programs = [container for container in containers_of(pod) if container.get("name") != SIDECAR]
    ports = (port for program in programs for port in program.get("ports") or [])
    return sorted({values.port(port["containerPort"]) for port in ports})


def address_of(pod: Obj) -> str | None:
    status = pod.get("status") or {}
    return None if status.get("phase") in ("Succeeded", "Failed") else status.get("podIP")


def workload_of(pod: Obj) -> str:
    """The name of what made the pod: the Deployment behind its ReplicaSet, or the pod itself."""
    owner = next(iter(pod["metadata"].get("ownerReferences") or []), None) or {}
    if not values.is_dns_name(owner.get("name")):  # any text can stand there, and this goes into Envoy's formats
        return str(pod["metadata"]["name"])
    return str(owner["name"]).removesuffix("-" + str(labels_of(pod).get("pod-template-hash") or ""))


def app_of(pod: Obj) -> str:
    labels = labels_of(pod)
    return str(labels.get("app") or labels.get("app.kubernetes.io/name") or workload_of(pod))
