"""Istio's rules on real Envoy and real podinfos: what a client sees, and what is counted."""

from __future__ import annotations

import base64
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import mesh_objects as make
import pytest
from mesh_bench import Bench, bench, request, statuses, wait_until

from canary_tutorial.lab.machine import network
from canary_tutorial.lab.mesh.bootstrap import ADMIN, STATS_PORT

Obj = dict[str, Any]
weighted = make.weighted


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("envoy")) as made:
        yield made


@pytest.fixture(autouse=True)
def rest(mesh: Bench) -> None:
    """Each test begins with all traffic on the primary."""
    mesh.world = make.canary_world(mesh.number)
    mesh.write()


def test_mirroring_is_three_series_told_apart_by_workload_and_host(mesh: Bench) -> None:
    def series() -> dict[tuple[str, str], int]:
        return {
            (workload, host): mesh.counted(reporter="destination", destination_workload=workload, request_host=host)
            for workload in ("podinfo", "podinfo-primary")
            for host in ("podinfo.test:9898", "podinfo.test-shadow:9898")
        }

    before = series()
    mesh.rule(weighted(100, 0, mirror={"host": "podinfo-canary"}))
    mirrored = mesh.versions(50)
    mesh.rule(weighted(50, 50))
    shifted = mesh.versions(100)
    assert mirrored == {"2.0.0": 50}  # a client never sees the mirror's answer
    assert shifted == {"2.0.0": 50, "2.1.3": 50}
    wait_until(lambda: sum(series().values()) - sum(before.values()) >= 200)
    assert {key: count - before[key] for key, count in series().items()} == {
        ("podinfo-primary", "podinfo.test:9898"): 100,
        ("podinfo", "podinfo.test-shadow:9898"): 50,
        ("podinfo", "podinfo.test:9898"): 50,
        ("podinfo-primary", "podinfo.test-shadow:9898"): 0,
    }


def test_both_sides_count_a_request_with_istios_labels(mesh: Bench) -> None:
    source = {
        "reporter": "source",
        "source_workload": "loadtester",
        "source_workload_namespace": "test",
        "destination_workload": "podinfo-primary",
        "destination_service": "podinfo-primary.test.svc.cluster.local",
        "destination_service_name": "podinfo-primary",
        "response_code": "418",
        "response_flags": "-",
    }
    destination = source | {
        "reporter": "destination",
        "destination_service": "podinfo.test.svc.cluster.local",
        "destination_service_name": "podinfo",
        "connection_security_policy": "mutual_tls",
    }
    assert mesh.get("/status/418").status == 418
    wait_until(lambda: mesh.counted(**source) == 1)
    wait_until(lambda: mesh.counted(**destination) == 1)


def test_connections_are_in_plain_text_where_a_rule_turns_tls_off(mesh: Bench) -> None:
    before = mesh.counted(reporter="destination", connection_security_policy="none")
    mesh.apply("destinationrules", make.destinationrule("podinfo-primary", trafficPolicy={"tls": {"mode": "DISABLE"}}))
    assert mesh.get().status == 200
    wait_until(lambda: mesh.counted(reporter="destination", connection_security_policy="none") == before + 1)


def test_a_stranger_is_answered_in_plain_text_and_counted_as_unknown(mesh: Bench) -> None:
    assert request(mesh.ip(1), 9898, "GET", "/status/201").status == 201
    wait_until(
        lambda: mesh.counted(source_workload="unknown", response_code="201", connection_security_policy="none") == 1
    )


@pytest.mark.parametrize("canary", [0, 20, 40, 60, 100])
def test_shares_are_exact_within_a_hundred_requests(mesh: Bench, canary: int) -> None:
    mesh.rule(weighted(100 - canary, canary))
    assert mesh.versions(100)["2.1.3"] == canary


def test_pods_outside_the_mesh_reach_services_and_are_not_split(mesh: Bench) -> None:
    mesh.rule(weighted(0, 100))
    before = mesh.counted(reporter="source")
    address = network.resolver(mesh.number)
    answer = request(address, network.OUTBOUND_PORT, "GET", "http://podinfo.test:9898/version")
    assert answer.json["version"] == "2.0.0"  # the Service's own endpoints
    assert mesh.counted(reporter="source") == before


def test_a_short_name_resolves_from_pods_outside_the_mesh_in_their_namespace_alone(mesh: Bench) -> None:
    def status(namespace: str, host: str = "podinfo:9898") -> int:
        said = base64.b64encode(f"{network.RESOLVER_USER}:{namespace}".encode()).decode()
        answer = request(
            network.resolver(mesh.number), network.OUTBOUND_PORT, "GET", f"http://{host}/headers",
            proxy_authorization=f"Basic {said}",
        )  # fmt: skip
        assert answer.status != 200 or "proxy-authorization" not in answer.body.lower()
        return answer.status

    assert status("test") == status("prod", "podinfo.test:9898") == 200
    assert status("prod") == 502


def test_programs_see_no_header_of_ours(mesh: Bench) -> None:
    seen = {name.lower() for name in mesh.get("/headers").json}
    assert not {name for name in seen if name.startswith("x-lab")}


def test_an_unknown_host_is_told_so(mesh: Bench) -> None:
    answer = mesh.get(host="nobody.test:9898")
    assert (answer.status, answer.body) == (502, "The mesh knows no service of this name and port.\n")


def test_a_pod_is_reached_by_its_address(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0))
    assert mesh.get("/version", host=f"{mesh.ip(2)}:9898").json["version"] == "2.1.3"
    address = network.resolver(mesh.number)
    target = f"http://{mesh.ip(2)}:9898/version"
    assert request(address, network.OUTBOUND_PORT, "GET", target).json["version"] == "2.1.3"
    assert mesh.get(host=f"{mesh.ip(2)}:22").status == 502


def test_a_service_with_nobody_behind_it_answers_503(mesh: Bench) -> None:
    mesh.apply("endpoints", make.endpoints("podinfo-canary"))
    assert mesh.get(host="podinfo-canary.test:9898").status == 503


INSIDER: list[tuple[str, Obj, dict[str, Any]]] = [
    ("header exact", {"headers": {"x-canary": {"exact": "insider"}}}, {"x_canary": "insider"}),
    ("header regex", {"headers": {"user-agent": {"regex": ".*Firefox.*"}}}, {"user_agent": "a Firefox/9"}),
    ("cookie", {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}}, {"cookie": "a=b;canary=always"}),
    ("method", {"method": {"exact": "PUT"}}, {"method": "PUT"}),
    ("uri", {"uri": {"prefix": "/ver"}, "queryParams": {"v": {"exact": "2"}}}, {"path": "/version?v=2"}),
    ("authority", {"authority": {"prefix": "podinfo.test.svc"}}, {"host": "podinfo.test.svc.cluster.local:9898"}),
    ("without", {"withoutHeaders": {"x-old": {}}, "headers": {"x-new": {}}}, {"x_new": "1"}),
    ("labels of the asking pod", {"sourceLabels": {"app": "loadtester"}, "headers": {"x-b": {}}}, {"x_b": "1"}),
]


@pytest.mark.parametrize(("match", "told"), [case[1:] for case in INSIDER], ids=[case[0] for case in INSIDER])
def test_insiders_reach_the_canary_and_all_others_the_primary(mesh: Bench, match: Obj, told: dict[str, Any]) -> None:
    mesh.rule(weighted(0, 100, match=[match]), weighted(100, 0))
    asked = {"path": "/version", **told}
    assert mesh.get(**asked).json["version"] == "2.1.3"
    assert mesh.get("/version").json["version"] == "2.0.0"


def test_session_affinity_keeps_a_client_on_the_canary(mesh: Bench) -> None:
    to_primary, to_canary = ({"destination": {"host": f"podinfo-{name}"}} for name in ("primary", "canary"))
    cookie = {"response": {"add": {"Set-Cookie": "flagger-cookie=LpsIaLdoNZ; Max-Age=86400"}}}
    sticky = {"match": [{"headers": {"Cookie": {"regex": ".*flagger-cookie.*LpsIaLdoNZ.*"}}}]}
    mesh.rule(
        {**sticky, "route": [{**to_primary, "weight": 0}, {**to_canary, "weight": 100}]},
        {"route": [{**to_primary, "weight": 50}, {**to_canary, "weight": 50, "headers": cookie}]},
    )
    answers = [mesh.get("/version") for _ in range(10)]
    given = {answer.json["version"]: answer.headers["Set-Cookie"] for answer in answers}
    assert given == {"2.0.0": None, "2.1.3": "flagger-cookie=LpsIaLdoNZ; Max-Age=86400"}
    assert {mesh.get("/version", cookie="flagger-cookie=LpsIaLdoNZ").json["version"] for _ in range(10)} == {"2.1.3"}


def test_an_abort_fails_its_share_before_any_program_is_asked(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, fault={"abort": {"httpStatus": 555, "percentage": {"value": 100}}}))
    assert mesh.get().status == 555
    wait_until(lambda: mesh.counted(reporter="source", response_code="555", response_flags="FI") == 1)
    assert mesh.counted(reporter="destination", response_code="555") == 0


def test_a_delay_holds_requests_back(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, fault={"delay": {"fixedDelay": "300ms", "percentage": {"value": 100}}}))
    began = time.monotonic()
    assert mesh.get().status == 200
    assert time.monotonic() - began >= 0.28  # Envoy's timers count from the start of its loop's turn: a little less


def test_a_timeout_ends_a_slow_request_with_504(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, timeout="200ms"))
    assert mesh.get("/delay/3").status == 504


def test_failed_requests_are_tried_again_as_often_as_the_rule_says(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, retries={"attempts": 3, "retryOn": "599"}))
    assert mesh.get("/status/599").status == 599
    wait_until(lambda: mesh.counted(reporter="destination", response_code="599") == 4)
    wait_until(lambda: mesh.counted(reporter="source", response_code="599") == 1)


def test_a_path_is_rewritten(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, match=[{"uri": {"prefix": "/old"}}], rewrite={"uri": "/version"}))
    assert mesh.get("/old").json["version"] == "2.0.0"
    assert mesh.get("/other").status == 404


def test_headers_are_changed_on_both_ways(mesh: Bench) -> None:
    change = {"request": {"set": {"x-asked": "yes"}, "remove": ["x-secret"]}, "response": {"add": {"x-answer": "42"}}}
    mesh.rule(weighted(100, 0, headers=change))
    answer = mesh.get("/headers", x_secret="1")
    seen = {name.lower() for name in answer.json}
    assert "x-asked" in seen
    assert "x-secret" not in seen
    assert answer.headers["x-answer"] == "42"


def test_a_redirect_and_a_direct_response_answer_by_themselves(mesh: Bench) -> None:
    mesh.rule(
        {"match": [{"uri": {"exact": "/gone"}}], "directResponse": {"status": 410, "body": {"string": "no more"}}},
        {"redirect": {"uri": "/new", "redirectCode": 302}},
    )
    assert mesh.get("/gone").body == "no more"
    answer = mesh.get()
    assert (answer.status, answer.headers["location"]) == (302, "http://podinfo.test:9898/new")


def test_cors_answers_a_browsers_question(mesh: Bench) -> None:
    policy = {"allowOrigins": [{"exact": "https://a.example"}], "allowMethods": ["GET"]}
    mesh.rule(weighted(100, 0, corsPolicy=policy))
    asked = {"origin": "https://a.example", "access_control_request_method": "GET"}
    assert mesh.get(method="OPTIONS", **asked).headers["access-control-allow-origin"] == "https://a.example"


def test_mirroring_doubles_what_is_written(mesh: Bench) -> None:
    mesh.rule(weighted(100, 0, mirror={"host": "podinfo-canary"}))
    before = mesh.get(host="podinfo-canary.test:9898").json["writes"]
    for _ in range(5):
        assert mesh.get("/cache/order", method="POST").status == 202
    wait_until(lambda: mesh.get(host="podinfo-canary.test:9898").json["writes"] == before + 5)  # type: ignore[operator]


def test_a_full_connection_pool_turns_requests_away(mesh: Bench) -> None:
    pool = {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}
    mesh.apply("destinationrules", make.destinationrule("podinfo-primary", trafficPolicy={"connectionPool": pool}))
    mesh.rule(weighted(100, 0, retries={"attempts": 0}))
    found = statuses(mesh.hey("-n", "20", "-c", "10", url="http://podinfo.test:9898/delay/0.2").communicate()[0])
    assert found.keys() == {200, 503}
    assert mesh.counted(reporter="source", response_code="503", response_flags="UO") == found[503]


def test_an_outlier_is_ejected(mesh: Bench) -> None:
    detection = {"consecutive5xxErrors": 3, "interval": "100ms", "baseEjectionTime": "60s", "maxEjectionPercent": 100}
    rule = make.destinationrule("podinfo-canary", trafficPolicy={"outlierDetection": detection})
    mesh.apply("destinationrules", rule)
    mesh.rule(weighted(0, 100, retries={"attempts": 0}))
    assert [mesh.get("/status/500").status for _ in range(3)] == [500] * 3
    wait_until(lambda: mesh.get("/version").status == 503)


def test_a_gateway_lets_a_browser_in(mesh: Bench) -> None:
    mesh.apply("pods", make.gateway_pod(ip=mesh.ip(9)))
    mesh.apply("gateways", make.gateway(hosts=("app.example.com",), port=8080))
    shared = make.virtualservice(weighted(0, 100), hosts=["podinfo", "app.example.com"], gateways=["public", "mesh"])
    mesh.apply("virtualservices", shared)
    wait_until(lambda: request(mesh.ip(9), 8080, "GET", "/version", host="app.example.com").status == 200)
    assert request(mesh.ip(9), 8080, "GET", "/version", host="app.example.com:8080").json["version"] == "2.1.3"
    assert request(mesh.ip(9), 8080, "GET", "/version", host="elsewhere.example.com").status == 502
    assert mesh.get("/version").json["version"] == "2.1.3"


def test_statistics_are_open_and_the_admin_interface_is_not(mesh: Bench) -> None:
    assert request(mesh.ip(100), STATS_PORT, "GET", "/ready").status == 200
    for path in ("/quitquitquit", "/config_dump", "/stats"):
        assert request(mesh.ip(100), STATS_PORT, "POST", path).status == 404
    assert stat.S_IMODE((mesh.path / ADMIN).stat().st_mode) == 0o600


def test_what_prometheus_reads_each_second_is_small(mesh: Bench) -> None:
    assert mesh.get().status == 200
    names = {
        line.partition("{")[0]
        for line in request(mesh.ip(100), STATS_PORT, "GET", "/stats/prometheus").body.splitlines()
        if line and not line.startswith("#")
    }
    assert names <= {
        "envoy_istio_requests_total",
        "envoy_server_live",
        *(f"envoy_istio_request_duration_milliseconds_{end}" for end in ("bucket", "sum", "count")),
    }


def test_a_hundred_changes_of_weights_lose_no_request_of_two_hundred_a_second(mesh: Bench) -> None:
    load = mesh.hey("-z", "12s", "-q", "50", "-c", "4")
    end = time.monotonic() + 11
    changes = 0
    while time.monotonic() < end or changes < 100:
        canary = changes * 37 % 101
        mirror = {"mirror": {"host": "podinfo-canary"}} if changes % 3 == 0 else {}
        mesh.world.virtualservices[("test", "podinfo")] = make.virtualservice(weighted(100 - canary, canary, **mirror))
        mesh.write()
        changes += 1
        time.sleep(0.05)
    found = statuses(load.communicate()[0])
    assert changes >= 100
    assert found.keys() == {200}
    assert found[200] > 2000


def test_a_listener_that_envoy_hears_of_before_its_cluster_is_not_refused(mesh: Bench) -> None:
    """The files are written in order, but a busy Envoy reads them in another."""
    before = mesh.compiled()
    mesh.podinfo(31, "2.0.0")
    mesh.world.pods[("test", "p31")] = make.pod("p31", mesh.ip(31), workload="podinfo-primary")
    mesh.directory.write(replace(mesh.compiled(), clusters=before.clusters))
    wait_until(lambda: request(mesh.ip(31), 9898, "GET", "/version").status == 503)
    mesh.write()
    wait_until(lambda: request(mesh.ip(31), 9898, "GET", "/version").status == 200)


def test_pods_that_come_and_go_lose_no_request(mesh: Bench) -> None:
    """A rolling update, ten times: a new pod, its endpoint, the old endpoint gone, the old pod ended."""
    load = mesh.hey("-z", "20s", "-q", "50", "-c", "4")
    running = {1: mesh.processes[0]}
    old = 1
    for new in range(11, 21):
        running[new] = mesh.podinfo(new, "2.0.0")
        mesh.world.pods[("test", f"p{new}")] = make.pod(f"p{new}", mesh.ip(new), workload="podinfo-primary")
        mesh.write()
        mesh.apply("endpoints", make.endpoints("podinfo-primary", mesh.ip(old), mesh.ip(new)))
        mesh.apply("endpoints", make.endpoints("podinfo-primary", mesh.ip(new)))
        if old != 1:  # which the other tests need
            running[old].terminate()
            assert running[old].wait(10) == 0
            del mesh.world.pods[("test", f"p{old}")]
        mesh.write()
        old = new
    found = statuses(load.communicate()[0])
    assert found.keys() == {200}
    assert found[200] > 3000
