"""Listeners: the doors through which requests enter and leave pods, with the counters that Prometheus reads. Pure.

A pod with a sidecar has one outbound listener, which its programs use as their HTTP proxy, and one inbound listener for
each port of its containers, on the pod's own address, in front of the program. The counters are Istio's, made by Envoy's
access logger: `istio_requests_total` and `istio_request_duration_milliseconds`, told by both sides.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.mesh.clusters import METADATA
from canary_tutorial.lab.mesh.routes import SHARE_HEADER, SOURCE_HEADER
from canary_tutorial.lab.mesh.world import World, app_of, fqdn, has_sidecar, is_gateway, workload_of
from canary_tutorial.lab.network import OUTBOUND_PORT, app_address

Obj = dict[str, Any]

EXTENSIONS = "type.googleapis.com/envoy.extensions"

# Which of the weighted clusters gets a request is decided by a number below 100. Real meshes draw it at random; at 20
# requests a second and steps of a few seconds, chance alone would then move a share of 20 % by a fifth. This sequence
# is as even as one can be (the golden ratio in steps of 100), so shares are right within a few requests.
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

Tags = dict[str, str]


def inbound(world: World, pod: Obj) -> tuple[list[Obj], list[Obj]]:
    """The inbound listeners of a pod and the clusters of its programs."""
    listeners, clusters = [], []
    meta, ip = pod["metadata"], pod["status"]["podIP"]
    services = world.services_of(pod)
    service = services[0] if services else None
    for port in _container_ports(pod):
        name = f"inbound|{port}|{meta['namespace']}/{meta['name']}"
        tags = {
            "reporter": "destination",
            "source_workload": f"%REQ({SOURCE_HEADER})%",
            "source_workload_namespace": f"%REQ({SOURCE_HEADER}-namespace)%",
            "source_app": f"%REQ({SOURCE_HEADER}-app)%",
            "destination_workload": workload_of(pod),
            "destination_workload_namespace": meta["namespace"],
            "destination_app": app_of(pod),
            "destination_service": fqdn(service) if service else "unknown",
            "destination_service_name": service["metadata"]["name"] if service else "unknown",
            "destination_service_namespace": meta["namespace"],
            "connection_security_policy": "none",
        }
        route = {"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}
        routes = {"name": name, "virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [route]}]}
        manager = _manager(tags, [_router()], route_config=routes)
        listeners.append(_listener(name, [(ip, port)], manager))
        clusters.append(_program(name, app_address(ip), port))
    return listeners, clusters


def outbound(pod: Obj, rds_path: str, route_name: str) -> Obj:
    """The listener that the pod's programs use as their proxy."""
    meta = pod["metadata"]
    source = {"workload": workload_of(pod), "namespace": meta["namespace"], "app": app_of(pod)}
    name = f"outbound|{meta['namespace']}/{meta['name']}"
    tags = {
        "reporter": "source",
        "source_workload": source["workload"],
        "source_workload_namespace": source["namespace"],
        "source_app": source["app"],
        **_destination_tags(),
        "connection_security_policy": "unknown",
    }
    return _listener(
        name,
        [(app_address(pod["status"]["podIP"]), OUTBOUND_PORT)],
        _manager(tags, _outbound_filters(source), rds=(rds_path, route_name)),
    )


def resolver(address: str, rds_path: str, route_name: str) -> Obj:
    """The plain listener for pods outside the mesh: it resolves Services, and counts nothing."""
    unknown = {"workload": "unknown", "namespace": "unknown", "app": "unknown"}
    manager = _manager(None, _outbound_filters(unknown), rds=(rds_path, route_name))
    return _listener("resolver", [(address, OUTBOUND_PORT)], manager)


def gateway(pod: Obj, port: int, rds_path: str, route_name: str) -> Obj:
    """One port of a Gateway on one of its pods."""
    ip = pod["status"]["podIP"]
    source = {"workload": workload_of(pod), "namespace": pod["metadata"]["namespace"], "app": app_of(pod)}
    tags = {
        "reporter": "source",
        "source_workload": source["workload"],
        "source_workload_namespace": source["namespace"],
        "source_app": source["app"],
        **_destination_tags(),
        "connection_security_policy": "unknown",
    }
    name = f"gateway|{port}|{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    addresses = [(ip, port), (app_address(ip), port)]
    return _listener(name, addresses, _manager(tags, _outbound_filters(source), rds=(rds_path, route_name)))


def _container_ports(pod: Obj) -> list[int]:
    if is_gateway(pod) or not has_sidecar(pod):
        return []
    own = [c for c in pod["spec"]["containers"] if c["name"] != "istio-proxy"]
    return sorted({int(port["containerPort"]) for c in own for port in c.get("ports") or []})


def _destination_tags() -> Tags:
    """Whom a request went to, from what the endpoint and the cluster carry."""

    def upstream(of: str, label: str) -> str:
        return f"%METADATA({of}:{METADATA}:{label})%"

    return {
        "destination_workload": upstream("UPSTREAM_HOST", "workload"),
        "destination_workload_namespace": upstream("UPSTREAM_HOST", "workload_namespace"),
        "destination_app": upstream("UPSTREAM_HOST", "app"),
        "destination_service": upstream("CLUSTER", "service"),
        "destination_service_name": upstream("CLUSTER", "service_name"),
        "destination_service_namespace": upstream("CLUSTER", "service_namespace"),
    }


def _counters(tags: Tags) -> Obj:
    """Istio's two standard metrics, as Envoy's access logger counts them."""
    common = tags | {
        "request_host": "%REQ(:AUTHORITY)%",
        "request_protocol": "http",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
    }
    tag_list = [{"name": name, "value_format": value} for name, value in common.items()]
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stats.v3.Config",
            "stat_prefix": "istio",
            "counters": [{"stat": {"name": "requests_total", "tags": tag_list}, "value_fixed": 1}],
            "histograms": [
                {
                    "stat": {"name": "request_duration_milliseconds", "tags": tag_list},
                    "unit": "Milliseconds",
                    "value_format": "%DURATION%",
                }
            ],
        },
    }


def _filter(name: str, version: str = "v3", **config: Any) -> Obj:
    kind = {"lua": "Lua", "fault": "HTTPFault", "cors": "Cors", "router": "Router", "header_mutation": "HeaderMutation"}
    type_ = f"{EXTENSIONS}.filters.http.{name}.{version}.{kind[name]}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": type_, **config}}


def _router() -> Obj:
    return _filter("router")


def _outbound_filters(source: dict[str, str]) -> list[Obj]:
    """Say who asks, draw the share, then faults and CORS as routes configure them."""
    headers = {"": source["workload"], "-namespace": source["namespace"], "-app": source["app"]}
    said = [
        {"append": {"header": {"key": SOURCE_HEADER + end, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
        for end, value in headers.items()
    ]
    return [
        _filter("header_mutation", mutations={"request_mutations": said}),
        _filter("lua", default_source_code={"inline_string": SHARES}),
        _filter("cors"),
        _filter("fault"),
        _router(),
    ]


def _manager(
    tags: Tags | None, filters: list[Obj], *, rds: tuple[str, str] | None = None, route_config: Obj | None = None
) -> Obj:
    config: Obj = {
        "@type": f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": filters,
        "use_remote_address": False,
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": True,
        "stream_idle_timeout": "0s",
    }
    if tags is not None:
        config["access_log"] = [_counters(tags)]
    if rds:
        path, name = rds
        source = {"path_config_source": {"path": path}, "resource_api_version": "V3"}
        config["rds"] = {"route_config_name": name, "config_source": source}
    else:
        config["route_config"] = route_config
    return config


def _listener(name: str, addresses: list[tuple[str, int]], manager: Obj) -> Obj:
    (address, port), *more = addresses
    listener: Obj = {
        "name": name,
        "address": _socket(address, port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    if more:
        listener["additional_addresses"] = [{"address": _socket(*each)} for each in more]
    return listener


def _socket(address: str, port: int) -> Obj:
    return {"socket_address": {"address": address, "port_value": port}}


def _program(name: str, address: str, port: int) -> Obj:
    endpoint = {"endpoint": {"address": _socket(address, port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
