"""Services and DestinationRules to Envoy's clusters and endpoints. Pure.

A cluster is one port of one Service (or of one of its subsets); its name is Istio's: `outbound|9898||podinfo.test...`.
It holds its endpoints itself: a file of endpoints for each cluster would cost Envoy one inotify instance each, and Linux
gives a user 128 in all. Envoy replaces a changed cluster without losing a request. Pods outside the mesh have clusters
of their own, `plain|...`, over the same endpoints: no rule and no TLS applies to them.
"""

from __future__ import annotations

from canary_tutorial.lab.mesh import security, values
from canary_tutorial.lab.mesh.values import UINT32, seconds, whole
from canary_tutorial.lab.mesh.world import (
    World,
    address_of,
    app_of,
    fqdn,
    key_of,
    labels_of,
    ports_of,
    said,
    workload_of,
)
from canary_tutorial.lab.objects import Obj, has_sidecar

METADATA = "istio"  # where labels for metrics are kept, on clusters and on endpoints
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PASSTHROUGH = "PassthroughCluster"  # Istio's name for requests that go where they were sent
ROUND_ROBIN, LEAST_REQUEST, RANDOM = "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"


def cluster_name(service: Obj, port: int, subset: str = "", plain: bool = False) -> str:
    return f"{'plain' if plain else 'outbound'}|{port}|{subset}|{fqdn(service)}"


def port_of(service: Obj, asked: int | None) -> int:
    """The Service's port for a request that came for `asked`; with a single port there is no choice."""
    ports = [int(port["port"]) for port in ports_of(service)]
    if asked is not None and (asked in ports or not ports):
        return asked
    return ports[0] if ports else 0


def compile_clusters(world: World, tls: security.Files) -> list[Obj]:
    """All clusters, with their endpoints."""
    return [
        _passthrough(),
        *(each for service in world.services.values() for each in of_service(world, service, tls)),
    ]


def of_service(world: World, service: Obj, tls: security.Files, rule: Obj | None = None) -> list[Obj]:
    """The clusters of one Service under a DestinationRule's spec: that which holds for it, or the given one."""
    clusters = []
    rule = world.destinationrule(service) if rule is None else rule
    subsets = {values.label(subset.get("name"), "subsets.name"): subset for subset in rule.get("subsets") or []}
    for port in ports_of(service):
        number = port["port"]
        for short, subset in {"": {}, **subsets}.items():
            name = cluster_name(service, number, short)
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
    policy = said(of.get("trafficPolicy"))
    for own in policy.pop("portLevelSettings", None) or []:
        if values.port(own["port"]["number"], "portLevelSettings.port.number") == port:
            policy |= said(own)
    return policy


def named_ports(rule: Obj) -> list[int]:
    """The ports that a DestinationRule has settings for."""
    settings = [
        own
        for of in (rule, *(rule.get("subsets") or []))
        for own in (of.get("trafficPolicy") or {}).get("portLevelSettings") or []
    ]
    return [values.port(own["port"]["number"], "portLevelSettings.port.number") for own in settings]


def _cluster(name: str, service: Obj, policy: Obj, endpoints: list[Obj]) -> Obj:
    namespace, short = key_of(service)
    labels = {"service": fqdn(service), "service_name": short, "service_namespace": namespace}
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    cluster: Obj = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []},
        "connect_timeout": seconds(tcp.get("connectTimeout"), "1s", "connectTimeout", least=0.001),
        "ignore_health_on_host_removal": True,
        "metadata": {"filter_metadata": {METADATA: labels}},
        "lb_policy": _balancer(policy.get("loadBalancer") or {}),
    }
    cluster |= _limits(tcp, http)
    if policy.get("outlierDetection") is not None:
        cluster |= _outlier(policy["outlierDetection"])
    return cluster


def _balancer(policy: Obj) -> str:
    return {"RANDOM": RANDOM, "ROUND_ROBIN": ROUND_ROBIN}.get(policy.get("simple") or "", LEAST_REQUEST)


def _limits(tcp: Obj, http: Obj) -> Obj:
    compiled: Obj = {}
    wanted = {
        "max_connections": tcp.get("maxConnections"),
        "max_pending_requests": http.get("http1MaxPendingRequests"),
        "max_requests": http.get("http2MaxRequests"),
        "max_retries": http.get("maxRetries"),
    }
    thresholds = {key: whole(value, key) for key, value in wanted.items() if value}
    if thresholds:
        compiled["circuit_breakers"] = {"thresholds": [thresholds]}
    common: Obj = {}
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = whole(http["maxRequestsPerConnection"], "maxRequestsPerConnection")
    if http.get("idleTimeout"):
        common["idle_timeout"] = seconds(http["idleTimeout"], what="idleTimeout")
    if common:
        options = {"common_http_protocol_options": common, "explicit_http_config": {"http_protocol_options": {}}}
        typed = {"@type": f"type.googleapis.com/{HTTP_OPTIONS}", **options}
        compiled["typed_extension_protocol_options"] = {HTTP_OPTIONS: typed}
    return compiled


def _outlier(policy: Obj) -> Obj:
    """Numbers that a rule leaves out are Istio's defaults."""
    compiled: Obj = {
        "interval": seconds(policy.get("interval"), "10s", "interval", least=0.001),
        "base_ejection_time": seconds(policy.get("baseEjectionTime"), "30s", "baseEjectionTime", least=0.001),
        "max_ejection_percent": _number(policy, "maxEjectionPercent", 10, 100),
        "enforcing_success_rate": 0,
        "consecutive_5xx": _number(policy, "consecutive5xxErrors", 5),
    }
    if policy.get("consecutiveGatewayErrors"):
        compiled["consecutive_gateway_failure"] = _number(policy, "consecutiveGatewayErrors", 0)
        compiled["enforcing_consecutive_gateway_failure"] = 100
    threshold = {"healthy_panic_threshold": {"value": _number(policy, "minHealthPercent", 0, 100)}}
    return {"outlier_detection": compiled, "common_lb_config": threshold}


def _number(policy: Obj, field: str, default: int, most: int = UINT32) -> int:
    return default if policy.get(field) is None else whole(policy[field], field, 0, most)


def _endpoints(world: World, service: Obj, port: Obj, labels: dict[str, str]) -> list[Obj]:
    """The ready addresses of a Service's Endpoints, each with the labels of its pod for the metrics."""
    endpoints = world.endpoints.get(key_of(service)) or {}
    namespace = service["metadata"]["namespace"]
    pods = {address_of(pod): pod for (home, _), pod in world.pods.items() if home == namespace}
    found = []
    for subset in endpoints.get("subsets") or []:
        named = [p for p in subset.get("ports") or [] if (p.get("name") or "") == (port.get("name") or "")]
        number = values.port(named[0]["port"]) if named else 0
        for each in subset.get("addresses") or []:
            pod = pods.get(each["ip"])
            if number and labels.items() <= (labels_of(pod) if pod else {}).items():
                found.append(_endpoint(values.address(each["ip"]), number, pod))
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
