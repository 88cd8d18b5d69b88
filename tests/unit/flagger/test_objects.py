"""What Flagger makes around a target, field by field, and how it is kept right."""

from __future__ import annotations

from typing import Any

import pytest
from flagger_world import World, canary, podinfo

from canary_tutorial.flagger.effects import Create
from canary_tutorial.flagger.spec import Settings

TOOLKIT = {
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
}
OWNER = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "name": "podinfo",
    "uid": "uid-podinfo",
    "controller": True,
    "blockOwnerDeletion": True,
}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ORIGINAL = "flagger.kubernetes.io/original-configuration"


def world(service: dict[str, Any] | None = None, *objects: dict[str, Any], **analysis: Any) -> World:
    return World(podinfo(), canary(analysis, service), *objects).initialized()


# -- Services


@pytest.mark.parametrize(
    ("name", "selects"),
    [("podinfo", "podinfo-primary"), ("podinfo-primary", "podinfo-primary"), ("podinfo-canary", "podinfo")],
)
def test_three_services(name: str, selects: str):
    service = world()["Service/" + name]
    meta = service["metadata"]
    assert meta["labels"] == {"app": name}
    assert meta["annotations"] == TOOLKIT
    assert meta["ownerReferences"] == [OWNER]
    port = {"name": "http", "protocol": "TCP", "port": 9898, "targetPort": 9898}
    assert service["spec"] == {"type": "ClusterIP", "selector": {"app": selects}, "ports": [port]}


def test_a_service_of_another_name_and_port():
    found = world({"name": "shop", "port": 80, "targetPort": "http", "portName": "web", "appProtocol": "http2"})
    spec = found["Service/shop-canary"]["spec"]
    port = {"name": "web", "protocol": "TCP", "port": 80, "targetPort": "http", "appProtocol": "http2"}
    assert spec["ports"] == [port]
    assert found["VirtualService/shop"]["spec"]["hosts"] == ["shop"]
    assert found["DestinationRule/shop-primary"]["spec"] == {"host": "shop-primary"}


def test_a_canary_without_a_port_hears_what_the_api_says():
    found = World(podinfo(), canary(service={"port": None}))
    found.refuse = lambda effect: "port: 0" if isinstance(effect, Create) else None
    assert found.tick() == ["! reconcileService failed: service podinfo-canary.test create error: port: 0"]


def test_headless_services_and_traffic_distribution():
    spec = world({"headless": True, "trafficDistribution": "PreferClose"})["Service/podinfo"]["spec"]
    assert (spec["clusterIP"], spec["trafficDistribution"]) == ("None", "PreferClose")


def test_discovered_ports():
    target = podinfo()
    containers = target["spec"]["template"]["spec"]["containers"]
    containers[0]["ports"] += [{"containerPort": 9797, "name": "metrics"}, {"containerPort": 9999}]
    containers.append({"name": "istio-proxy", "ports": [{"containerPort": 15090}]})
    found = World(target, canary(service={"portDiscovery": True, "targetPort": "http"})).initialized()
    ports = found["Service/podinfo"]["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [
        ("http", 9898),
        ("metrics", 9797),
        ("tcp-podinfod-2", 9999),
    ]


def test_metadata_of_one_role_is_of_that_service_alone_but_apex_is_of_the_routes_too():
    own = {"labels": {"team": "a"}, "annotations": {"note": "b"}}
    found = world({"apex": own, "canary": {"labels": {"team": "c"}}})
    assert found["Service/podinfo"]["metadata"]["labels"] == {"team": "a", "app": "podinfo"}
    assert found["Service/podinfo"]["metadata"]["annotations"] == {"note": "b", **TOOLKIT}
    assert found["Service/podinfo-primary"]["metadata"]["labels"] == {"app": "podinfo-primary"}
    assert found["Service/podinfo-canary"]["metadata"]["labels"] == {"team": "c", "app": "podinfo-canary"}
    routes = found["VirtualService/podinfo"]["metadata"]
    assert (routes["labels"], routes["annotations"]) == ({"team": "a", "app": "podinfo"}, {"note": "b", **TOOLKIT})


def test_services_are_put_right_each_tick_and_node_ports_stay():
    found = world()
    spec = found["Service/podinfo"]["spec"]
    spec["selector"] = {"app": "podinfo"}
    spec["ports"][0] |= {"port": 80, "nodePort": 30080}
    found.tick()
    spec = found["Service/podinfo"]["spec"]
    assert spec["selector"] == {"app": "podinfo-primary"}
    assert (spec["ports"][0]["port"], spec["ports"][0]["nodePort"]) == (9898, 30080)
    assert "Service podinfo updated" in found.logs


def test_metadata_of_owned_services_is_put_right_but_for_unmanaged_keys():
    found = world({"unmanagedMetadata": {"annotations": ["cloud/note"], "labels": ["cloud"]}})
    meta = found["Service/podinfo"]["metadata"]
    meta["annotations"] |= {"cloud/note": "kept", "mine": "dropped"}
    meta["labels"] |= {"cloud": "kept", "mine": "dropped"}
    found.tick()
    meta = found["Service/podinfo"]["metadata"]
    assert meta["annotations"] == {**TOOLKIT, "cloud/note": "kept"}
    assert meta["labels"] == {"app": "podinfo", "cloud": "kept"}
    found.logs.clear()
    found.tick()
    assert "Service podinfo updated" not in found.logs


def own_service(**annotations: str) -> dict[str, Any]:
    spec = {"selector": {"app": "podinfo"}, "ports": [{"name": "http", "port": 9898, "targetPort": 9898}]}
    meta = {"name": "podinfo", "namespace": "test", "labels": {"mine": "yes"}, "annotations": annotations}
    return {"kind": "Service", "metadata": meta, "spec": spec}


def test_a_service_that_was_there_is_taken_over_without_an_owner():
    found = world(None, own_service(note="mine"))
    service = found["Service/podinfo"]
    assert service["spec"]["selector"] == {"app": "podinfo-primary"}
    assert "ownerReferences" not in service["metadata"]
    assert service["metadata"]["labels"] == {"mine": "yes"}
    assert service["metadata"]["annotations"] == {"note": "mine", **TOOLKIT}


def test_a_refused_service_is_told():
    found = World()
    found.refuse = lambda effect: "forbidden" if type(effect).__name__ == "Create" else None
    assert found.tick() == ["! reconcileService failed: service podinfo-canary.test create error: forbidden"]


# -- routes


def test_the_whole_virtualservice_at_rest():
    found = world()["VirtualService/podinfo"]
    assert found["apiVersion"] == "networking.istio.io/v1beta1"
    meta = {k: v for k, v in found["metadata"].items() if k not in ("generation", "uid")}
    assert meta == {"name": "podinfo", "namespace": "test", "annotations": TOOLKIT, "ownerReferences": [OWNER]}
    route = [
        {"destination": {"host": "podinfo-primary"}, "weight": 100},
        {"destination": {"host": "podinfo-canary"}, "weight": 0},
    ]
    assert found["spec"] == {
        "hosts": ["podinfo"],
        "gateways": ["mesh"],
        "http": [{"route": route, "timeout": "30s"}],
    }


@pytest.mark.parametrize(
    ("service", "hosts", "gateways"),
    [
        pytest.param({"hosts": ["shop.example"]}, ["shop.example", "podinfo"], ["mesh"], id="apex-is-added"),
        pytest.param({"hosts": ["*"]}, ["*"], ["mesh"], id="but-not-to-a-star"),
        pytest.param({"hosts": ["podinfo", "a"]}, ["podinfo", "a"], ["mesh"], id="nor-twice"),
        pytest.param({"gateways": ["public"]}, ["podinfo"], ["public"], id="mesh-is-not-added"),
    ],
)
def test_hosts_and_gateways(service: dict[str, Any], hosts: list[str], gateways: list[str]):
    spec = world(service)["VirtualService/podinfo"]["spec"]
    assert (spec["hosts"], spec["gateways"]) == (hosts, gateways)


def test_every_rule_carries_the_services_own_settings():
    own = {
        "match": [{"uri": {"prefix": "/api"}}],
        "rewrite": {"uri": "/"},
        "retries": {"attempts": 3},
        "corsPolicy": {"allowCredentials": True},
        "headers": {"request": {"add": {"x": "1"}}},
    }
    rule = world(own).http[0]
    assert {k: rule[k] for k in own} == own


def test_conditions_of_ab_are_crossed_with_the_services_own():
    own = [{"uri": {"prefix": "/a"}, "headers": {"base": {"exact": "1"}}}, {"uri": {"prefix": "/b"}}]
    header = {"headers": {"x": {"exact": "1"}}}
    found = world({"match": own}, match=[header, {"sourceLabels": {"app": "test"}}], iterations=1)
    assert found.http[0]["match"] == [
        {"uri": {"prefix": "/a"}, **header},
        {"uri": {"prefix": "/b"}, **header},
        {**own[0], "sourceLabels": {"app": "test"}},
        {**own[1], "sourceLabels": {"app": "test"}},
    ]
    assert found.http[1]["match"] == own


@pytest.mark.parametrize(
    ("service", "port"),
    [
        ({"portDiscovery": True}, None),
        ({"gateways": ["public"]}, None),
        ({"portDiscovery": True, "gateways": ["public"]}, {"number": 9898}),
        ({"portDiscovery": True, "gateways": ["mesh", "public"]}, None),
        ({"portDiscovery": True, "delegation": True}, {"number": 9898}),
    ],
)
def test_destinations_name_a_port_behind_gateways(service: dict[str, Any], port: dict[str, int] | None):
    destination = world(service).http[0]["route"][0]["destination"]
    assert destination.get("port") == port


def test_a_delegate_has_no_hosts_and_no_gateways():
    spec = world({"delegation": True})["VirtualService/podinfo"]["spec"]
    assert spec["hosts"] == []
    assert "gateways" not in spec


def test_a_delegate_with_hosts_is_refused():
    found = World(podinfo(), canary(service={"delegation": True, "hosts": ["a"]}))
    text = "VirtualService podinfo.test cannot have hosts and gateways when delegation enabled"
    found.tick()
    assert found.tick()[-1] == f"! reconcileVirtualService failed: {text}"


def test_a_service_that_becomes_a_delegate_keeps_its_weights():
    found = World().released()
    found.tick(2)
    found.change("Canary/podinfo", service__delegation=True)
    assert found.tick() == ["Advance podinfo.test canary weight 60"]
    assert found["VirtualService/podinfo"]["spec"]["hosts"] == []


def test_tcp_services_have_tcp_routes():
    found = World(podinfo(), canary(service={"appProtocol": "TCP", "match": [{"port": 9898}]})).released()
    found.tick()
    spec = found["VirtualService/podinfo"]["spec"]
    route = [
        {"destination": {"host": "podinfo-primary"}, "weight": 80},
        {"destination": {"host": "podinfo-canary"}, "weight": 20},
    ]
    assert spec["tcp"] == [{"match": [{"port": 9898}], "route": route}]
    assert "http" not in spec
    assert "Canary podinfo.test uses TCP service" in found.logs


def own_routes(**annotations: str) -> dict[str, Any]:
    http = [{"route": [{"destination": {"host": "podinfo"}}]}]
    meta = {"name": "podinfo", "namespace": "test", "annotations": annotations}
    return {"kind": "VirtualService", "metadata": meta, "spec": {"hosts": ["podinfo"], "http": http}}


def test_routes_pass_through_flaggers_types():
    cors = {"allowMethods": ["GET"], "maxAge": "", "allowCredentials": False}
    more: dict[str, Any] = {"corsPolicy": cors, "retries": {"retryOn": "5xx"}, "headers": {"request": {"add": {}}}}
    found = world({**more, "rewrite": {"uri": "/", "type": "ReplaceFullPath"}})
    (rule,) = found.http
    assert rule["corsPolicy"] == {"allowMethods": ["GET"]}
    assert rule["retries"] == {"attempts": 0, "retryOn": "5xx"}
    assert rule["headers"] == {"request": {}}
    assert rule["rewrite"] == {"uri": "/"}


def test_what_flaggers_types_do_not_know_is_no_edit_and_lost_with_the_next_step():
    found = World().released()
    found.tick()
    found["VirtualService/podinfo"]["spec"]["exportTo"] = ["."]
    assert found.tick() == ["Advance podinfo.test canary weight 40"]
    assert "exportTo" not in found["VirtualService/podinfo"]["spec"]


@pytest.mark.parametrize("apex", [{}, None])
def test_what_its_service_keeps_unmanaged_is_on_the_virtualservice_too(apex: dict[str, Any] | None):
    found = world({"unmanagedMetadata": {"annotations": ["note"], "labels": ["team"]}, "apex": apex})
    meta = found["Service/podinfo"]["metadata"]
    meta["labels"]["team"] = meta["annotations"]["note"] = "yes"
    assert found.tick() == []
    routes, kept = found["VirtualService/podinfo"]["metadata"], apex is not None
    assert ("team" in routes.get("labels", {}), "note" in routes["annotations"]) == (kept, kept)
    del meta["labels"]["team"], meta["annotations"]["note"]
    assert found.tick() == []
    routes = found["VirtualService/podinfo"]["metadata"]
    assert ("team" in routes.get("labels", {}), "note" in routes["annotations"]) == (False, False)


def test_routes_that_were_there_are_taken_over_and_remembered():
    found = world(None, own_routes())
    meta = found["VirtualService/podinfo"]["metadata"]
    saved = '{"hosts":["podinfo"],"http":[{"route":[{"destination":{"host":"podinfo"},"weight":0}]}]}'
    assert meta["annotations"][ORIGINAL] == saved
    assert "ownerReferences" not in meta
    assert found.weights == (100, 0, False)
    found.logs.clear()
    found.tick()
    assert "VirtualService podinfo.test updated" not in found.logs


def test_routes_that_kubectl_applied_need_no_other_memory():
    found = world(None, own_routes(**{LAST_APPLIED: "{}"}))
    annotations = found["VirtualService/podinfo"]["metadata"]["annotations"]
    assert annotations == {LAST_APPLIED: "{}", **TOOLKIT}


def test_labels_set_by_hand_are_taken_off_and_the_weights_with_them():
    found = World().released()
    found.tick(2)
    found["VirtualService/podinfo"]["metadata"]["labels"] = {"mine": "yes"}
    assert found.tick()[0] == "Starting canary analysis for podinfo.test"
    assert "labels" not in found["VirtualService/podinfo"]["metadata"]


def test_routes_without_the_canarys_are_told():
    found = World().released()
    found.tick()
    for each in found.http[0]["route"]:
        each["weight"] = 0
    text = "VirtualService podinfo.test does not contain routes for podinfo-primary and podinfo-canary"
    assert found.tick() == [f"! {text}"]


def test_destinationrules_carry_the_traffic_policy_and_are_put_right():
    policy = {"tls": {"mode": "DISABLE"}}
    found = world({"trafficPolicy": policy})
    for host in ("podinfo-primary", "podinfo-canary"):
        rule = found["DestinationRule/" + host]
        assert rule["spec"] == {"host": host, "trafficPolicy": policy}
        assert rule["metadata"]["ownerReferences"] == [OWNER]
    assert ("DestinationRule", "podinfo") not in found.objects
    found["DestinationRule/podinfo-canary"]["spec"]["trafficPolicy"] = {}
    found.tick()
    assert found["DestinationRule/podinfo-canary"]["spec"]["trafficPolicy"] == policy


# -- session affinity


def test_session_affinity_sets_and_ends_cookies():
    affinity = {"cookieName": "user", "primaryCookieName": "old", "maxAge": 60, "path": "/", "secure": True}
    affinity |= {"domain": "a.example", "httpOnly": True, "partitioned": True, "sameSite": "Lax"}
    attributes = "Domain=a.example; HttpOnly; Partitioned; Path=/; SameSite=Lax; Secure"
    found = World(podinfo(), canary({"sessionAffinity": affinity})).released()
    found.tick()
    canary_cookie = found.status["sessionAffinityCookie"]
    primary_cookie = found.status["primarySessionAffinityCookie"]
    assert canary_cookie.startswith("user=")
    sticky, stable, weighted = found.http
    name, _, value = canary_cookie.partition("=")
    assert sticky["match"] == [{"headers": {"Cookie": {"regex": f".*{name}.*{value}.*"}}}]
    assert [each["weight"] for each in sticky["route"]] == [0, 100]
    assert [each["weight"] for each in stable["route"]] == [100, 0]
    set_cookies = [each["headers"]["response"]["add"]["Set-Cookie"] for each in weighted["route"]]
    assert set_cookies == [f"{primary_cookie}; Max-Age=30; {attributes}", f"{canary_cookie}; Max-Age=60; {attributes}"]
    assert found.tick() == ["Advance podinfo.test canary weight 40"]
    assert found.status["sessionAffinityCookie"] == canary_cookie
    found.until("Finalising")
    leaving, rest = found.http
    assert leaving["headers"] == {"response": {"add": {"Set-Cookie": f"{canary_cookie}; Max-Age=-1"}}}
    assert [each["weight"] for each in rest["route"]] == [100, 0]
    assert found.status["previousSessionAffinityCookie"] == canary_cookie
    assert "sessionAffinityCookie" not in found.status
    found.tick()
    assert found.tick() == []


def test_the_primarys_cookie_outlives_a_release():
    affinity = {"cookieName": "user", "primaryCookieName": "old"}
    found = World(podinfo(), canary({"sessionAffinity": affinity})).released()
    found.until("Succeeded")
    kept = found.status["primarySessionAffinityCookie"]
    first = found.status["previousSessionAffinityCookie"]
    assert "sessionAffinityCookie" not in found.status
    found.set_image("podinfo:3")
    found.tick(2)
    assert kept.startswith("old=")
    assert found.status["primarySessionAffinityCookie"] == kept
    assert found.status["sessionAffinityCookie"] != first
    assert found.http[-1]["route"][0]["headers"]["response"]["add"]["Set-Cookie"] == f"{kept}; Max-Age=30"


def test_the_primarys_cookie_lives_as_long_as_the_interval_is_written():
    affinity = {"cookieName": "user", "primaryCookieName": "old"}
    found = World(podinfo(), canary({"sessionAffinity": affinity, "interval": "5s"})).released()
    found.tick()
    assert found.http[-1]["route"][0]["headers"]["response"]["add"]["Set-Cookie"].endswith("; Max-Age=5")
    found.change("Canary/podinfo", analysis__interval="5sec")
    assert found.tick() == ['! failed to parse canary interval: time: unknown unit "sec" in duration "5sec"']


# -- the primary


def test_a_primary_is_made_of_its_target():
    target = podinfo(replicas=0, minReadySeconds=3, progressDeadlineSeconds=60, revisionHistoryLimit=5)
    target["metadata"] |= {
        "labels": {"app": "podinfo", "team": "a", "kustomize.toolkit.fluxcd.io/name": "x"},
        "annotations": {LAST_APPLIED: "{}", "kustomize.toolkit.fluxcd.io/reconcile": "x"},
    }
    target["spec"]["template"]["metadata"]["annotations"] = {"note": "kept"}
    found = World(target, canary())
    found.tick()
    primary = found["Deployment/podinfo-primary"]
    assert primary["metadata"]["labels"] == {"app": "podinfo-primary"}
    assert primary["metadata"]["annotations"] == {LAST_APPLIED: "{}"}
    assert primary["metadata"]["ownerReferences"] == [OWNER]
    spec = primary["spec"]
    assert (spec["replicas"], spec["minReadySeconds"], spec["progressDeadlineSeconds"]) == (1, 3, 60)
    assert spec["selector"] == {"matchLabels": {"app": "podinfo-primary"}}
    assert spec["template"]["metadata"]["labels"] == {"app": "podinfo-primary"}
    assert spec["template"]["metadata"]["annotations"] == {"note": "kept", "flagger-id": "id-1"}


@pytest.mark.parametrize(
    ("prefixes", "labels"),
    [(("team",), {"team": "a"}), (("*",), {"team": "a"}), ((), {})],
    ids=["prefix", "all", "none"],
)
def test_a_promotion_replaces_the_primarys_labels_by_the_included_ones_and_its_own(
    prefixes: tuple[str, ...], labels: dict[str, str]
):
    target = podinfo()
    target["metadata"] |= {"labels": {"app": "podinfo", "team": "a"}, "annotations": {LAST_APPLIED: "{}"}}
    found = World(target, canary(), settings=Settings(include_label_prefix=prefixes)).released()
    first = found["Deployment/podinfo-primary"]["spec"]["template"]["metadata"]["annotations"]["flagger-id"]
    found["Deployment/podinfo"]["spec"]["replicas"] = 3
    found.until("Promoting")
    primary = found["Deployment/podinfo-primary"]
    own = {field: primary["metadata"][field] for field in ("labels", "annotations") if field in primary["metadata"]}
    annotations = {"annotations": {LAST_APPLIED: "{}"}} if prefixes == ("*",) else {}
    assert own == annotations | {"labels": labels | {"app": "podinfo-primary"}}
    assert primary["spec"]["replicas"] == 3
    assert primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"] != first


def test_a_primary_edited_by_hand_stays_as_it_is():
    found = world()
    found.change("Deployment/podinfo-primary", replicas=5)
    found.tick(2)
    assert found["Deployment/podinfo-primary"]["spec"]["replicas"] == 5


def test_pods_of_the_primary_keep_apart_from_each_other():
    labels = {"app": "podinfo", "app.kubernetes.io/name": "podinfo", "team": "podinfo"}  # the last selects no pods
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "host"}
    expression = {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["podinfo", "x"]}]}}
    target = podinfo()
    target["spec"]["template"]["spec"] |= {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        "topologySpreadConstraints": [expression],
    }
    found = World(target, canary())
    found.tick()
    spec = found["Deployment/podinfo-primary"]["spec"]["template"]["spec"]
    required = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    theirs = {"app": "podinfo-primary", "app.kubernetes.io/name": "podinfo-primary", "team": "podinfo"}
    assert required["labelSelector"]["matchLabels"] == theirs
    values = spec["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"][0]["values"]
    assert values == ["podinfo-primary", "x"]


@pytest.mark.parametrize(
    ("target", "primary", "replicas"), [(0, 3, 3), (0, 0, 1), (2, 3, 2)], ids=["as-primary", "at-least-1", "its-own"]
)
def test_a_target_wakes_with(target: int, primary: int, replicas: int):
    found = world()
    found.change("Deployment/podinfo-primary", replicas=primary)
    found.change("Deployment/podinfo", replicas=target)
    found.set_image("podinfo:2")
    found.tick()
    assert found.replicas == replicas


# -- autoscalers


def autoscaler(**spec: Any) -> dict[str, Any]:
    meta = {"name": "podinfo", "namespace": "test", "labels": {"team": "a"}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": meta,
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 4, **spec},
    }


def scaled(*objects: dict[str, Any], **reference: Any) -> World:
    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo", **reference}
    return World(podinfo(), canary(autoscalerRef=reference), *objects)


def test_the_primary_gets_an_autoscaler_of_its_own():
    found = scaled(autoscaler(), primaryScalerReplicas={"minReplicas": 3}).initialized()
    primary = found["HorizontalPodAutoscaler/podinfo-primary"]
    assert primary["metadata"]["labels"] == {"team": "a"}
    assert primary["spec"]["scaleTargetRef"]["name"] == "podinfo-primary"
    assert (primary["spec"]["minReplicas"], primary["spec"]["maxReplicas"]) == (3, 4)


def test_a_scaled_target_wakes_with_its_least_and_the_primary_keeps_its_replicas():
    found = scaled(autoscaler()).initialized()
    found.change("Deployment/podinfo-primary", replicas=4)
    found.change("HorizontalPodAutoscaler/podinfo", maxReplicas=8)
    found.set_image("podinfo:2")
    found.tick()
    assert found.replicas == 2
    found.until("Promoting")
    assert found["HorizontalPodAutoscaler/podinfo-primary"]["spec"]["maxReplicas"] == 4
    found.until("Finalising")
    assert found["HorizontalPodAutoscaler/podinfo-primary"]["spec"]["maxReplicas"] == 8
    assert found["Deployment/podinfo-primary"]["spec"]["replicas"] == 4


def test_a_missing_autoscaler_is_told_and_blocks():
    found = scaled()
    found.tick()
    missing = 'horizontalpodautoscalers.autoscaling "podinfo" not found'
    assert found.tick()[-1] == f"! HorizontalPodAutoscaler podinfo.test get query error: {missing}"
    assert found.phase == "Initializing"
