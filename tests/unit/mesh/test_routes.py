"""Which hosts a pod can reach, and what happens to a request for each."""

from __future__ import annotations

import base64
from typing import Any

import mesh_objects as make
import pytest

from canary_tutorial.lab.mesh import routes
from canary_tutorial.lab.mesh.world import World, service_key

Obj = dict[str, Any]


def host_for(hosts: list[Obj], domain: str) -> Obj:
    return next(host for host in hosts if domain in host["domains"])


def actions(host: Obj) -> list[Any]:
    """Cluster names, or the weights by cluster name, of each route."""
    found = []
    for route in host["routes"]:
        action = route.get("route", route)
        split = action.get("weighted_clusters")
        found.append(
            {c["name"].split("|")[3].split(".")[0]: c["weight"] for c in split["clusters"]}
            if split
            else action.get("cluster", action)
        )
    return found


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("podinfo", ("test", "podinfo")),
        ("podinfo.prod", ("prod", "podinfo")),
        ("podinfo.prod.svc", ("prod", "podinfo")),
        ("podinfo.prod.svc.cluster.local", ("prod", "podinfo")),
        ("app.example.com", ("", "app.example.com")),
        ("*", ("test", "*")),
    ],
)
def test_a_host_means_a_service(host: str, expected: tuple[str, str]) -> None:
    assert service_key(host, "test") == expected


def test_a_service_is_reached_by_all_its_names_and_by_the_short_one_from_its_own_namespace() -> None:
    world = make.world(services=[make.service("podinfo")])
    inside = host_for(routes.outbound(world, "test"), "podinfo.test:9898")["domains"]
    outside = host_for(routes.outbound(world, "prod"), "podinfo.test:9898")["domains"]
    assert "podinfo:9898" in inside
    assert "podinfo:9898" not in outside
    assert {"podinfo.test.svc:9898", "podinfo.test.svc.cluster.local:9898", "127.250.126.1:9898"} <= set(outside)


def test_port_80_may_be_left_out() -> None:
    world = make.world(services=[make.service("web", port=80)])
    assert {"web.test", "web.test:80"} <= set(host_for(routes.outbound(world, "test"), "web.test")["domains"])


def test_a_service_without_a_virtualservice_is_reached_directly() -> None:
    world = make.world(services=[make.service("podinfo")])
    assert actions(host_for(routes.outbound(world, "test"), "podinfo.test:9898")) == [
        "outbound|9898||podinfo.test.svc.cluster.local"
    ]


def test_rules_for_tcp_alone_leave_the_service_as_it_was() -> None:
    world = make.canary_world()
    rule = make.virtualservice(tcp=[{"route": [{"destination": {"host": "podinfo-canary"}}]}])
    world.virtualservices = {("test", "podinfo"): rule}
    host = host_for(routes.outbound(world, "test"), "podinfo.test:9898")
    assert actions(host) == ["outbound|9898||podinfo.test.svc.cluster.local"]


def test_a_headless_service_is_reached_by_name() -> None:
    headless = make.service("db")
    headless["spec"]["clusterIP"] = "None"
    domains = host_for(routes.outbound(make.world(services=[headless]), "test"), "db.test:9898")["domains"]
    assert not any("None" in domain for domain in domains)


def test_weights_shift_for_the_apex_and_leave_the_workloads_services_alone() -> None:
    world = make.canary_world()
    world.virtualservices[("test", "podinfo")] = make.virtualservice(make.weighted(80, 20))
    hosts = routes.outbound(world, "test")
    assert actions(host_for(hosts, "podinfo.test:9898")) == [{"podinfo-primary": 80, "podinfo-canary": 20}]
    assert actions(host_for(hosts, "podinfo-canary.test:9898")) == [
        "outbound|9898||podinfo-canary.test.svc.cluster.local"
    ]


def test_pods_outside_the_mesh_pass_by_every_rule() -> None:
    host = host_for(routes.plain(make.canary_world()), "podinfo.test:9898")
    assert actions(host) == ["plain|9898||podinfo.test.svc.cluster.local"]


def test_a_short_name_means_the_service_of_the_namespace_that_asks() -> None:
    world = make.world(services=[make.service("web"), make.service("web", namespace="prod"), make.service("db")])

    host = host_for(routes.plain(world), "web:9898")

    asked = {
        base64.b64decode(route["match"]["headers"][0]["string_match"]["exact"].removeprefix("Basic ")): cluster
        for route, cluster in zip(host["routes"], actions(host), strict=True)
        if "headers" in route["match"]
    }
    assert asked == {
        b"namespace:test": "plain|9898||web.test.svc.cluster.local",
        b"namespace:prod": "plain|9898||web.prod.svc.cluster.local",
    }
    assert host["routes"][-1] == routes.NOWHERE  # nobody else has it
    assert "proxy-authorization" in host["request_headers_to_remove"]


def test_a_rule_for_insiders_comes_before_the_rule_for_all() -> None:
    insiders = make.weighted(0, 100, match=[{"headers": {"x-canary": {"exact": "insider"}}}])
    world = make.canary_world()
    world.virtualservices[("test", "podinfo")] = make.virtualservice(insiders, make.weighted(100, 0))
    host = host_for(routes.outbound(world, "test"), "podinfo.test:9898")
    assert actions(host) == [
        {"podinfo-primary": 0, "podinfo-canary": 100},
        {"podinfo-primary": 100, "podinfo-canary": 0},
    ]
    assert host["routes"][0]["match"]["headers"][0]["name"] == "x-canary"


def test_two_matches_of_a_rule_are_two_routes() -> None:
    rule = make.weighted(100, 0, match=[{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}])
    found = routes.compile_virtualservice(make.canary_world(), make.virtualservice(rule), {"mesh"}, 9898)
    assert [route["match"]["prefix"] for route in found] == ["/a", "/b"]


def test_a_match_for_another_gateway_or_port_is_skipped() -> None:
    rule = make.weighted(100, 0, match=[{"gateways": ["public"]}, {"port": 80}, {"uri": {"prefix": "/here"}}])
    found = routes.compile_virtualservice(make.canary_world(), make.virtualservice(rule), {"mesh"}, 9898)
    assert [route["match"]["prefix"] for route in found] == ["/here"]


def test_a_destination_that_is_no_service_names_a_cluster_that_is_not_there() -> None:
    rule = {"route": [{"destination": {"host": "gone"}}]}
    found = routes.compile_virtualservice(World(), make.virtualservice(rule), {"mesh"}, 9898)
    assert found[0]["route"]["cluster"] == "outbound|9898||gone"


def test_a_delegate_keeps_the_matches_of_the_rule_that_names_it() -> None:
    outer = {"match": [{"uri": {"prefix": "/podinfo"}}], "delegate": {"name": "podinfo", "namespace": "test"}}
    root = make.virtualservice(outer, name="root", namespace="istio-system", hosts=["app.example.com"])
    inner = make.weighted(90, 10, match=[{"headers": {"x-a": {"exact": "b"}}}])
    world = make.canary_world()
    world.virtualservices = {
        ("istio-system", "root"): root,
        ("test", "podinfo"): make.virtualservice(inner, hosts=[], gateways=[]),
    }
    host = host_for(routes.outbound(world, "test"), "app.example.com")
    assert actions(host) == [{"podinfo-primary": 90, "podinfo-canary": 10}]
    assert host["routes"][0]["match"] == {
        "prefix": "/podinfo",
        "headers": [{"name": "x-a", "string_match": {"exact": "b"}}],
    }
    assert actions(host_for(routes.outbound(world, "test"), "podinfo.test:9898"))[0].startswith(
        "outbound|9898||podinfo."
    )


def test_of_two_virtualservices_for_a_host_the_older_one_holds() -> None:
    young, old = (
        make.virtualservice(make.weighted(0, 100), name="a"),
        make.virtualservice(make.weighted(100, 0), name="b"),
    )
    young["metadata"]["creationTimestamp"] = "2026-02-02T00:00:00Z"
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world = make.canary_world()
    world.virtualservices = {("test", "a"): young, ("test", "b"): old}
    host = host_for(routes.outbound(world, "test"), "podinfo.test:9898")
    assert actions(host) == [{"podinfo-primary": 100, "podinfo-canary": 0}]


def test_no_two_hosts_claim_one_name_since_envoy_would_refuse_them_all() -> None:
    world = make.canary_world()
    for name in ("one", "two"):
        everything = make.virtualservice(make.weighted(100, 0), name=name, hosts=["*", "app.example.com"])
        world.virtualservices[("test", name)] = everything
    domains = [domain for host in routes.outbound(world, "test") for domain in host["domains"]]
    assert len(domains) == len(set(domains))


def test_an_unknown_host_is_told_so() -> None:
    nowhere = host_for(routes.outbound(make.canary_world(), "test"), "*")["routes"][0]["direct_response"]
    assert nowhere["status"] == 502
    assert "no service" in nowhere["body"]["inline_string"]


def test_our_own_headers_go_no_further() -> None:
    for host in routes.outbound(make.canary_world(), "test"):
        assert host["request_headers_to_remove"] == ["x-lab-share", "x-lab-source-labels", "proxy-authorization"]
