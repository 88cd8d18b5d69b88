"""Envoy's listeners, for the inbound and outbound requests of pods. Pure.

A pod with a sidecar has one outbound listener, which its programs use as their HTTP proxy, and one inbound listener for
each port of its containers, on the pod's own address, in front of the program. Pods without a sidecar share one resolver.
"""

from __future__ import annotations

from canary_tutorial.lab.machine.network import OUTBOUND_PORT, app_address
from canary_tutorial.lab.mesh import security, telemetry
from canary_tutorial.lab.mesh.actions import SHARE_HEADER
from canary_tutorial.lab.mesh.telemetry import EXTENSIONS, http_filter
from canary_tutorial.lab.mesh.world import World, container_ports
from canary_tutorial.lab.objects import Obj

Rds = tuple[str, str]  # the file of a route configuration, and its name

# Which of the weighted clusters gets a request is decided by a number below 100. Real meshes draw it at random; at 20
# requests a second and steps of a few seconds, chance alone would then move a weight of 20% by a fifth. This sequence
# is as even as one can be (the golden ratio in steps of 100), so weights are right within a few requests.
SHARES = f"""
local seen = {{}}
function envoy_on_request(handle)
  local headers = handle:headers()
  local host = headers:get(":authority") or ""
  local count = ((seen[host] or 0) + 1) % 100
  seen[host] = count
  headers:replace("{SHARE_HEADER}", tostring((count * 61) % 100))
end
"""


def inbound(world: World, pod: Obj, files: security.Files) -> tuple[list[Obj], list[Obj]]:
    """The inbound listeners of a pod and the clusters of its programs. Both TLS and plain text are taken."""
    found, clusters = [], []
    meta, ip = pod["metadata"], pod["status"]["podIP"]
    service = next(iter(world.services_of(pod)), None)
    for port in container_ports(pod):
        name = f"inbound|{port}|{meta['namespace']}/{meta['name']}"
        mutual, plain = (
            manager(telemetry.destination_tags(pod, service, tls), [telemetry.hear_who_asks()], _to_program(name))
            for tls in (True, False)
        )
        chains = [
            {
                "filter_chain_match": {"transport_protocol": "tls"},
                "transport_socket": security.downstream(files),
                **chain(mutual),
            },
            chain(plain),
        ]
        found.append(listener(name, [(ip, port)], chains) | {"listener_filters": [security.INSPECTOR]})
        clusters.append(_program(name, app_address(ip), port))
    return found, clusters


def _to_program(cluster: str) -> Obj:
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    host = {"name": "program", "domains": ["*"], "routes": [route]}
    return {
        "route_config": {
            "name": cluster,
            "virtual_hosts": [host],
            "request_headers_to_remove": telemetry.SOURCE_HEADERS,
            "validate_clusters": False,  # a busy Envoy may read this before the file with the cluster, and would refuse it
        }
    }


def outbound(pod: Obj, rds: Rds) -> Obj:
    """The listener that the pod's programs use as their proxy."""
    meta = pod["metadata"]
    name = f"outbound|{meta['namespace']}/{meta['name']}"
    http = manager(telemetry.source_tags(pod), outbound_filters(pod), rds_of(rds))
    return listener(name, [(app_address(pod["status"]["podIP"]), OUTBOUND_PORT)], [chain(http)])


def resolver(address: str, rds: Rds) -> Obj:
    """The plain listener for pods outside the mesh: it resolves Services, and counts nothing."""
    http = manager(None, [telemetry.say_who_asks(None)], rds_of(rds))
    return listener("resolver", [(address, OUTBOUND_PORT)], [chain(http)])


def gateway(pod: Obj, port: int, rds: Rds) -> Obj:
    """One port of a gateway's pod, on both of its addresses: programs of this machine come in by the second."""
    meta, ip = pod["metadata"], pod["status"]["podIP"]
    http = manager(telemetry.source_tags(pod), outbound_filters(pod), rds_of(rds))
    name = f"gateway|{port}|{meta['namespace']}/{meta['name']}"
    return listener(name, [(ip, port), (app_address(ip), port)], [chain(http)])


def outbound_filters(pod: Obj) -> list[Obj]:
    """Say who asks, draw the weighted route (which also makes Envoy choose the route anew), then faults and CORS."""
    return [
        telemetry.say_who_asks(pod),
        http_filter("lua", "Lua", default_source_code={"inline_string": SHARES}),
        http_filter("cors", "Cors"),
        http_filter("fault", "HTTPFault"),
    ]


def rds_of(rds: Rds) -> Obj:
    path, name = rds
    source = {"path_config_source": {"path": path}, "resource_api_version": "V3"}
    return {"rds": {"route_config_name": name, "config_source": source}}


def manager(tags: telemetry.Tags | None, filters: list[Obj], routes: Obj) -> Obj:
    """The HttpConnectionManager: filters, then the router; counts if there are tags to count by."""
    return {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [*filters, http_filter("router", "Router")],
        "use_remote_address": False,
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": True,
        "stream_idle_timeout": "0s",
        **({"access_log": [telemetry.counters(tags)]} if tags is not None else {}),
        **routes,
    }


def listener(name: str, addresses: list[tuple[str, int]], chains: list[Obj]) -> Obj:
    first, *more = [{"address": socket(*each)} for each in addresses]
    return {
        "name": name,
        **first,
        **({"additional_addresses": more} if more else {}),
        "metadata": telemetry.LISTENER_METADATA,
        "filter_chains": chains,
    }


def chain(http: Obj) -> Obj:
    return {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}


def socket(address: str, port: int) -> Obj:
    return {"socket_address": {"address": address, "port_value": port}}


def _program(name: str, address: str, port: int) -> Obj:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(address, port)}}]}],
        },
    }
