"""Finds the objects that cannot be compiled, and leaves each out with the reason. Pure.

Envoy accepts a file whole or not at all, so one object that it would refuse would hold up every other. So each object is
compiled here alone, by the very functions that compile the world, on the ports that it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from canary_tutorial.lab.mesh import clusters, gateways, routes, security, telemetry, values
from canary_tutorial.lab.mesh.matches import labels_text
from canary_tutorial.lab.mesh.world import (
    Key,
    World,
    address_of,
    container_ports,
    containers_of,
    is_gateway,
    labels_of,
    spec_of,
)
from canary_tutorial.lab.objects import Obj

Problems = dict[str, str]  # `virtualservice test/podinfo` -> what is wrong with it
TRIAL = security.Files(Path())


class Sieve:
    """Remembers its verdict on each object for as long as the object is the same one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Key], tuple[Obj, str]] = {}

    def usable(self, world: World) -> tuple[World, Problems]:
        """The world without what cannot be compiled, and the reason for each object that was left out."""
        problems: Problems = {}
        seen: dict[tuple[str, Key], tuple[Obj, str]] = {}

        def kept(kind: str, objects: dict[Key, Obj], attempt: Callable[[Obj], object]) -> dict[Key, Obj]:
            good = {}
            for key, obj in objects.items():
                known = self._known.get((kind, key))
                why = known[1] if known and known[0] is obj else _why(attempt, obj)
                seen[kind, key] = obj, why
                if why:
                    problems[f"{kind} {'/'.join(key)}"] = why
                else:
                    good[key] = obj
            return good

        world = replace(
            world,
            pods=kept("pod", world.pods, _pod),
            endpoints=kept("endpoints", world.endpoints, _endpoints),
            services=kept("service", world.services, _service),
            gateways=kept("gateway", world.gateways, _gateway),
            destinationrules=kept("destinationrule", world.destinationrules, _destinationrule),
            virtualservices=kept("virtualservice", world.virtualservices, _virtualservice),
        )
        self._known = seen
        world, twice = _one_address_each(world)
        while bad := _with_delegates(world):  # until none of those that are delegated to is gone
            problems |= {f"virtualservice {'/'.join(key)}": why for key, why in bad.items()}
            rest = {key: obj for key, obj in world.virtualservices.items() if key not in bad}
            world = replace(world, virtualservices=rest)
        return world, problems | twice


def _why(attempt: Callable[[Obj], object], obj: Obj) -> str:
    """Why an object cannot be compiled, whatever it is that a user wrote; "" if it can."""
    try:
        attempt(obj)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _with_delegates(world: World) -> dict[Key, str]:
    """The VirtualServices that cannot be compiled with what they delegate to; not remembered, as that may change."""
    attempt = partial(routes.compile_virtualservice, world, gateways=None, port=None)
    found = world.virtualservices.items()
    delegating = {
        key: obj for key, obj in found if any(rule.get("delegate") for rule in spec_of(obj).get("http") or [])
    }
    return {key: why for key, obj in delegating.items() if (why := _why(attempt, obj))}


def _one_address_each(world: World) -> tuple[World, Problems]:
    """Of pods with one address, the first: Envoy can have but one listener there."""
    owners: dict[str, Key] = {}
    for key, pod in world.pods.items():
        if address := address_of(pod):
            owners.setdefault(address, key)
    twice = {key for key, pod in world.pods.items() if (address := address_of(pod)) and owners[address] != key}
    if not twice:
        return world, {}
    problems = {f"pod {'/'.join(key)}": "ValueError: podIP: the address is another pod's" for key in twice}
    return replace(world, pods={key: pod for key, pod in world.pods.items() if key not in twice}), problems


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


def _pod(obj: Obj) -> None:
    address = address_of(obj)
    if not address:
        return
    values.address(address, "podIP")
    container_ports(obj)
    for container in containers_of(obj):
        for port in container.get("ports") or []:
            values.port(port["containerPort"])
    told = [*telemetry.identity(obj).values(), labels_text(labels_of(obj))]
    if any("%" in values.header_value(each) for each in told):
        raise ValueError("a name or label has a percent sign")


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            values.port(port["port"])
        for each in subset.get("addresses") or []:
            values.address(each["ip"])


def _service(obj: Obj) -> None:
    dict(spec_of(obj).get("selector") or {}).items()
    for port in spec_of(obj).get("ports") or []:
        number = values.port(port["port"])
        routes.domains(obj, number, "")
        target = port.get("targetPort") or number
        if not isinstance(target, str):
            values.port(target, "targetPort")


def _gateway(obj: Obj) -> None:
    spec = _written(obj)
    for value in dict(spec.get("selector") or {}).values():
        values.text(value, "selector")
    for server in spec.get("servers") or []:
        gateways.checked(server)


def _destinationrule(obj: Obj) -> None:
    """On a Service with a pod behind it and a port for each that the rule names."""
    spec = _written(obj)
    values.host(spec["host"])
    key = obj["metadata"]["namespace"], "any"
    meta = {"namespace": key[0], "name": key[1]}
    ports = [{"port": number} for number in dict.fromkeys([*clusters.named_ports(spec), 80])]
    subset = {"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}
    alone = World(endpoints={key: {"metadata": meta, "subsets": [subset]}})
    clusters.of_service(alone, {"metadata": meta, "spec": {"ports": ports}}, TRIAL, rule=spec)


def _virtualservice(obj: Obj) -> None:
    """Alone: what it delegates to comes later."""
    spec = _written(obj)
    values.texts(spec.get("gateways"), "gateways")
    names = routes.gateways_of(spec, obj)
    for host in values.texts(spec.get("hosts"), "hosts"):
        if values.host(host, "hosts") == "*" and routes.MESH in names:
            raise ValueError("wildcard host * is not allowed for virtual services bound to the mesh gateway")
    routes.compile_virtualservice(World(), obj, None, None)
