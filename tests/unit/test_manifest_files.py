"""What `kubectl apply -f manifests/` would bring: files that fit together, with the webinar's names and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from canary_tutorial.lab.machine.images import find_image

Obj = dict[str, Any]
FILES = sorted((Path(__file__).parents[2] / "manifests").glob("*.yaml"))
OBJECTS = [(file.name, obj) for file in FILES for obj in yaml.safe_load_all(file.read_text()) if obj]


def of_kind(kind: str) -> list[Obj]:
    return [obj for _, obj in OBJECTS if obj["kind"] == kind]


def one(kind: str, name: str) -> Obj:
    return next(obj for obj in of_kind(kind) if obj["metadata"]["name"] == name)


def test_an_object_that_stands_in_two_files_is_the_same_in_both() -> None:
    """The order in which files are applied must not matter."""
    seen: dict[tuple[str, str, str], Obj] = {}
    for _, obj in OBJECTS:
        key = (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        assert seen.setdefault(key, obj) == obj


def test_each_file_brings_the_namespace_that_it_needs_or_needs_another_files_first() -> None:
    namespaces = {obj["metadata"]["name"] for obj in of_kind("Namespace")}
    used = {obj["metadata"]["namespace"] for _, obj in OBJECTS if "namespace" in obj["metadata"]}
    assert used <= namespaces
    assert ("test-loadtester.yaml", one("Namespace", "test")) in OBJECTS  # it comes before test-podinfo.yaml


@pytest.mark.parametrize("deployment", of_kind("Deployment"), ids=lambda obj: obj["metadata"]["name"])
def test_a_deployment_selects_its_own_pods_and_its_images_are_known(deployment: Obj) -> None:
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    for container in spec["template"]["spec"]["containers"]:
        find_image(container["image"])  # raises ImageError for one that the lab does not have


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda obj: obj["metadata"]["name"])
def test_a_service_finds_pods_and_their_ports(service: Obj) -> None:
    templates = [
        obj["spec"]["template"]
        for obj in of_kind("Deployment")
        if obj["metadata"]["namespace"] == service["metadata"]["namespace"]
        and service["spec"]["selector"].items() <= obj["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert templates
    ports = {
        key: port["containerPort"]
        for container in templates[0]["spec"]["containers"]
        for port in container.get("ports") or []
        for key in (port["containerPort"], port.get("name"))
    }
    for port in service["spec"]["ports"]:
        assert port.get("targetPort", port["port"]) in ports


def test_podinfo_is_the_webinars() -> None:
    podinfo = one("Deployment", "podinfo")
    spec, container = podinfo["spec"], podinfo["spec"]["template"]["spec"]["containers"][0]
    assert podinfo["metadata"]["namespace"] == "test"
    assert (container["name"], container["image"]) == ("podinfod", "stefanprodan/podinfo:2.0.0")
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"]) == (5, 60)
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one("Namespace", "test")["metadata"]["labels"]["istio-injection"] == "enabled"


def test_the_load_is_the_webinars() -> None:
    container = one("Deployment", "flagger-loadtester")["spec"]["template"]["spec"]["containers"][0]
    assert container["name"] == "loadtester"
    assert container["command"] == ["hey", "-z=24h", "-q=10", "-c=2", "http://podinfo.test:9898/"]


def test_the_canary_has_the_webinars_numbers_in_todays_words() -> None:
    canary = one("Canary", "podinfo")
    analysis, service = canary["spec"]["analysis"], canary["spec"]["service"]
    assert canary["apiVersion"] == "flagger.app/v1beta1"
    assert canary["spec"]["progressDeadlineSeconds"] == 60
    assert {key: analysis[key] for key in ("interval", "threshold", "maxWeight", "stepWeight", "mirror")} == {
        "interval": "30s",
        "threshold": 2,
        "maxWeight": 50,
        "stepWeight": 20,
        "mirror": True,
    }
    assert analysis["metrics"] == [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "29s"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "29s"},
    ]
    assert service == {
        "port": 9898,
        "portName": "http",
        "portDiscovery": False,
        "gateways": ["mesh"],
        "timeout": "30s",
        "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
    }


def test_prometheus_is_not_sent_to_programs_behind_a_sidecar() -> None:
    """Its requests would be counted as traffic."""
    for deployment in of_kind("Deployment"):
        if deployment["metadata"]["namespace"] == "test":
            annotations = deployment["spec"]["template"]["metadata"].get("annotations") or {}
            assert not [name for name in annotations if name.startswith("prometheus.io")]


MESH = {
    "VirtualService": {
        "hosts": ["podinfo"],
        "gateways": ["mesh"],
        "http": [
            {
                "match": [{"headers": {"x-canary": {"exact": "insider"}}, "sourceLabels": {"app": "a"}}],
                "route": [{"destination": {"host": "podinfo-primary", "port": {"number": 9898}}, "weight": 0}],
                "mirror": {"host": "podinfo-canary"},
                "mirrorPercentage": {"value": 12.5},
                "timeout": "30s",
                "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"},
                "headers": {"response": {"add": {"Set-Cookie": "a=b"}}},
            }
        ],
    },
    "DestinationRule": {"host": "podinfo-canary", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
    "Gateway": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
    },
}


def closed(schema: Obj) -> Obj:
    """The schema as strict validation reads it: fields that it does not name are mistakes."""
    found = {key: closed(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("kind", MESH)
def test_the_schemas_of_the_mesh_know_what_flagger_and_lessons_write(kind: str) -> None:
    crd = next(obj for obj in of_kind("CustomResourceDefinition") if obj["spec"]["names"]["kind"] == kind)
    assert [version["name"] for version in crd["spec"]["versions"]] == ["v1", "v1beta1", "v1alpha3"]
    for version in crd["spec"]["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
        jsonschema.validate(MESH[kind], schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(MESH[kind] | {"hots": []}, schema)


def flagger_kind(plural: str) -> dict[str, Any]:
    """The schema that an API server keeps of one of Flagger's kinds."""
    version = one("CustomResourceDefinition", f"{plural}.flagger.app")["spec"]["versions"][0]
    return dict(version["schema"]["openAPIV3Schema"])


def canary(service: dict[str, Any] | None = None, **analysis: Any) -> dict[str, Any]:
    return {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 9898, **(service or {})},
        "analysis": {"interval": "30s", "threshold": 2, "iterations": 3, **analysis},
    }


ALERT = {"name": "room", "providerRef": {"name": "slack"}}
LOAD_BALANCED = {"consistentHash": {"httpCookie": {"name": "user", "ttl": "0s"}}}
ALLOWED = {
    "an alert without a severity": ("canaries", canary(alerts=[ALERT])),
    "a match of one kind": (
        "canaries",
        canary({"match": [{"uri": {"prefix": "/"}, "headers": {"x": {"regex": "."}}}]}),
    ),
    "a match of no kind, which a header has that only has to be there": ("canaries", canary({"match": [{"uri": {}}]})),
    "a suffix, in an analysis": ("canaries", canary(match=[{"headers": {"x": {"suffix": "insider"}}}])),
    "a hash of one thing": ("canaries", canary({"trafficPolicy": {"loadBalancer": LOAD_BALANCED}})),
    "a provider whose address is a Secret's": ("alertproviders", {"type": "slack", "secretRef": {"name": "url"}}),
}
REFUSED = {
    "a match of two kinds": ("canaries", canary({"match": [{"uri": {"prefix": "/", "exact": "/"}}]})),
    "a match of no kind, in an analysis": ("canaries", canary(match=[{"headers": {"x": {}}}])),
    "an origin of two kinds": ("canaries", canary({"corsPolicy": {"allowOrigins": [{"exact": "a", "regex": "b"}]}})),
    "a retry in words": ("canaries", canary({"retries": {"attempts": "three"}})),
    "a header to remove without a list": ("canaries", canary({"headers": {"request": {"remove": "x"}}})),
    "no such load balancer": ("canaries", canary({"trafficPolicy": {"loadBalancer": {"simple": "FASTEST"}}})),
    "a load balancer of two kinds": (
        "canaries", canary({"trafficPolicy": {"loadBalancer": {"simple": "RANDOM", **LOAD_BALANCED}}}),
    ),
    "no such TLS": ("canaries", canary({"trafficPolicy": {"tls": {"mode": "SIMPEL"}}})),
    "a distribution that Kubernetes does not know": ("canaries", canary({"trafficDistribution": "Near"})),
    "a Gateway without a name": ("canaries", canary({"gatewayRefs": [{"namespace": "istio-system"}]})),
    "a mirror without a name": ("canaries", canary({"mirror": [{"backendRef": {"port": 80}}]})),
    "a primary without pods": (
        "canaries",
        canary() | {"autoscalerRef": {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo",
            "primaryScalerReplicas": {"minReplicas": 0},
        }},
    ),
    "a provider without an address": ("alertproviders", {"type": "slack"}),
    "a kind of provider that Flagger does not know": ("alertproviders", {"type": "generic", "address": "http://a"}),
    "a kind of metrics that Flagger does not know": (
        "metrictemplates", {"provider": {"type": "elasticsearch", "address": "http://a"}, "query": "q"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plural", "spec"), ALLOWED.values(), ids=ALLOWED)
def test_flaggers_kinds_allow_what_its_own_definitions_allow(plural: str, spec: dict[str, Any]):
    jsonschema.validate({"spec": spec}, flagger_kind(plural))


@pytest.mark.parametrize(("plural", "spec"), REFUSED.values(), ids=REFUSED)
def test_flaggers_kinds_refuse_what_its_own_definitions_refuse(plural: str, spec: dict[str, Any]):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"spec": spec}, flagger_kind(plural))


def test_what_an_ab_test_cannot_match_is_not_kept():
    """Flagger's definition knows three things to match in an analysis; what else is written, an API server drops."""
    analysis = flagger_kind("canaries")["properties"]["spec"]["properties"]["analysis"]["properties"]
    assert set(analysis["match"]["items"]["properties"]) == {"headers", "queryParams", "sourceLabels"}


def test_a_cookie_lives_a_day_unless_told_otherwise():
    analysis = flagger_kind("canaries")["properties"]["spec"]["properties"]["analysis"]["properties"]
    assert analysis["sessionAffinity"]["properties"]["maxAge"]["default"] == 86400
