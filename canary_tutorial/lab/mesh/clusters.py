"""Services and DestinationRules to Envoy's clusters and endpoints. Pure.

A cluster is one port of one Service (or of one of its subsets); its name is Istio's: `outbound|9898||podinfo.test...`.
Endpoints come apart from clusters, so that a pod that comes or goes disturbs nothing else.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.mesh.world import World, address_of, app_of, fqdn, seconds, workload_of

Obj = dict[str, Any]

METADATA = "istio"  # where labels for metrics are kept, on clusters and on endpoints


def cluster_name(service: Obj, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{fqdn(service)}"


def port_of(service: Obj, asked: int | None) -> int:
    """The Service's port for a request that came for `asked`; with a single port there is no choice."""
    ports = [int(port["port"]) for port in service["spec"].get("ports") or []]
    return asked if asked in ports or not ports else ports[0]  # type: ignore[return-value]


def compile_clusters(world: World, eds_path: Any) -> tuple[list[Obj], dict[str, Obj]]:
    """All clusters, and the endpoints of each by cluster name; `eds_path(name)` is where Envoy will find them."""
    clusters, assignments = [], {}
    for service in world.services.values():
        rule = world.destinationrule(service)
        subsets: list[Obj] = [{"name": "", "labels": {}}, *(rule.get("subsets") or [])]
        for port in service["spec"].get("ports") or []:
            for subset in subsets:
                name = cluster_name(service, port["port"], subset["name"])
                policy = {**(rule.get("trafficPolicy") or {}), **(subset.get("trafficPolicy") or {})}
                clusters.append(_cluster(name, service, policy, eds_path(name)))
                assignments[name] = _assignment(world, name, service, port, subset.get("labels") or {})
    return clusters, assignments


def _cluster(name: str, service: Obj, policy: Obj, path: str) -> Obj:
    meta = service["metadata"]
    labels = {"service": fqdn(service), "service_name": meta["name"], "service_namespace": meta["namespace"]}
    cluster: Obj = {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"}},
        "connect_timeout": "1s",
        "ignore_health_on_host_removal": True,
        "metadata": {"filter_metadata": {METADATA: labels}},
        "lb_policy": _balancer(policy.get("loadBalancer") or {}),
    }
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    limits = {
        "max_connections": tcp.get("maxConnections"),
        "max_pending_requests": http.get("http1MaxPendingRequests"),
        "max_requests": http.get("http2MaxRequests"),
        "max_retries": http.get("maxRetries"),
    }
    thresholds = {key: value for key, value in limits.items() if value}
    if thresholds:
        cluster["circuit_breakers"] = {"thresholds": [thresholds]}
    if tcp.get("connectTimeout"):
        cluster["connect_timeout"] = seconds(tcp["connectTimeout"])
    if policy.get("outlierDetection") is not None:
        cluster["outlier_detection"] = _outlier(policy["outlierDetection"])
    return cluster


def _balancer(policy: Obj) -> str:
    return {"RANDOM": "RANDOM", "ROUND_ROBIN": "ROUND_ROBIN"}.get(policy.get("simple", ""), "LEAST_REQUEST")


def _outlier(policy: Obj) -> Obj:
    compiled: Obj = {
        "interval": seconds(policy.get("interval"), "10s"),
        "base_ejection_time": seconds(policy.get("baseEjectionTime"), "30s"),
        "max_ejection_percent": policy.get("maxEjectionPercent", 10),
        "enforcing_success_rate": 0,
    }
    if policy.get("consecutive5xxErrors"):
        compiled["consecutive_5xx"] = policy["consecutive5xxErrors"]
    if policy.get("consecutiveGatewayErrors"):
        compiled |= {
            "consecutive_gateway_failure": policy["consecutiveGatewayErrors"],
            "enforcing_consecutive_gateway_failure": 100,
        }
    return compiled


def _assignment(world: World, name: str, service: Obj, port: Obj, labels: dict[str, str]) -> Obj:
    """The ready addresses of a Service's Endpoints, each with the labels of its pod for the metrics."""
    meta = service["metadata"]
    endpoints = world.endpoints.get((meta["namespace"], meta["name"])) or {}
    pods = {address_of(pod): pod for (namespace, _), pod in world.pods.items() if namespace == meta["namespace"]}
    found = []
    for subset in endpoints.get("subsets") or []:
        number = next((p["port"] for p in subset.get("ports") or [] if p.get("name") == port.get("name")), None)
        for address in subset.get("addresses") or []:
            pod = pods.get(address["ip"])
            if number and labels.items() <= ((pod or {"metadata": {}})["metadata"].get("labels") or {}).items():
                found.append(_endpoint(address["ip"], number, pod))
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": found}] if found else []}


def _endpoint(ip: str, port: int, pod: Obj | None) -> Obj:
    endpoint: Obj = {"endpoint": {"address": {"socket_address": {"address": ip, "port_value": port}}}}
    if pod is not None:
        labels = {
            "workload": workload_of(pod),
            "workload_namespace": pod["metadata"]["namespace"],
            "app": app_of(pod),
        }
        endpoint["metadata"] = {"filter_metadata": {METADATA: labels}}
    return endpoint
