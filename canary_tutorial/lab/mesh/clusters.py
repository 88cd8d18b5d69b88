"""Services and DestinationRules to Envoy's clusters and endpoints. Pure.

A cluster is one port of one Service (or of one of its subsets); its name is Istio's: `outbound|9898||podinfo.test...`.
It holds its endpoints itself: a file of endpoints for each cluster would cost Envoy one inotify instance each, and Linux
gives a user 128 in all. Envoy replaces a changed cluster without losing a request. Pods outside the mesh have clusters
of their own, `plain|...`, over the same endpoints: no rule and no TLS applies to them.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.mesh import security
from canary_tutorial.lab.mesh.world import (
    World,
    address_of,
    app_of,
    fqdn,
    has_sidecar,
    key_of,
    labels_of,
    seconds,
    workload_of,
)

Obj = dict[str, Any]

METADATA = "istio"  # where labels for metrics are kept, on clusters and on endpoints
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PASSTHROUGH = "PassthroughCluster"  # Istio's name for requests that go where they were sent
ROUND_ROBIN, LEAST_REQUEST, RANDOM = "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"


def cluster_name(service: Obj, port: int, subset: str = "", plain: bool = False) -> str:
    return f"{'plain' if plain else 'outbound'}|{port}|{subset}|{fqdn(service)}"


def port_of(service: Obj, asked: int | None) -> int:
    """The Service's port for a request that came for `asked`; with a single port there is no choice."""
    ports = [int(port["port"]) for port in service["spec"].get("ports") or []]
    if asked is not None and (asked in ports or not ports):
        return asked
    return ports[0] if ports else 0


def compile_clusters(world: World, tls: security.Files) -> list[Obj]:
    """All clusters, with their endpoints."""
    clusters = [_passthrough()]
    for service in world.services.values():
        rule = world.destinationrule(service)
        for port in service["spec"].get("ports") or []:
            number = port["port"]
            for subset in [{"name": "", "labels": {}}, *(rule.get("subsets") or [])]:
                name = cluster_name(service, number, subset["name"])
                policy = _policy(rule, number) | _policy(subset, number)
                sockets = security.upstream(policy.get("tls") or {}, f"{number}|{fqdn(service)}", tls)
                endpoints = _endpoints(world, service, port, subset.get("labels") or {})
                clusters.append(_cluster(name, service, policy, endpoints) | sockets)
            plain = cluster_name(service, number, plain=True)
            clusters.append(_cluster(plain, service, {}, _endpoints(world, service, port, {})))
    return clusters


def _passthrough() -> Obj:
    where = {"use_http_header": True, "http_header_name": ":authority"}
    cluster = {"name": PASSTHROUGH, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s"}
    return cluster | {"original_dst_lb_config": where}


def _policy(of: Obj, port: int) -> Obj:
    """The trafficPolicy of a rule or a subset for one port."""
    policy = dict(of.get("trafficPolicy") or {})
    for own in policy.pop("portLevelSettings", None) or []:
        if own["port"]["number"] == port:
            policy |= own
    return policy


def _cluster(name: str, service: Obj, policy: Obj, endpoints: list[Obj]) -> Obj:
    namespace, short = key_of(service)
    labels = {"service": fqdn(service), "service_name": short, "service_namespace": namespace}
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    cluster: Obj = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []},
        "connect_timeout": seconds(tcp.get("connectTimeout"), "1s"),
        "ignore_health_on_host_removal": True,
        "metadata": {"filter_metadata": {METADATA: labels}},
        "lb_policy": _balancer(policy.get("loadBalancer") or {}),
    }
    cluster |= _limits(tcp, http)
    if policy.get("outlierDetection") is not None:
        cluster |= _outlier(policy["outlierDetection"])
    return cluster


def _balancer(policy: Obj) -> str:
    return {"RANDOM": RANDOM, "ROUND_ROBIN": ROUND_ROBIN}.get(policy.get("simple", ""), LEAST_REQUEST)


def _limits(tcp: Obj, http: Obj) -> Obj:
    compiled: Obj = {}
    wanted = {
        "max_connections": tcp.get("maxConnections"),
        "max_pending_requests": http.get("http1MaxPendingRequests"),
        "max_requests": http.get("http2MaxRequests"),
        "max_retries": http.get("maxRetries"),
    }
    thresholds = {key: value for key, value in wanted.items() if value}
    if thresholds:
        compiled["circuit_breakers"] = {"thresholds": [thresholds]}
    common: Obj = {}
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = http["maxRequestsPerConnection"]
    if http.get("idleTimeout"):
        common["idle_timeout"] = seconds(http["idleTimeout"])
    if common:
        options = {"common_http_protocol_options": common, "explicit_http_config": {"http_protocol_options": {}}}
        typed = {"@type": f"type.googleapis.com/{HTTP_OPTIONS}", **options}
        compiled["typed_extension_protocol_options"] = {HTTP_OPTIONS: typed}
    return compiled


def _outlier(policy: Obj) -> Obj:
    """Numbers that a rule leaves out are Istio's defaults."""
    compiled: Obj = {
        "interval": seconds(policy.get("interval"), "10s"),
        "base_ejection_time": seconds(policy.get("baseEjectionTime"), "30s"),
        "max_ejection_percent": policy.get("maxEjectionPercent", 10),
        "enforcing_success_rate": 0,
        "consecutive_5xx": policy.get("consecutive5xxErrors", 5),
    }
    if policy.get("consecutiveGatewayErrors"):
        compiled["consecutive_gateway_failure"] = policy["consecutiveGatewayErrors"]
        compiled["enforcing_consecutive_gateway_failure"] = 100
    threshold = {"healthy_panic_threshold": {"value": policy.get("minHealthPercent", 0)}}
    return {"outlier_detection": compiled, "common_lb_config": threshold}


def _endpoints(world: World, service: Obj, port: Obj, labels: dict[str, str]) -> list[Obj]:
    """The ready addresses of a Service's Endpoints, each with the labels of its pod for the metrics."""
    endpoints = world.endpoints.get(key_of(service)) or {}
    namespace = service["metadata"]["namespace"]
    pods = {address_of(pod): pod for (home, _), pod in world.pods.items() if home == namespace}
    found = []
    for subset in endpoints.get("subsets") or []:
        number = next((p["port"] for p in subset.get("ports") or [] if p.get("name") == port.get("name")), None)
        for address in subset.get("addresses") or []:
            pod = pods.get(address["ip"])
            if number and labels.items() <= (labels_of(pod) if pod else {}).items():
                found.append(_endpoint(address["ip"], number, pod))
    return found


def _endpoint(ip: str, port: int, pod: Obj | None) -> Obj:
    endpoint: Obj = {"endpoint": {"address": {"socket_address": {"address": ip, "port_value": port}}}}
    if pod is not None:
        labels = {
            "workload": workload_of(pod),
            "workload_namespace": pod["metadata"]["namespace"],
            "app": app_of(pod),
        }
        endpoint["metadata"] = {"filter_metadata": {METADATA: labels}}
        if has_sidecar(pod):
            endpoint["metadata"]["filter_metadata"] |= security.SPEAKS_TLS
    return endpoint
