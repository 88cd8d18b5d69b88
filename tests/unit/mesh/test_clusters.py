"""Services and DestinationRules as clusters, endpoints with the labels that metrics need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mesh_objects as make
import pytest

from canary_tutorial.lab.mesh.clusters import HTTP_OPTIONS, compile_clusters
from canary_tutorial.lab.mesh.security import Files
from canary_tutorial.lab.mesh.world import World

Obj = dict[str, Any]


def compiled(world: World) -> tuple[dict[str, Obj], dict[str, Obj]]:
    """Clusters, and the endpoints in them, by name."""
    clusters = {cluster["name"]: cluster for cluster in compile_clusters(world, Files(Path("/tls")))}
    return clusters, {name: cluster.get("load_assignment") for name, cluster in clusters.items()}


def addresses(assignment: Obj) -> list[str]:
    return [
        endpoint["endpoint"]["address"]["socket_address"]["address"]
        for locality in assignment["endpoints"]
        for endpoint in locality["lb_endpoints"]
    ]


CANARY = "outbound|9898||podinfo-canary.test.svc.cluster.local"


def test_endpoints_carry_the_labels_of_their_pods() -> None:
    _, assignments = compiled(make.canary_world())
    endpoint = assignments[CANARY]["endpoints"][0]["lb_endpoints"][0]
    assert endpoint["metadata"]["filter_metadata"]["istio"] == {
        "workload": "podinfo",
        "workload_namespace": "test",
        "app": "podinfo",
    }


def test_a_service_with_nobody_behind_it_has_an_empty_cluster() -> None:
    world = make.canary_world()
    world.endpoints[("test", "podinfo-canary")] = make.endpoints("podinfo-canary")
    clusters, assignments = compiled(world)
    assert CANARY in clusters
    assert assignments[CANARY]["endpoints"] == []


def test_subsets_are_clusters_with_the_pods_that_have_the_labels() -> None:
    subsets = [{"name": "v1", "labels": {"version": "1"}}, {"name": "v2", "labels": {"version": "2"}}]
    world = make.world(
        pods=[
            make.pod("a", "127.250.0.1", workload="web", labels={"version": "1"}),
            make.pod("b", "127.250.0.2", workload="web", labels={"version": "2"}),
        ],
        services=[make.service("web")],
        endpoints=[make.endpoints("web", "127.250.0.1", "127.250.0.2")],
        destinationrules=[make.destinationrule("web", subsets=subsets)],
    )
    _, assignments = compiled(world)
    assert addresses(assignments["outbound|9898||web.test.svc.cluster.local"]) == ["127.250.0.1", "127.250.0.2"]
    assert addresses(assignments["outbound|9898|v2|web.test.svc.cluster.local"]) == ["127.250.0.2"]


def with_policy(policy: Obj) -> Obj:
    rule = make.destinationrule("podinfo-canary", trafficPolicy=policy)
    world = make.canary_world()
    world.destinationrules = {("test", "podinfo-canary"): rule}
    return compiled(world)[0][CANARY]


def test_a_connection_pool_becomes_circuit_breakers() -> None:
    pool = {
        "tcp": {"maxConnections": 3, "connectTimeout": "250ms"},
        "http": {"http1MaxPendingRequests": 2, "maxRequestsPerConnection": 7, "idleTimeout": "1m"},
    }
    cluster = with_policy({"connectionPool": pool})
    assert cluster["circuit_breakers"]["thresholds"] == [{"max_connections": 3, "max_pending_requests": 2}]
    assert cluster["connect_timeout"] == "0.25s"
    common = cluster["typed_extension_protocol_options"][HTTP_OPTIONS]["common_http_protocol_options"]
    assert common == {"max_requests_per_connection": 7, "idle_timeout": "60s"}


def test_outlier_detection_has_istios_defaults() -> None:
    cluster = with_policy({"outlierDetection": {"consecutive5xxErrors": 2, "interval": "1s"}})
    found = cluster["outlier_detection"]
    assert (found["consecutive_5xx"], found["interval"], found["base_ejection_time"]) == (2, "1s", "30s")
    assert found["max_ejection_percent"] == 10


def test_settings_for_one_port_replace_the_general_ones() -> None:
    own = {"port": {"number": 9898}, "connectionPool": {"tcp": {"maxConnections": 1}}}
    cluster = with_policy({"connectionPool": {"tcp": {"maxConnections": 9}}, "portLevelSettings": [own]})
    assert cluster["circuit_breakers"]["thresholds"] == [{"max_connections": 1}]


@pytest.mark.parametrize(
    ("mode", "field"),
    [
        ("ISTIO_MUTUAL", "transport_socket"),
        ("SIMPLE", "transport_socket"),
        (None, "transport_socket_matches"),
    ],
)
def test_tls_as_the_rule_says_and_by_itself_where_there_is_a_sidecar(mode: str | None, field: str) -> None:
    assert field in with_policy({"tls": {"mode": mode}} if mode else {})


def test_tls_can_be_turned_off() -> None:
    assert not {"transport_socket", "transport_socket_matches"} & with_policy({"tls": {"mode": "DISABLE"}}).keys()


def test_only_pods_with_a_sidecar_are_spoken_to_in_tls() -> None:
    world = make.world(
        pods=[make.pod("a", sidecar=False)],
        services=[make.service("a")],
        endpoints=[make.endpoints("a", "127.250.0.1")],
    )
    _, assignments = compiled(world)
    metadata = assignments["outbound|9898||a.test.svc.cluster.local"]["endpoints"][0]["lb_endpoints"][0]["metadata"]
    assert "envoy.transport_socket_match" not in metadata["filter_metadata"]


def test_clusters_for_pods_outside_the_mesh_share_the_endpoints_and_nothing_else() -> None:
    world = make.canary_world()
    policy = {"connectionPool": {"tcp": {"maxConnections": 1}}, "tls": {"mode": "ISTIO_MUTUAL"}}
    world.destinationrules = {("test", "c"): make.destinationrule("podinfo-canary", trafficPolicy=policy)}
    clusters, assignments = compiled(world)
    plain = clusters[CANARY.replace("outbound", "plain")]
    assert plain["load_assignment"]["endpoints"] == assignments[CANARY]["endpoints"]
    assert "circuit_breakers" not in plain
    assert "transport_socket" not in plain


def test_a_rule_for_all_names_holds_where_no_rule_names_the_service() -> None:
    off = {"tls": {"mode": "DISABLE"}}
    world = make.canary_world()
    world.destinationrules = {
        ("istio-system", "default"): make.destinationrule("*.local", "istio-system", trafficPolicy=off),
        ("test", "podinfo-canary"): make.destinationrule("podinfo-canary"),
    }
    clusters, _ = compiled(world)
    assert "transport_socket_matches" not in clusters["outbound|9898||podinfo.test.svc.cluster.local"]
    assert "transport_socket_matches" in clusters[CANARY]
