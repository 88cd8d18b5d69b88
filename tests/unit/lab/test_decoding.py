"""Is this an object of its kind? Built-in kinds by their published schemas and rules, in Kubernetes' words."""

# ruff: noqa: E501  (a case of a table is one line)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canary_tutorial.lab import kinds, schema
from canary_tutorial.lab.api.checks import decoding, rules
from canary_tutorial.lab.api.kinds.registry import KINDS, resource_of
from canary_tutorial.lab.errors import BadRequest, Invalid
from canary_tutorial.lab.kinds import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, SERVICES, Kind
from canary_tutorial.lab.objects import clone

Obj = dict[str, Any]


def deployment() -> Obj:
    container = {"name": "podinfod", "image": "podinfo:1", "ports": [{"containerPort": 9898, "name": "http"}]}
    template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "podinfo"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "podinfo"}, "spec": spec}


def service(*ports: Obj) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "podinfo"}, "spec": {"ports": list(ports)}}


def container(obj: Obj) -> Obj:
    first: Obj = obj["spec"]["template"]["spec"]["containers"][0]
    return first


def faults(kind: Kind, obj: Obj) -> list[str]:
    """All that is wrong with an object, as the API would say it."""
    api_version = kind.api_version
    found = decoding.decode(obj, schema.builtin(api_version, kind.kind) or {}, kind, kind.version)
    if found.refusal:
        return [found.refusal.message]
    complete = clone(found.obj)
    resource_of(kind).default(complete)
    return [f"unknown {path}" for path in found.unknown] + [str(cause) for cause in rules.check(kind, complete)]


def test_good_objects_have_no_faults() -> None:
    assert faults(DEPLOYMENTS, deployment()) == []
    assert faults(SERVICES, service({"port": 80})) == []


Change = Callable[[Obj], Any]
BROKEN: dict[str, tuple[Change, str]] = {
    "unknown field": (lambda o: o["spec"].update(replicaz=1), "unknown spec.replicaz"),
    "unknown field in a list": (
        lambda o: container(o).update(imagee="x"), "unknown spec.template.spec.containers[0].imagee"),
    "text for a number": (
        lambda o: o["spec"].update(replicas="two"),
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field '
        "DeploymentSpec.spec.replicas of type int32"),
    "number too large": (lambda o: o["spec"].update(replicas=2**40), "cannot unmarshal number 1099511627776 into"),
    "number for text": (
        lambda o: container(o)["env"].append({"name": "A", "value": 1}) if "env" in container(o) else
        container(o).update(env=[{"name": "A", "value": 1}]),
        "cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"),
    "list for an object": (lambda o: o.update(spec=[]), "cannot unmarshal array into Go struct field Deployment.spec"),
    "no selector": (lambda o: o["spec"].pop("selector"), 'spec.selector: Required value'),
    "no container": (lambda o: o["spec"]["template"]["spec"].update(containers=[]), "spec.template.spec.containers: Required value"),
    "no image": (lambda o: container(o).pop("image"), "spec.template.spec.containers[0].image: Required value"),
    "labels do not match": (
        lambda o: o["spec"]["template"]["metadata"].update(labels={"app": "x"}),
        'spec.template.metadata.labels: Invalid value: map[string]string{"app":"x"}: `selector` does not match template `labels`'),
    "negative replicas": (
        lambda o: o["spec"].update(replicas=-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    "port out of range": (
        lambda o: container(o)["ports"][0].update(containerPort=99999),
        "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive"),
    "bad container name": (lambda o: container(o).update(name="Pod_Info"), 'Invalid value: "Pod_Info": a lowercase RFC 1123 label'),
    "bad label": (lambda o: o["metadata"].update(labels={"a": "b c"}), "metadata.labels: Invalid value: \"b c\": a valid label"),
    "bad name": (lambda o: o["metadata"].update(name="a/b"), 'metadata.name: Invalid value: "a/b": a lowercase RFC 1123 subdomain'),
    "bad quantity": (
        lambda o: container(o).update(resources={"limits": {"cpu": "lots"}}), "cannot be handled as a Deployment: quantities must match the regular expression"),
    "probe without handler": (
        lambda o: container(o).update(readinessProbe={"periodSeconds": 1}), "readinessProbe: Required value: must specify a handler type"),
    "mount without volume": (
        lambda o: container(o).update(volumeMounts=[{"name": "x", "mountPath": "/x"}]), 'volumeMounts[0].name: Not found: "x"'),
    "wrong strategy": (
        lambda o: o["spec"].update(strategy={"type": "Blue"}),
        'spec.strategy.type: Unsupported value: "Blue": supported values: "Recreate", "RollingUpdate"'),
    "no progress possible": (
        lambda o: o["spec"].update(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}),
        "may not be 0 when `maxSurge` is 0"),
    "policy of a job": (
        lambda o: o["spec"]["template"]["spec"].update(restartPolicy="Never"), 'Unsupported value: "Never": supported values: "Always"'),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_deployment_is_told_what_is_wrong(change: Change, expected: str) -> None:
    obj = deployment()
    change(obj)
    found = faults(DEPLOYMENTS, obj)
    assert any(expected in each for each in found), found


@pytest.mark.parametrize(
    ("kind", "obj", "expected"),
    [
        (SERVICES, service(), "spec.ports: Required value"),
        (
            SERVICES,
            service({"port": 0}),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (SERVICES, service({"port": 80}, {"port": 81}), "spec.ports[0].name: Required value"),
        (
            SERVICES,
            service({"port": 80, "name": "a"}, {"port": 81, "name": "a"}),
            'spec.ports[1].name: Duplicate value: "a"',
        ),
        (SERVICES, service({"port": 80}) | {"metadata": {"name": "1podinfo"}}, "a DNS-1035 label"),
        (NAMESPACES, {"metadata": {"name": "a.b"}}, "a lowercase RFC 1123 label"),
        (CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"a b": "x"}}, "a valid config key"),
        (CONFIGMAPS, {"metadata": {}}, "metadata.name: Required value: name or generateName is required"),
        (
            PODS,
            {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}] * 2}},
            'Duplicate value: "a"',
        ),
    ],
)
def test_other_kinds_have_their_rules(kind: Kind, obj: Obj, expected: str) -> None:
    found = faults(kind, obj)
    assert any(expected in each for each in found), found


def test_the_selector_of_a_deployment_never_changes() -> None:
    old, new = deployment(), deployment()
    new["spec"]["selector"]["matchLabels"] = {"app": "podinfo", "x": "y"}
    assert [cause.message for cause in rules.check_change(DEPLOYMENTS, old, new)] == [
        'Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"podinfo", "x":"y"}, '
        "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
    ]


def test_only_the_image_of_a_running_pod_may_change() -> None:
    old: Obj = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    image, command = clone(old), clone(old)
    image["spec"]["containers"][0]["image"] = "x:2"
    command["spec"]["containers"][0]["command"] = ["sh"]
    assert rules.check_change(PODS, old, image) == []
    assert "pod updates may not change fields other than" in rules.check_change(PODS, old, command)[0].message


def test_null_is_absent_and_whole_floats_are_integers() -> None:
    obj = deployment()
    obj["spec"] |= {"replicas": 2.0, "paused": None}
    found = decoding.decode(obj, schema.builtin("apps/v1", "Deployment") or {}, DEPLOYMENTS, "v1")
    assert (type(found.obj["spec"]["replicas"]), "paused" in found.obj["spec"], found.unknown) == (int, False, [])


def test_an_object_made_of_parts_is_asked_for_what_it_lacks_but_not_for_its_status() -> None:
    def lacking(kind: Kind, obj: Obj) -> list[str]:
        shape = schema.builtin(kind.api_version, kind.kind) or schema.FREE
        return [str(cause) for cause in decoding.lacking(obj, shape, kind)]

    assert lacking(DEPLOYMENTS, {}) == ["spec.selector: Required value", "spec.template: Required value"]
    scaler = {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}}
    assert lacking(kinds.AUTOSCALERS, scaler | {"status": {"currentMetrics": None}}) == []
    assert lacking(CONFIGMAPS, {}) == []


@pytest.mark.parametrize(
    ("finalizers", "said"),
    [
        (["nonsense"], "name is neither a standard finalizer name nor is it fully qualified"),
        (["a b/c"], "prefix part a lowercase RFC 1123 subdomain must consist of"),
        (["example.com/hold", "foregroundDeletion", "kubernetes"], ""),
    ],
)
def test_a_finalizer_is_a_qualified_name(finalizers: list[str], said: str) -> None:
    obj = deployment()
    obj["metadata"]["finalizers"] = finalizers
    found = faults(DEPLOYMENTS, obj)
    assert any(said in each for each in found) if said else found == []


def test_what_is_being_deleted_gets_no_new_finalizer() -> None:
    old, new = deployment(), deployment()
    old["metadata"] |= {"finalizers": ["a.b/c"], "deletionTimestamp": "2026-11-23T12:00:00Z"}
    new["metadata"] |= {"finalizers": ["a.b/c", "a.b/d"], "deletionTimestamp": "2026-11-23T12:00:00Z"}
    assert [str(cause) for cause in rules.check_change(DEPLOYMENTS, old, new)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"a.b/d"}'
    ]
    new["metadata"]["finalizers"] = []
    assert rules.check_change(DEPLOYMENTS, old, new) == []


def test_an_invalid_object_lists_its_causes() -> None:
    obj = deployment()
    del obj["spec"]["selector"], obj["spec"]["template"]
    missing = decoding.decode(obj, schema.builtin("apps/v1", "Deployment") or {}, DEPLOYMENTS, "v1").missing
    status = Invalid.of(DEPLOYMENTS, "podinfo", [*missing]).status_object()
    assert (
        status["message"]
        == 'Deployment.apps "podinfo" is invalid: [spec.selector: Required value, spec.template: Required value]'
    )
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.selector", "spec.template"]
    assert (status["code"], status["reason"]) == (422, "Invalid")


def test_every_built_in_kind_has_a_schema() -> None:
    for kind in KINDS:
        shape = schema.builtin(kind.api_version, kind.kind)
        assert shape, kind
        assert isinstance(decoding.decode({"metadata": []}, shape, kind, kind.version).refusal, BadRequest), kind


def test_of_several_wrong_types_the_first_is_named_before_anything_that_is_missing() -> None:
    obj = {"metadata": {"labels": {"a[0].b": 1}, "name": []}, "spec": {"selector": {}, "replicas": "x"}}
    refusal = decoding.decode(obj, schema.builtin("apps/v1", "Deployment") or {}, DEPLOYMENTS, "v1").refusal
    assert isinstance(refusal, BadRequest)
    assert refusal.message.endswith(
        "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
    )
