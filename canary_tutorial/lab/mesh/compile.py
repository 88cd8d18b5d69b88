"""Compiles all objects into the files of Envoy's configuration. Pure.

They are in Envoy's own JSON: one file with all listeners, one with all clusters and their endpoints, and one for each
route configuration. So a change of weights writes one small file, and no listener.

Envoy accepts a file whole or not at all. So each object is compiled alone first (`sieve`): one that cannot be compiled is
left out and named in `problems`, and all others are served.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from canary_tutorial.lab.machine import network
from canary_tutorial.lab.mesh import clusters, gateways, listeners, routes, security
from canary_tutorial.lab.mesh.actions import LARGEST_BODY
from canary_tutorial.lab.mesh.sieve import Sieve, unreachable
from canary_tutorial.lab.mesh.world import World
from canary_tutorial.lab.objects import Obj

TYPES = "type.googleapis.com/envoy.config"


@dataclass(frozen=True)
class Files:
    """File name -> resources, in the order in which Envoy must hear of them; and what had to be left out."""

    clusters: dict[str, list[Obj]]
    routes: dict[str, list[Obj]]
    listeners: dict[str, list[Obj]]
    problems: dict[str, str] = field(default_factory=dict)  # `virtualservice test/podinfo` -> what is wrong with it


def compile_world(world: World, directory: Path, resolver_address: str, sieve: Sieve | None = None) -> Files:
    """All of Envoy's configuration; `directory` is where it will find the files."""
    world, problems = (sieve or Sieve()).usable(world)
    tls = security.Files(directory)

    all_clusters = clusters.compile_clusters(world, tls)
    all_routes: dict[str, list[Obj]] = {}
    all_listeners: list[Obj] = []

    def route_file(name: str, hosts: list[Obj], ignore_port: bool = False) -> listeners.Rds:
        configuration: Obj = {"name": name, "virtual_hosts": hosts, "ignore_port_in_host_matching": ignore_port}
        configuration["max_direct_response_body_size_bytes"] = LARGEST_BODY
        all_routes[file_name("rds", name)] = [_typed("route.v3.RouteConfiguration", configuration)]
        return str(directory / file_name("rds", name)), name

    pods = sorted(world.mesh_pods(), key=lambda pod: str(pod["metadata"]["name"]))
    namespaces = {pod["metadata"]["namespace"] for pod in pods}
    rds = {each: route_file(f"outbound|{each}", routes.outbound(world, each)) for each in sorted(namespaces)}
    for pod in pods:
        inbound, programs = listeners.inbound(world, pod, tls)
        all_clusters += programs
        all_listeners += [*inbound, listeners.outbound(pod, rds[pod["metadata"]["namespace"]])]
    all_listeners += gateways.compile_gateways(world, route_file)
    all_listeners.append(listeners.resolver(resolver_address, route_file("plain", routes.plain(world))))
    return Files(
        {"cds.json": [_typed("cluster.v3.Cluster", each) for each in _by_name(all_clusters)]},
        all_routes,
        {"lds.json": [_typed("listener.v3.Listener", each) for each in _by_name(all_listeners)]},
        problems | unreachable(world),
    )


def file_name(kind: str, resource: str) -> str:
    """A file name for a resource of any name."""
    digest = hashlib.sha256(resource.encode()).hexdigest()[:10]
    readable = "".join(c if c.isalnum() or c in ".-" else "_" for c in resource)[:80]
    return f"{kind}-{readable}-{digest}.json"


def _by_name(resources: list[Obj]) -> list[Obj]:
    return sorted(resources, key=lambda each: str(each["name"]))


def _typed(type_: str, resource: Obj) -> Obj:
    return {"@type": f"{TYPES}.{type_}", **resource}


def resolver_of(pod_ip: str) -> str:
    """The plain listener's address in the network that a pod address belongs to."""
    return network.resolver(int(pod_ip.split(".")[1]))
