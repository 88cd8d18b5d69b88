"""Gateways: which ports the gateway pods open, and whom they let in. Pure.

A Gateway names pods by labels and says ports and hosts; VirtualServices that name the Gateway say where requests go.
Gateways that share a port share its hosts. The number in a Gateway is the port of the Service in front of the pods;
the pods listen on that port's targetPort, so port 80 needs no privilege.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.mesh import listeners, routes
from canary_tutorial.lab.mesh.world import World, is_gateway, labels_of

Obj = dict[str, Any]


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
        if (gateway["spec"].get("selector") or {}).items() <= labels_of(pod).items():
            for server in gateway["spec"].get("servers") or []:
                if server["port"].get("protocol", "HTTP").upper() in ("HTTP", "HTTP2", "GRPC"):
                    port = target_port(world, pod, int(server["port"]["number"]))
                    opened.setdefault(port, {}).setdefault(f"{namespace}/{name}", []).extend(server["hosts"])
    return opened


def target_port(world: World, pod: Obj, number: int) -> int:
    for service in world.services_of(pod):
        for port in service["spec"].get("ports") or []:
            if port["port"] == number:
                return _container_port(pod, port.get("targetPort") or number)
    return number


def _container_port(pod: Obj, target: int | str) -> int:
    if isinstance(target, int):
        return target
    named = (port for c in pod["spec"]["containers"] for port in c.get("ports") or [] if port.get("name") == target)
    return int(next(named)["containerPort"])
