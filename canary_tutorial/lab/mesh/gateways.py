"""Gateways: the ports that gateway pods open, and the hosts that they serve. Pure.

A Gateway selects pods by labels and has ports and hosts; VirtualServices that name the Gateway have the routes.
Gateways that share a port share its hosts. The number in a Gateway is the port of the Service in front of the pods;
the pods listen on that port's targetPort, so port 80 needs no privilege.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.machine.network import OUTBOUND_PORT
from canary_tutorial.lab.mesh import listeners, routes, values
from canary_tutorial.lab.mesh.bootstrap import STATS_PORT
from canary_tutorial.lab.mesh.world import World, containers_of, is_gateway, labels_of, ports_of, spec_of
from canary_tutorial.lab.objects import Obj


def compile_gateways(world: World, route_file: Any) -> list[Obj]:
    """Listeners of all gateway pods; `route_file(name, hosts, ignore_port)` takes their routes."""
    found = []
    for pod in world.mesh_pods():
        if is_gateway(pod):
            for port, gateways in sorted(ports(world, pod).items()):
                name = f"gateway|{port}|{'+'.join(sorted(gateways))}"
                rds = route_file(name, routes.ingress(world, gateways), True)
                found.append(listeners.gateway(pod, port, rds))
    return found


def ports(world: World, pod: Obj) -> dict[int, dict[str, list[str]]]:
    """Port to listen on -> the gateways there (`namespace/name`), each with the hosts that it lets in."""
    opened: dict[int, dict[str, list[str]]] = {}
    for (namespace, name), gateway in sorted(world.gateways.items()):
        for number, hosts in numbers(gateway, pod).items():
            if port := target_port(world, pod, number):
                opened.setdefault(port, {}).setdefault(f"{namespace}/{name}", []).extend(hosts)
    return opened


def numbers(gateway: Obj, pod: Obj) -> dict[int, list[str]]:
    """The ports that a Gateway opens for HTTP on a pod, each with its hosts; none on a pod that it does not select."""
    spec, found = spec_of(gateway), dict[int, list[str]]()
    if (spec.get("selector") or {}).items() <= labels_of(pod).items():
        for number, hosts in map(checked, spec.get("servers") or []):
            if number:
                found.setdefault(number, []).extend(hosts)
    return found


def checked(server: Obj) -> tuple[int, list[str]]:
    """A server's port (0 if it does not speak HTTP in plain text) and hosts; ValueError if Istio would refuse it."""
    port = server["port"]
    number = values.port(port.get("number"), "port.number")
    if number in (OUTBOUND_PORT, STATS_PORT):
        raise ValueError(f"port.number: {number} is the proxy's own")
    hosts = values.texts(server.get("hosts"), "hosts")
    if not hosts:
        raise ValueError("a server has no hosts")
    for host in hosts:
        values.host(host.rpartition("/")[2], "hosts")
    speaks_http = values.text(port.get("protocol") or "HTTP", "port.protocol").upper() in ("HTTP", "HTTP2", "GRPC")
    return number if speaks_http else 0, hosts


def target_port(world: World, pod: Obj, number: int) -> int:
    """The port of a pod behind a Service's; 0 if the Service names one that the pod does not have."""
    for service in world.services_of(pod):
        for port in ports_of(service):
            if port["port"] == number:
                return _container_port(pod, port.get("targetPort") or number)
    return number


def _container_port(pod: Obj, target: int | str) -> int:
    if isinstance(target, int):
        return values.port(target, "targetPort")
    ports = (port for container in containers_of(pod) for port in container.get("ports") or [])
    named = next((port for port in ports if port.get("name") == target), None)
    return values.port(named["containerPort"]) if named else 0
