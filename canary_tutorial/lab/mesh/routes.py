"""VirtualServices to Envoy's virtual hosts, each with its routes, for programs and gateways. Pure.

A host belongs to one VirtualService (the oldest wins). A Service without one is reached directly. `actions` and
`matches` compile a single route.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from canary_tutorial.lab.machine.network import RESOLVER_USER
from canary_tutorial.lab.mesh import values
from canary_tutorial.lab.mesh.actions import SHARE_HEADER, compile_rule, retries_and_timeout
from canary_tutorial.lab.mesh.clusters import PASSTHROUGH, cluster_name, port_of
from canary_tutorial.lab.mesh.matches import LABELS_HEADER, compile_match
from canary_tutorial.lab.mesh.world import (
    World,
    address_of,
    container_ports,
    fqdn,
    key_of,
    oldest_first,
    ports_of,
    said,
    service_key,
    spec_of,
)
from canary_tutorial.lab.objects import Obj

MOST_ROUTES = 5000  # of one VirtualService: each of them is tried for each request
MESH = "mesh"  # the gateway's name that means all sidecars
PROXY_USER = "proxy-authorization"
BOOKKEEPING = [SHARE_HEADER, LABELS_HEADER, PROXY_USER]  # of no use beyond the choice of a route
NOWHERE = {
    "match": {"prefix": "/"},
    "direct_response": {"status": 502, "body": {"inline_string": "The mesh knows no service of this name and port.\n"}},
}


def outbound(world: World, namespace: str) -> list[Obj]:
    """The virtual hosts for programs in mesh pods of `namespace`."""
    services = [
        _host(f"{fqdn(service)}:{port}", domains(service, port, namespace), _service_routes(world, service, port))
        for service, port in _ports(world)
    ]
    return distinct([*services, *_other_hosts(world, {MESH}), *_pods(world), _host("nowhere", ["*"], [NOWHERE])])


def plain(world: World) -> list[Obj]:
    """The virtual hosts for pods outside the mesh: Services alone, straight to their endpoints, as without Istio."""
    services = [
        _host(f"{fqdn(service)}:{port}", domains(service, port, ""), [_direct(service, port, plain=True)])
        for service, port in _ports(world)
    ]
    return distinct([*services, *_short_names(world), *_pods(world), _host("nowhere", ["*"], [NOWHERE])])


def _short_names(world: World) -> Iterator[Obj]:
    """A Service's name alone, which means another Service in each namespace; the client's proxy URL says in which it is."""
    named: dict[str, list[Obj]] = {}
    for service, port in _ports(world):
        namespace, name = key_of(service)
        route = _direct(service, port, plain=True)
        route["match"] = {"prefix": "/", "headers": [_from(namespace)]}
        for domain in [f"{name}:{port}", *([name] if port == 80 else [])]:
            named.setdefault(domain, []).append(route)
    for domain, found in sorted(named.items()):
        yield _host(f"short|{domain}", [domain], [*found, NOWHERE])


def _from(namespace: str) -> Obj:
    """Matches the requests of one namespace's programs: HTTP's form of their proxy's user and password."""
    said = base64.b64encode(f"{RESOLVER_USER}:{namespace}".encode()).decode()
    return {"name": PROXY_USER, "string_match": {"exact": f"Basic {said}"}}


def _pods(world: World) -> list[Obj]:
    """Pods that are asked by their address, as a person does who looks for the one that misbehaves."""
    pods = [pod for pod in world.pods.values() if address_of(pod)]
    domains = sorted(f"{address_of(pod)}:{port}" for pod in pods for port in container_ports(pod))
    return [_host("pods", domains, [{"match": {"prefix": "/"}, "route": {"cluster": PASSTHROUGH}}])]


def ingress(world: World, gateways: dict[str, list[str]]) -> list[Obj]:
    """The virtual hosts of gateways (`namespace/name` -> hosts that it lets in) that share a port."""
    patterns = [pattern.rpartition("/")[2] for hosts in gateways.values() for pattern in hosts]
    let_in = [host for host in _other_hosts(world, set(gateways)) if any(_covers(p, host["name"]) for p in patterns)]
    return distinct([*let_in, _host("nowhere", ["*"], [NOWHERE])])


def distinct(hosts: Iterable[Obj]) -> list[Obj]:
    """Envoy refuses a whole configuration if two of its hosts claim one name, or one has none: the first keeps it."""
    taken: set[str] = set()
    kept = []
    for host in hosts:
        own = list({domain.lower(): domain for domain in host["domains"] if domain.lower() not in taken}.values())
        taken.update(domain.lower() for domain in own)
        if own:
            kept.append({**host, "domains": own})
    return kept


def _ports(world: World) -> Iterator[tuple[Obj, int]]:
    for service in world.services.values():
        for port in ports_of(service):
            yield service, port["port"]


def _host(name: str, domains: list[str], routes: list[Obj]) -> Obj:
    return {"name": name, "domains": domains, "routes": routes, "request_headers_to_remove": BOOKKEEPING}


def _covers(pattern: str, host: str) -> bool:
    return pattern in ("*", host) or host == "*" or (pattern.startswith("*") and host.endswith(pattern[1:]))


def domains(service: Obj, port: int, namespace: str) -> list[str]:
    own, name = key_of(service)
    names = [f"{name}.{own}", f"{name}.{own}.svc", fqdn(service), *([name] if own == namespace else [])]
    address = spec_of(service).get("clusterIP")
    names += [values.address(address)] if address and address != "None" else []
    return [f"{each}:{port}" for each in names] + (names if port == 80 else [])


def _direct(service: Obj, port: int, plain: bool = False) -> Obj:
    action = {"cluster": cluster_name(service, port, plain=plain), **retries_and_timeout({})}
    return {"match": {"prefix": "/"}, "route": action}


def _service_routes(world: World, service: Obj, port: int) -> list[Obj]:
    for virtualservice in _applying(world, {MESH}):
        namespace = virtualservice["metadata"]["namespace"]
        if key_of(service) in {service_key(host, namespace) for host in spec_of(virtualservice)["hosts"]}:
            return compile_virtualservice(world, virtualservice, {MESH}, port)
    return [_direct(service, port)]


def _other_hosts(world: World, gateways: set[str]) -> list[Obj]:
    """The hosts of VirtualServices, but for a sidecar those that are Services, which have virtual hosts already."""
    hosts: list[Obj] = []
    for virtualservice in _applying(world, gateways):
        namespace = virtualservice["metadata"]["namespace"]
        for host in spec_of(virtualservice)["hosts"]:
            if gateways != {MESH} or service_key(host, namespace) not in world.services:
                domains = ["*"] if host == "*" else [host, *([] if host.startswith("*") else [f"{host}:*"])]
                hosts.append(_host(host, domains, compile_virtualservice(world, virtualservice, gateways, None)))
    return hosts


def _applying(world: World, gateways: set[str]) -> list[Obj]:
    """The VirtualServices with HTTP rules for any of these gateways, the oldest first; delegates have no hosts."""
    chosen = (
        vs
        for vs in world.virtualservices.values()
        if spec_of(vs).get("hosts") and spec_of(vs).get("http") and gateways & gateways_of(spec_of(vs), vs)
    )
    return oldest_first(chosen)


def gateways_of(named_in: Obj, virtualservice: Obj) -> set[str]:
    """Full names of the gateways that a VirtualService, or one of its matches, names."""
    namespace = virtualservice["metadata"]["namespace"]
    named = named_in.get("gateways") or [MESH]
    return {name if "/" in name or name == MESH else f"{namespace}/{name}" for name in named}


def compile_virtualservice(world: World, virtualservice: Obj, gateways: set[str] | None, port: int | None) -> list[Obj]:
    """Its rules in order, delegates included, one route for each match of a rule; `gateways` None is any."""
    namespace = virtualservice["metadata"]["namespace"]
    routes: list[Obj] = []
    for rule in spec_of(virtualservice).get("http") or []:
        for home, each in _delegated(world, rule, namespace) if rule.get("delegate") else [(namespace, rule)]:
            for match in each.get("match") or [{}]:
                named_in = gateways_of(match, virtualservice)
                if match.get("gateways") and gateways is not None and not gateways & named_in:
                    continue
                asked = values.port(match["port"], "match.port") if match.get("port") else port
                if port and asked != port:
                    continue
                cluster_of = _clusters_for(world, home, port)
                named = {"name": values.text(each["name"], "name")} if each.get("name") else {}
                routes.append({"match": compile_match(match), **named, **compile_rule(each, match, cluster_of)})
                if len(routes) > MOST_ROUTES:
                    raise ValueError(f"more than {MOST_ROUTES} routes")
    return routes


def _delegated(world: World, outer: Obj, namespace: str) -> list[tuple[str, Obj]]:
    """A delegate's rules, each with its namespace and under the matches of the rule that names the delegate."""
    key = (outer["delegate"].get("namespace") or namespace, outer["delegate"].get("name") or "")
    target = world.virtualservices.get(key)
    merged = []
    for inner in (spec_of(target).get("http") or []) if target else []:
        outside, inside = outer.get("match") or [{}], inner.get("match") or [{}]
        if len(outside) * len(inside) > MOST_ROUTES:
            raise ValueError(f"more than {MOST_ROUTES} routes")
        pairs = [(a, b) for a in outside for b in inside]
        matches = [said(a) | said(b) | {"headers": said(a.get("headers")) | said(b.get("headers"))} for a, b in pairs]
        merged.append((key[0], inner | {"match": matches}))
    return merged


def _clusters_for(world: World, namespace: str, port: int | None) -> Any:
    def cluster_of(destination: Obj) -> str:
        host = values.required(destination.get("host"), "destination.host", 255)
        asked = (destination.get("port") or {}).get("number")
        asked = values.port(asked, "destination.port.number") if asked else 0
        subset = values.text(destination.get("subset") or "", "destination.subset", 63)
        service = world.service(host, namespace)
        if service is None:
            return f"outbound|{port or 0}||{host}"  # there is no such cluster: Envoy answers 503
        return cluster_name(service, asked or port_of(service, port), subset)

    return cluster_of
