"""Kubernetes and Istio objects for the mesh's tests, as short as they can be."""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.mesh.world import World, key_of

Obj = dict[str, Any]


def pod(
    name: str,
    ip: str = "127.250.0.1",
    *,
    workload: str = "",
    namespace: str = "test",
    port: int = 9898,
    sidecar: bool = True,
    labels: dict[str, str] | None = None,
) -> Obj:
    """A pod of a Deployment (`workload`, or the name itself) with a sidecar."""
    deployment = workload or name
    containers = [{"name": "app", "ports": [{"containerPort": port, "name": "http"}]}]
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": deployment, "pod-template-hash": "abc12", **(labels or {})},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{deployment}-abc12"}],
        },
        "spec": {"containers": [*containers, *([{"name": "istio-proxy"}] if sidecar else [])]},
        "status": {"phase": "Running", "podIP": ip},
    }


def gateway_pod(name: str = "ingress", ip: str = "127.250.0.9", namespace: str = "istio-system") -> Obj:
    made = pod(name, ip, namespace=namespace, labels={"istio": "ingressgateway"})
    made["spec"]["containers"] = [{"name": "istio-proxy", "ports": [{"containerPort": 8080, "name": "http2"}]}]
    return made


def service(name: str, app: str = "", *, namespace: str = "test", port: int = 9898, target: Any = "http") -> Obj:
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "clusterIP": "127.250.126.1",
            "selector": {"app": app or name},
            "ports": [{"name": "http", "port": port, "targetPort": target}],
        },
    }


def endpoints(name: str, *ips: str, namespace: str = "test", port: int = 9898) -> Obj:
    subset = {"addresses": [{"ip": ip} for ip in ips], "ports": [{"name": "http", "port": port}]}
    return {"metadata": {"name": name, "namespace": namespace}, "subsets": [subset] if ips else []}


def virtualservice(*http: Obj, name: str = "podinfo", namespace: str = "test", **spec: Any) -> Obj:
    """A VirtualService for the host `podinfo`, unless `hosts` or `gateways` say otherwise."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hosts": ["podinfo"], "gateways": ["mesh"], "http": list(http), **spec},
    }


def weighted(primary: int, canary: int, **rule: Any) -> Obj:
    """A rule as Flagger writes it."""
    route = [
        {"destination": {"host": "podinfo-primary"}, "weight": primary},
        {"destination": {"host": "podinfo-canary"}, "weight": canary},
    ]
    return {"route": route, **rule}


def destinationrule(host: str, namespace: str = "test", **spec: Any) -> Obj:
    return {"metadata": {"name": host, "namespace": namespace}, "spec": {"host": host, **spec}}


def gateway(name: str = "public", namespace: str = "test", hosts: tuple[str, ...] = ("*",), port: int = 80) -> Obj:
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": list(hosts)}
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def world(**objects: list[Obj]) -> World:
    """`world(pods=[...], services=[...])`."""
    return World(**{kind: {key_of(obj): obj for obj in found} for kind, found in objects.items()})


def canary_world(network: int = 250) -> World:
    """Flagger's layout: podinfo-primary, the canary podinfo, three Services, and a client."""
    primary, canary, client = (f"127.{network}.0.{n}" for n in (1, 2, 3))
    return world(
        pods=[
            pod("podinfo-primary-1", primary, workload="podinfo-primary"),
            pod("podinfo-1", canary, workload="podinfo"),
            pod("loadtester-1", client, workload="loadtester", port=8080),
        ],
        services=[
            service("podinfo", "podinfo-primary"),
            service("podinfo-primary", "podinfo-primary"),
            service("podinfo-canary", "podinfo"),
        ],
        endpoints=[
            endpoints("podinfo", primary),
            endpoints("podinfo-primary", primary),
            endpoints("podinfo-canary", canary),
        ],
        virtualservices=[virtualservice(weighted(100, 0))],
    )
