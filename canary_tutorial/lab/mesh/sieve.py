"""Objects that cannot be compiled are found one by one and left out, each with the reason. Pure.

Envoy takes a file whole or not at all, so one object that it would refuse would hold up every other. So each object is
compiled here alone, by the very functions that compile the world, on the ports and for the Services that it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from canary_tutorial.lab.mesh import clusters, gateways, routes, security, telemetry, values
from canary_tutorial.lab.mesh.matches import labels_text
from canary_tutorial.lab.mesh.world import (
    Key,
    World,
    address_of,
    container_ports,
    is_for,
    is_gateway,
    labels_of,
    ports_of,
    spec_of,
)

Obj = dict[str, Any]
Problems = dict[str, str]  # `virtualservice test/podinfo` -> what is wrong with it
TRIAL = security.Files(Path())


def usable(world: World) -> tuple[World, Problems]:
    """The world without what cannot be compiled, and the reason for each object that was left out."""
    problems: Problems = {}

    def kept(kind: str, objects: dict[Key, Obj], attempt: Callable[[Obj], object]) -> dict[Key, Obj]:
        good = {}
        for key, obj in objects.items():
            try:
                attempt(obj)
                good[key] = obj
            except Exception as error:  # whatever it is that a user wrote
                problems[f"{kind} {'/'.join(key)}"] = f"{type(error).__name__}: {error}"
        return good

    taken: set[str] = set()
    world = replace(
        world,
        pods=kept("pod", world.pods, lambda obj: _pod(obj, taken)),
        endpoints=kept("endpoints", world.endpoints, _endpoints),
    )
    bare = replace(world, destinationrules={}, virtualservices={})
    world = replace(world, services=kept("service", world.services, lambda obj: _service(bare, obj)))
    world = replace(
        world,
        gateways=kept("gateway", world.gateways, lambda obj: _gateway(world, obj)),
        destinationrules=kept("destinationrule", world.destinationrules, lambda obj: _destinationrule(world, obj)),
    )
    delegates: dict[Key, Obj] = {}  # first each alone; then with those that it delegates to, of which some may be gone
    while True:
        known = replace(world, virtualservices=delegates)
        remaining = kept("virtualservice", world.virtualservices, lambda obj: _virtualservice(known, obj))  # noqa: B023
        if remaining.keys() == delegates.keys():
            return replace(world, virtualservices=remaining), problems
        delegates = remaining
        world = replace(world, virtualservices=remaining)


def unreachable(world: World) -> Problems:
    """Gateways whose port leads to none of a pod's: they are served otherwise."""
    found: Problems = {}
    for pod in (pod for pod in world.mesh_pods() if is_gateway(pod)):
        for key, gateway in world.gateways.items():
            for number in gateways.numbers(gateway, pod):
                if not gateways.target_port(world, pod, number):
                    name = f"gateway {'/'.join(key)}"
                    found[name] = f"port {number}: no container of pod {pod['metadata']['name']} has the targetPort"
    return found


def _written(obj: Obj) -> Obj:
    """Its spec, if it can be written into a file at all."""
    spec = spec_of(obj)
    if not spec:
        raise ValueError("it has no spec")
    json.dumps(spec, ensure_ascii=False, allow_nan=False).encode()
    return spec


def _pod(obj: Obj, taken: set[str]) -> None:
    address = address_of(obj)
    if not address:
        return
    values.address(address, "podIP")
    container_ports(obj)
    told = [*telemetry.identity(obj).values(), labels_text(labels_of(obj))]
    if any("%" in values.header_value(each) for each in told):
        raise ValueError("a name or label has a percent sign")
    if address in taken:
        raise ValueError(f"podIP: {address} is another pod's")
    taken.add(address)


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            values.port(port["port"])
        for each in subset.get("addresses") or []:
            values.address(each["ip"])


def _service(world: World, obj: Obj) -> None:
    clusters.of_service(world, obj, TRIAL, rule={})
    for port in ports_of(obj):
        routes.domains(obj, port["port"], "")
    dict(spec_of(obj).get("selector") or {}).items()


def _gateway(world: World, obj: Obj) -> None:
    spec = _written(obj)
    for value in dict(spec.get("selector") or {}).values():
        values.text(value, "selector")
    for server in spec.get("servers") or []:
        gateways.checked(server)
    for pod in world.mesh_pods():
        gateways.ports(replace(world, gateways={("", ""): obj}), pod)


def _destinationrule(world: World, obj: Obj) -> None:
    spec = _written(obj)
    values.host(spec["host"])
    numbers = dict.fromkeys([*clusters.named_ports(spec), 80])
    home = obj["metadata"]["namespace"]
    alone = {
        "metadata": {"name": "any", "namespace": home},
        "spec": {"ports": [{"port": number} for number in numbers]},
    }
    for service in [alone, *(each for each in world.services.values() if is_for(obj, each))]:
        clusters.of_service(world, service, TRIAL, rule=spec)


def _virtualservice(world: World, obj: Obj) -> None:
    spec = _written(obj)
    values.texts(spec.get("gateways"), "gateways")
    names = routes.gateways_of(spec, obj)
    for host in values.texts(spec.get("hosts"), "hosts"):
        if values.host(host, "hosts") == "*" and routes.MESH in names:
            raise ValueError("wildcard host * is not allowed for virtual services bound to the mesh gateway")
    routes.compile_virtualservice(world, obj, None, None)
