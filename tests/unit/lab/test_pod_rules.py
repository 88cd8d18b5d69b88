"""What a pod may say of its volumes, mounts, variables and commands, alone and as a template, in Kubernetes' words."""

# ruff: noqa: E501  (a case of a table is one line)

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.checks import admission, decoding, rules
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.kinds import CONFIGMAPS, DEPLOYMENTS, PODS, REPLICASETS, SECRETS, Kind
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]


def said(kind: Kind, obj: Obj) -> list[str]:
    return [str(cause) for cause in rules.check(kind, admission.defaulted(Store(KINDS), kind, kind.version, obj))]


def of_a_pod(spec: Obj) -> dict[Kind, Obj]:
    """The same pod as itself and as the template of what makes pods."""
    labels = {"app": "a"}
    holder = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    meta = {"name": "p"}
    return {PODS: {"metadata": meta, "spec": spec}} | {
        kind: {"metadata": meta, "spec": holder} for kind in (DEPLOYMENTS, REPLICASETS)
    }


def pod(volumes: Any = (), **container: Any) -> Obj:
    return {"containers": [{"name": "c", "image": "i"} | container], "volumes": list(volumes)}


def config_map(**source: Any) -> Obj:
    return pod([{"name": "v", "configMap": {"name": "c"} | source}])


def items(path: str, key: str = "k") -> Obj:
    return config_map(items=[{"key": key, "path": path}])


def mounted(**mount: Any) -> Obj:
    return pod([{"name": "v", "emptyDir": {}}], volumeMounts=[{"name": "v", "mountPath": "/v"} | mount])


def projected(**source: Any) -> Obj:
    return pod([{"name": "v", "projected": {"sources": [source]}}])


LABEL = "a lowercase RFC 1123 label must consist of"
REFUSED: dict[str, tuple[Obj, str]] = {
    "a volume's name leads out": (pod([{"name": "../../x", "emptyDir": {}}]), f'volumes[0].name: Invalid value: "../../x": {LABEL}'),
    "a volume's name is a path": (pod([{"name": "/etc", "emptyDir": {}}]), f'volumes[0].name: Invalid value: "/etc": {LABEL}'),
    "a volume's name has a NUL": (pod([{"name": "a\0", "emptyDir": {}}]), "volumes[0].name: Invalid value"),
    "a volume's name is long": (pod([{"name": "a" * 64, "emptyDir": {}}]), "must be no more than 63 characters"),
    "a volume without a name": (pod([{"name": "", "emptyDir": {}}]), "volumes[0].name: Required value"),
    "a volume twice": (pod([{"name": "v", "emptyDir": {}}] * 2), 'volumes[1].name: Duplicate value: "v"'),
    "a volume of two kinds": (
        pod([{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]),
        "volumes[0].secret: Forbidden: may not specify more than 1 volume type"),
    "no ConfigMap": (config_map(name=""), "volumes[0].configMap.name: Required value"),
    "no Secret": (pod([{"name": "v", "secret": {}}]), "volumes[0].secret.secretName: Required value"),
    "a path that is absolute": (items("/etc/x"), 'configMap.items[0].path: Invalid value: "/etc/x": must be a relative path'),
    "a path that leads out": (items("a/../../x"), 'items[0].path: Invalid value: "a/../../x": must not contain \'..\''),
    "a path that is the way out": (items(".."), "items[0].path: Invalid value: \"..\": must not contain '..'"),
    "a path for the kubelet": (items("..data"), "items[0].path: Invalid value: \"..data\": must not start with '..'"),
    "a path that is empty": (items(""), "items[0].path: Required value"),
    "a path that is a directory": (items("."), 'items[0].path: Invalid value: ".": must name a file'),
    "a path with a NUL": (items("a\0b"), "must not contain a NUL character"),
    "no key": (items("a", key=""), "items[0].key: Required value"),
    "a path twice": (config_map(items=[{"key": "a", "path": "x"}, {"key": "b", "path": "x"}]), "conflicting duplicate paths"),
    "a file where a directory is": (
        config_map(items=[{"key": "a", "path": "x/y"}, {"key": "b", "path": "x"}]), "conflicting duplicate paths"),
    "a mode of no file": (config_map(defaultMode=0o7777), "configMap.defaultMode: Invalid value: 4095: must be a number between"),
    "a Secret's path that leads out": (
        pod([{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../x"}]}}]),
        "volumes[0].secret.items[0].path: Invalid value: \"../x\": must not contain '..'"),
    "a downward path that leads out": (
        pod([{"name": "v", "downwardAPI": {"items": [{"path": "/x", "fieldRef": {"fieldPath": "metadata.name"}}]}}]),
        "downwardAPI.items[0].path: Invalid value: \"/x\": must be a relative path"),
    "a downward file of nothing": (
        pod([{"name": "v", "downwardAPI": {"items": [{"path": "x"}]}}]),
        "downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required"),
    "a projected ConfigMap's path": (
        projected(configMap={"name": "c", "items": [{"key": "k", "path": "../x"}]}),
        "projected.sources[0].configMap.items[0].path: Invalid value"),
    "a projected Secret's path": (
        projected(secret={"name": "c", "items": [{"key": "k", "path": "/x"}]}),
        "projected.sources[0].secret.items[0].path: Invalid value"),
    "a projected Secret of no name": (projected(secret={}), "projected.sources[0].secret.name: Required value"),
    "a projected downward path": (
        projected(downwardAPI={"items": [{"path": "../x", "fieldRef": {"fieldPath": "metadata.name"}}]}),
        "projected.sources[0].downwardAPI.items[0].path: Invalid value"),
    "a projected token's path": (projected(serviceAccountToken={"path": "../x"}), "sources[0].serviceAccountToken.path: Invalid value"),
    "a projected token without a path": (projected(serviceAccountToken={"path": ""}), "serviceAccountToken.path: Required value"),
    "two in one source": (
        projected(secret={"name": "s"}, configMap={"name": "c"}), "may not specify more than 1 volume type per source"),
    "a path of the host that leads back": (
        pod([{"name": "v", "hostPath": {"path": "/a/../b"}}]), "hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
    "a part that leads out": (mounted(subPath="../.."), "volumeMounts[0].subPath: Invalid value: \"../..\": must not contain '..'"),
    "a part that is absolute": (mounted(subPath="/etc"), 'volumeMounts[0].subPath: Invalid value: "/etc": must be a relative path'),
    "a part with a NUL": (mounted(subPath="a\0"), "volumeMounts[0].subPath: Invalid value"),
    "a part by variables that leads out": (mounted(subPathExpr="$(A)/../.."), "volumeMounts[0].subPathExpr: Invalid value"),
    "two parts": (mounted(subPath="a", subPathExpr="b"), "subPathExpr and subPath are mutually exclusive"),
    "a mount with a colon": (mounted(mountPath="/a:b"), "volumeMounts[0].mountPath: Invalid value: \"/a:b\": must not contain ':'"),
    "a mount that leads back": (mounted(mountPath="/a/../b"), "volumeMounts[0].mountPath: Invalid value"),
    "a mount of nothing": (mounted(mountPath=""), "volumeMounts[0].mountPath: Required value"),
    "a mount of an unknown volume": (mounted(name="w"), 'volumeMounts[0].name: Not found: "w"'),
    "a place taken twice": (
        pod([{"name": "v", "emptyDir": {}}], volumeMounts=[{"name": "v", "mountPath": "/v"}] * 2),
        'volumeMounts[1].mountPath: Invalid value: "/v": must be unique'),
    "a command with a NUL": (pod(command=["a", "b\0"]), "command[1]: Invalid value"),
    "an argument with a NUL": (pod(args=["\0"]), "args[0]: Invalid value"),
    "a variable with a NUL": (pod(env=[{"name": "A", "value": "\0"}]), "env[0].value: Invalid value"),
    "a request above its limit": (
        pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
        "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m"),
    "a directory with a NUL": (pod(workingDir="/\0"), "workingDir: Invalid value"),
    "a variable of nothing": (pod(env=[{"name": "A", "valueFrom": {}}]), "env[0].valueFrom: Invalid value: \"\": must specify one of"),
    "a variable of two": (
        pod(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}, "secretKeyRef": {"name": "s", "key": "k"}}}]),
        "env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time"),
    "a variable's key leads out": (
        pod(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": ".."}}}]),
        "env[0].valueFrom.configMapKeyRef.key: Invalid value: \"..\": must not be '..'"),
    "a field that there is not": (
        pod(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]),
        "error converting fieldPath: field label not supported: spec.nope"),
    "variables of nothing": (pod(envFrom=[{}]), "envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"),
    "variables of no name": (pod(envFrom=[{"configMapRef": {}}]), "envFrom[0].configMapRef.name: Required value"),
    "a hook of nothing": (pod(lifecycle={"preStop": {}}), "lifecycle.preStop: Required value: must specify a handler type"),
    "a hook without a command": (pod(lifecycle={"preStop": {"exec": {}}}), "lifecycle.preStop.exec.command: Required value"),
    "a probe with a NUL": (pod(livenessProbe={"exec": {"command": ["\0"]}}), "livenessProbe.exec.command[0]: Invalid value"),
    "a gRPC probe": (pod(readinessProbe={"grpc": {"port": 9}}), "readinessProbe.grpc: Forbidden: the lab has no gRPC probes"),
    "a hook after the start": (
        pod(lifecycle={"postStart": {"exec": {"command": ["a"]}}}), "lifecycle.postStart: Forbidden: the lab does not run postStart hooks"),
    "a sidecar container": (
        pod() | {"initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}]},
        "initContainers[0].restartPolicy: Forbidden: the lab has no sidecar containers"),
    "an init container's mount": (
        pod() | {"initContainers": [{"name": "s", "image": "i", "volumeMounts": [{"name": "w", "mountPath": "/w"}]}]},
        'initContainers[0].volumeMounts[0].name: Not found: "w"'),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_kubernetes_refuses_in_a_pod_is_refused_alone_and_in_a_template(spec: Obj, expected: str) -> None:
    for kind, obj in of_a_pod(spec).items():
        found = said(kind, obj)
        assert any(expected in each for each in found), (kind, found)


ACCEPTED: dict[str, Obj] = {
    "no volume": pod(),
    "an emptyDir, which a volume of no kind is": pod([{"name": "v"}]),
    "a file in a directory": items("a/b..c/..d"),
    "many sources": pod([{"name": "v", "projected": {"sources": [
        {"secret": {"name": "s", "optional": True}}, {"serviceAccountToken": {"path": "t"}},
        {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.labels['a']"}}]}},
    ]}}]),
    "a part": mounted(subPath="a/b..c"),
    "a hook that sleeps": pod(lifecycle={"preStop": {"sleep": {"seconds": 1}}}),
    "variables": pod(env=[{"name": "A.b-c", "value": ""}, {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                     envFrom=[{"prefix": "X_", "secretRef": {"name": "s"}}]),
}  # fmt: skip


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_kubernetes_takes_is_taken(spec: Obj) -> None:
    for kind, obj in of_a_pod(spec).items():
        assert said(kind, obj) == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [(".", "data[.]: Invalid value: \".\": must not be '.'"), ("..", "data[..]: Invalid value: \"..\": must not be '..'"),
     ("..a", "must not start with '..'"), ("a" * 254, "must be no more than 253 characters"), ("a/b", "a valid config key"),
     ("", "a valid config key"), ("a\0", "a valid config key")],
)  # fmt: skip
def test_a_key_can_be_the_name_of_a_file(key: str, expected: str) -> None:
    for kind in (CONFIGMAPS, SECRETS):
        assert any(expected in each for each in said(kind, {"metadata": {"name": "c"}, "data": {key: ""}}))


def test_data_has_a_limit_and_a_key_one_place() -> None:
    large = {"metadata": {"name": "c"}, "data": {"a": "x" * 600_000, "b": "y" * 600_000}}
    assert said(CONFIGMAPS, large) == ["[]: Too long: may not be more than 1048576 bytes"]
    encoded = {"metadata": {"name": "s"}, "data": {"a": "QUJD" * 400_000}}
    assert said(SECRETS, encoded) == ["data: Too long: may not be more than 1048576 bytes"]
    assert said(SECRETS, {"metadata": {"name": "s"}, "data": {"a": "QUJD" * 349_000}}) == []
    twice = {"metadata": {"name": "c"}, "data": {"a": ""}, "binaryData": {"a": ""}}
    assert said(CONFIGMAPS, twice) == ['data[a]: Invalid value: "a": duplicate of key present in binaryData']


@pytest.mark.parametrize(("text", "byte"), [("!", 0), ("QUJ", 0), ("QUJDR", 4), ("QUJD=", 4), ("QU JD", 2), ("QQ=", 3)])
def test_data_that_is_no_base64_cannot_be_read(text: str, byte: int) -> None:
    for kind, part in ((SECRETS, "data"), (CONFIGMAPS, "binaryData")):
        obj = {"apiVersion": "v1", "kind": kind.kind, "metadata": {"name": "s"}, part: {"a": text}}
        refusal = decoding.decode(obj, schema.builtin("v1", kind.kind) or {}, kind, "v1").refusal
        assert refusal
        assert (refusal.code, refusal.message) == (
            400, f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: illegal base64 data at input byte {byte}'
        )  # fmt: skip


@pytest.mark.parametrize("text", ["", "QUJD", "QUI=", "QQ==", "QUJD\nQUJD\r\n"])
def test_data_that_is_base64_is_read(text: str) -> None:
    obj = {"metadata": {"name": "s"}, "data": {"a": text}}
    assert decoding.decode(obj, schema.builtin("v1", "Secret") or {}, SECRETS, "v1").refusal is None
