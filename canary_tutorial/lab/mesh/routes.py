"""VirtualServices to Envoy's routes. Pure.

Each rule becomes one route per match; a rule's destinations become weighted clusters; what a rule leaves open is
filled as Istio fills it (no timeout, two retries of requests that nobody has begun to answer).
"""

from __future__ import annotations

import re
from typing import Any

from canary_tutorial.lab.mesh.clusters import cluster_name, port_of
from canary_tutorial.lab.mesh.world import World, fqdn, seconds, service_key

Obj = dict[str, Any]

SHARE_HEADER = "x-lab-share"  # the number that decides between weighted clusters, see listeners.SHARES
SOURCE_HEADER = "x-lab-source"
TYPE = "type.googleapis.com/envoy.extensions.filters.http"
RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,retriable-status-codes"
NOWHERE = {
    "match": {"prefix": "/"},
    "direct_response": {"status": 502, "body": {"inline_string": "The mesh knows no service of this name and port.\n"}},
}


def outbound(world: World, namespace: str) -> list[Obj]:
    """The virtual hosts that programs in pods of `namespace` can reach."""
    hosts = [
        {"name": f"{fqdn(service)}:{port['port']}", "domains": domains, "routes": _service_routes(world, service, port)}
        for service in world.services.values()
        for port in service["spec"].get("ports") or []
        if (domains := _domains(service, port["port"], namespace))
    ]
    hosts += _other_hosts(world, "mesh", {name for name in world.services})
    return [*hosts, {"name": "nowhere", "domains": ["*"], "routes": [NOWHERE]}]


def ingress(world: World, gateway: str) -> list[Obj]:
    """The virtual hosts that a gateway (`namespace/name`) serves."""
    hosts = _other_hosts(world, gateway, set())
    if not any("*" in host["domains"] for host in hosts):
        hosts.append({"name": "nowhere", "domains": ["*"], "routes": [NOWHERE]})
    return hosts


def _domains(service: Obj, port: int, namespace: str) -> list[str]:
    meta = service["metadata"]
    name, own = meta["name"], meta["namespace"]
    names = [f"{name}.{own}", f"{name}.{own}.svc", fqdn(service), *([name] if own == namespace else [])]
    address = service["spec"].get("clusterIP")
    names += [address] if address and address != "None" else []
    return [f"{each}:{port}" for each in names] + (names if port == 80 else [])


def _service_routes(world: World, service: Obj, port: Obj) -> list[Obj]:
    key = (service["metadata"]["namespace"], service["metadata"]["name"])
    for virtualservice in _applying(world, "mesh"):
        namespace = virtualservice["metadata"]["namespace"]
        if key in {service_key(host, namespace) for host in virtualservice["spec"].get("hosts") or []}:
            return compile_virtualservice(world, virtualservice, "mesh", port["port"])
    default = {"match": {"prefix": "/"}, "route": {"cluster": cluster_name(service, port["port"]), **_defaults({})}}
    return [default | _bookkeeping()]


def _other_hosts(world: World, gateway: str, services: set[tuple[str, str]]) -> list[Obj]:
    """Virtual hosts for names that are no Services: `app.example.com`, or `*` behind a gateway."""
    hosts: dict[str, list[Obj]] = {}
    for virtualservice in _applying(world, gateway):
        namespace = virtualservice["metadata"]["namespace"]
        for host in virtualservice["spec"].get("hosts") or []:
            if service_key(host, namespace) not in services and host not in hosts:
                hosts[host] = compile_virtualservice(world, virtualservice, gateway, None)
    return [
        {"name": host, "domains": ["*"] if host == "*" else [host, f"{host}:*"], "routes": routes}
        for host, routes in hosts.items()
        if routes and (host == "*" or gateway != "mesh" or "." in host)
    ]


def _applying(world: World, gateway: str) -> list[Obj]:
    """VirtualServices for a gateway, the oldest first (of two for one host, the oldest wins)."""

    def gateways(virtualservice: Obj) -> set[str]:
        namespace = virtualservice["metadata"]["namespace"]
        named = virtualservice["spec"].get("gateways") or ["mesh"]
        return {name if "/" in name or name == "mesh" else f"{namespace}/{name}" for name in named}

    chosen = [vs for vs in world.virtualservices.values() if vs["spec"].get("hosts") and gateway in gateways(vs)]
    return sorted(chosen, key=lambda vs: (vs["metadata"].get("creationTimestamp", ""), vs["metadata"]["name"]))


# -- one VirtualService


def compile_virtualservice(world: World, virtualservice: Obj, gateway: str, port: int | None) -> list[Obj]:
    """Its rules in order, delegates included; a rule whose destinations do not exist answers 503."""
    namespace = virtualservice["metadata"]["namespace"]
    routes: list[Obj] = []
    for rule in virtualservice["spec"].get("http") or []:
        delegate = rule.get("delegate")
        if delegate:
            key = (delegate.get("namespace") or namespace, delegate["name"])
            target = world.virtualservices.get(key)
            inner = (target["spec"].get("http") or []) if target else []
            for below in inner:
                routes += _rule(world, _delegated(rule, below), key[0], gateway, port)
        else:
            routes += _rule(world, rule, namespace, gateway, port)
    return routes


def _delegated(outer: Obj, inner: Obj) -> Obj:
    """A delegate's rule under the matches of the rule that names it."""
    above, below = outer.get("match") or [{}], inner.get("match") or [{}]
    merged = [{**a, **b, "headers": {**a.get("headers", {}), **b.get("headers", {})}} for a in above for b in below]
    return {**inner, "match": [{k: v for k, v in match.items() if v} for match in merged]}


def _rule(world: World, rule: Obj, namespace: str, gateway: str, port: int | None) -> list[Obj]:
    routes = []
    for match in rule.get("match") or [{}]:
        if match.get("gateways") and gateway not in match["gateways"]:
            continue
        if match.get("port") and port and match["port"] != port:
            continue
        route: Obj = {"match": compile_match(match)} | _bookkeeping()
        if rule.get("name"):
            route["name"] = rule["name"]
        if "redirect" in rule:
            route["redirect"] = _redirect(rule["redirect"])
        elif "directResponse" in rule:
            answer = rule["directResponse"]
            route["direct_response"] = {"status": answer["status"]}
            if "string" in answer.get("body", {}):
                route["direct_response"]["body"] = {"inline_string": answer["body"]["string"]}
        else:
            route["route"] = _action(world, rule, match, namespace, port)
        _headers(route, rule.get("headers"))
        _filters(route, rule)
        routes.append(route)
    return routes


def compile_match(match: Obj) -> Obj:
    """A HTTPMatchRequest as Envoy's RouteMatch."""
    compiled: Obj = {"prefix": "/"}
    uri = match.get("uri") or {}
    if "exact" in uri:
        compiled = {"path": uri["exact"]}
    elif "prefix" in uri:
        compiled = {"prefix": uri["prefix"]}
    elif "regex" in uri:
        compiled = {"safe_regex": {"regex": uri["regex"]}}
    if match.get("ignoreUriCase"):
        compiled["case_sensitive"] = False
    headers = [{"name": name.lower(), **_string(want)} for name, want in (match.get("headers") or {}).items()]
    headers += [
        {"name": name.lower(), **_string(want), "invert_match": True}
        for name, want in (match.get("withoutHeaders") or {}).items()
    ]
    pseudo = (("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme"))
    headers += [{"name": name, **_string(match[key])} for key, name in pseudo if key in match]
    if headers:
        compiled["headers"] = headers
    if match.get("queryParams"):
        compiled["query_parameters"] = [
            {"name": name, **({"string_match": _matcher(want)} if want else {"present_match": True})}
            for name, want in match["queryParams"].items()
        ]
    return compiled


def _string(want: Obj) -> Obj:
    return {"string_match": _matcher(want)} if want else {"present_match": True}


def _matcher(want: Obj) -> Obj:
    kind, value = next(iter(want.items()))
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value}


def _redirect(redirect: Obj) -> Obj:
    names = {"uri": "path_redirect", "authority": "host_redirect", "scheme": "scheme_redirect", "port": "port_redirect"}
    compiled = {names[key]: value for key, value in redirect.items() if key in names}
    code = {302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
    return compiled | {"response_code": code.get(redirect.get("redirectCode", 301), "MOVED_PERMANENTLY")}


# -- where a rule sends its requests


def _action(world: World, rule: Obj, match: Obj, namespace: str, port: int | None) -> Obj:
    destinations = rule.get("route") or []

    def cluster(destination: Obj) -> str:
        return _cluster(world, destination, namespace, port)

    if len(destinations) == 1:
        action: Obj = {"cluster": cluster(destinations[0]["destination"])}
    else:
        weighted = []
        for each in destinations:
            entry: Obj = {"name": cluster(each["destination"]), "weight": each.get("weight", 0)}
            _headers(entry, each.get("headers"))
            weighted.append(entry)
        action = {"weighted_clusters": {"clusters": weighted, "header_name": SHARE_HEADER}}
    mirrors = [
        {"destination": rule["mirror"], "percentage": rule.get("mirrorPercentage") or {"value": rule.get("mirrorPercent", 100)}}
    ] if rule.get("mirror") else []  # fmt: skip
    for mirror in [*mirrors, *(rule.get("mirrors") or [])]:
        share = int((mirror.get("percentage") or {"value": 100}).get("value", 100) * 10000)
        fraction = {"default_value": {"numerator": share, "denominator": "MILLION"}}
        action.setdefault("request_mirror_policies", []).append(
            {"cluster": cluster(mirror["destination"]), "runtime_fraction": fraction}
        )
    rewrite = rule.get("rewrite") or {}
    if rewrite.get("authority"):
        action["host_rewrite_literal"] = rewrite["authority"]
    if rewrite.get("uri"):
        exact = (match.get("uri") or {}).get("exact")
        pattern = f"^{re.escape(exact)}$" if exact else None
        action |= (
            {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": rewrite["uri"]}}
            if pattern
            else {"prefix_rewrite": rewrite["uri"]}
        )
    return action | _defaults(rule)


def _cluster(world: World, destination: Obj, namespace: str, port: int | None) -> str:
    service = world.service(destination["host"], namespace)
    if service is None:
        return f"outbound|{port or 0}||{destination['host']}"  # no such cluster: Envoy answers 503
    asked = (destination.get("port") or {}).get("number")
    return cluster_name(service, asked or port_of(service, port), destination.get("subset", ""))


def _defaults(rule: Obj) -> Obj:
    """Timeout and retries, Istio's defaults where the rule says nothing."""
    retries = rule.get("retries")
    attempts = 2 if retries is None else int(retries.get("attempts", 2))
    action: Obj = {"timeout": seconds(rule.get("timeout"))}
    if attempts:
        policy: Obj = {
            "retry_on": (retries or {}).get("retryOn") or RETRY_ON,
            "num_retries": attempts,
            "retriable_status_codes": [503],
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": "5",
        }
        if (retries or {}).get("perTryTimeout"):
            policy["per_try_timeout"] = seconds(retries["perTryTimeout"])  # type: ignore[index]
        action["retry_policy"] = policy
    return action


def _bookkeeping() -> Obj:
    return {"request_headers_to_remove": [SHARE_HEADER]}


def _headers(target: Obj, headers: Obj | None) -> None:
    """Header changes of a rule or of one destination."""
    for side in ("request", "response"):
        change = (headers or {}).get(side) or {}
        added = [(k, v, "APPEND_IF_EXISTS_OR_ADD") for k, v in (change.get("add") or {}).items()]
        added += [(k, v, "OVERWRITE_IF_EXISTS_OR_ADD") for k, v in (change.get("set") or {}).items()]
        if added:
            target[f"{side}_headers_to_add"] = [
                {"header": {"key": key, "value": value.replace("%", "%%")}, "append_action": action}
                for key, value, action in added
            ]
        if change.get("remove"):
            field = f"{side}_headers_to_remove"
            target[field] = [*target.get(field, []), *change["remove"]]


def _filters(route: Obj, rule: Obj) -> None:
    """Faults and CORS, which are filters of their own in Envoy."""
    configs: Obj = {}
    fault = rule.get("fault") or {}
    if fault:
        config: Obj = {"@type": f"{TYPE}.fault.v3.HTTPFault"}
        if "delay" in fault:
            config["delay"] = {
                "fixed_delay": seconds(fault["delay"].get("fixedDelay")),
                "percentage": _percentage(fault["delay"]),
            }
        if "abort" in fault:
            config["abort"] = {"http_status": fault["abort"]["httpStatus"], "percentage": _percentage(fault["abort"])}
        configs["envoy.filters.http.fault"] = config
    cors = rule.get("corsPolicy") or {}
    if cors:
        origins = [_matcher(origin) for origin in cors.get("allowOrigins") or []]
        origins += [{"exact": origin} if origin != "*" else {"safe_regex": {"regex": ".*"}} for origin in cors.get("allowOrigin") or []]
        config = {"@type": f"{TYPE}.cors.v3.CorsPolicy", "allow_origin_string_match": origins}
        for field, name in (("allowMethods", "allow_methods"), ("allowHeaders", "allow_headers"), ("exposeHeaders", "expose_headers")):
            if cors.get(field):
                config[name] = ",".join(cors[field])
        if cors.get("maxAge"):
            config["max_age"] = seconds(cors["maxAge"]).removesuffix("s")
        if "allowCredentials" in cors:
            config["allow_credentials"] = cors["allowCredentials"]
        configs["envoy.filters.http.cors"] = config
    if configs:
        route["typed_per_filter_config"] = configs


def _percentage(fault: Obj) -> Obj:
    value = (fault.get("percentage") or {}).get("value", fault.get("percent", 100))
    return {"numerator": int(value * 10000), "denominator": "MILLION"}
