"""From the whole world to everything that Envoy should know. Pure.

The result is a set of files in Envoy's own JSON: one with all listeners, one with all clusters, one for each route
configuration and one for the endpoints of each cluster. So a change of weights touches one small file, and no listener.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary_tutorial.lab import network
from canary_tutorial.lab.mesh import clusters, listeners, routes
from canary_tutorial.lab.mesh.world import World, is_gateway

Obj = dict[str, Any]
TYPES = "type.googleapis.com/envoy.config"


@dataclass(frozen=True)
class Files:
    """File name -> resources, in the order in which Envoy must hear of them."""

    endpoints: dict[str, list[Obj]]
    clusters: dict[str, list[Obj]]
    routes: dict[str, list[Obj]]
    listeners: dict[str, list[Obj]]


def file_name(kind: str, resource: str) -> str:
    """A file name for a resource of any name."""
    digest = hashlib.sha256(resource.encode()).hexdigest()[:10]
    readable = "".join(c if c.isalnum() or c in ".-" else "_" for c in resource)[:80]
    return f"{kind}-{readable}-{digest}.json"


def compile_world(world: World, directory: Path, resolver_address: str) -> Files:
    """All of Envoy's configuration; `directory` is where it will find the files."""

    def path(kind: str, resource: str) -> str:
        return str(directory / file_name(kind, resource))

    all_clusters, assignments = clusters.compile_clusters(world, lambda name: path("eds", name))
    all_routes: dict[str, list[Obj]] = {}
    all_listeners: list[Obj] = []

    def route_file(name: str, hosts: list[Obj]) -> tuple[str, str]:
        configuration = {"name": name, "virtual_hosts": hosts, "ignore_port_in_host_matching": False}
        all_routes[file_name("rds", name)] = [_typed("route.v3.RouteConfiguration", configuration)]
        return path("rds", name), name

    for pod in world.mesh_pods():
        namespace = pod["metadata"]["namespace"]
        inbound, programs = listeners.inbound(world, pod)
        all_clusters += programs
        route = f"outbound|{namespace}"
        where = route_file(route, routes.outbound(world, namespace))
        all_listeners += [*inbound, listeners.outbound(pod, *where)]
    all_listeners += _gateways(world, route_file)
    where = route_file("outbound|", routes.outbound(world, ""))
    all_listeners.append(listeners.resolver(resolver_address, *where))
    return Files(
        {file_name("eds", n): [_typed("endpoint.v3.ClusterLoadAssignment", a)] for n, a in assignments.items()},
        {"cds.json": [_typed("cluster.v3.Cluster", cluster) for cluster in all_clusters]},
        all_routes,
        {"lds.json": [_typed("listener.v3.Listener", listener) for listener in all_listeners]},
    )


def _gateways(world: World, route_file: Any) -> list[Obj]:
    found: dict[tuple[str, int], Obj] = {}
    for (namespace, name), gateway in sorted(world.gateways.items()):
        selector = gateway["spec"].get("selector") or {}
        for server in gateway["spec"].get("servers") or []:
            port = int(server["port"]["number"])
            for pod in world.mesh_pods():
                labels = pod["metadata"].get("labels") or {}
                if is_gateway(pod) and selector.items() <= labels.items():
                    where = route_file(f"gateway|{namespace}/{name}", routes.ingress(world, f"{namespace}/{name}"))
                    found.setdefault((pod["metadata"]["name"], port), listeners.gateway(pod, port, *where))
    return list(found.values())


def _typed(type_: str, resource: Obj) -> Obj:
    return {"@type": f"{TYPES}.{type_}", **resource}


def bootstrap(directory: Path, stats_address: str) -> Obj:
    """Envoy's first configuration: where the rest is, and a door for Prometheus to the statistics alone.

    Envoy's admin interface can stop Envoy, so it is a Unix socket of mode 0600; the listener passes on two paths of it.
    """
    admin = "admin.sock"  # relative to where Envoy runs: a socket path may have 108 letters at most
    allowed = [{"match": {"path": path}, "route": {"cluster": "admin"}} for path in ("/stats/prometheus", "/ready")]
    source = {"resource_api_version": "V3"}
    manager = {
        "@type": f"{listeners.EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "stats",
        "route_config": {"virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": allowed}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{listeners.EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    address = {"pipe": {"path": admin, "mode": 0o600}}
    return {
        "node": {"id": "lab", "cluster": "lab"},
        "admin": {"address": address},
        "dynamic_resources": {
            "lds_config": {"path_config_source": {"path": str(directory / "lds.json")}, **source},
            "cds_config": {"path_config_source": {"path": str(directory / "cds.json")}, **source},
        },
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"contains": "istio"}, {"prefix": "server.live"}]}},
            "histogram_bucket_settings": [{"match": {"contains": "istio"}, "buckets": BUCKETS}],
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "admin",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "admin",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": admin}}}}]}],
                    },
                }
            ],
            "listeners": [
                {
                    "name": "stats",
                    "address": {"socket_address": {"address": stats_address, "port_value": STATS_PORT}},
                    "filter_chains": [
                        {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
                    ],
                }
            ],
        },
    }


STATS_PORT = 15090
BUCKETS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]  # Istio's, in milliseconds


def resolver_of(pod_ip: str) -> str:
    """The plain listener's address in the network that a pod address belongs to."""
    return network.resolver(int(pod_ip.split(".")[1]))
