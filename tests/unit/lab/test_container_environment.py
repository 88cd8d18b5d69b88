"""What a container sees: variables from everywhere, mounted files, and paths that are moved to where they are."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from controller_objects import Obj, pod

from canary_tutorial.lab.kubelet.environment import (
    ConfigError,
    at_home,
    environment,
    expand,
    field_value,
    mounts,
    relocate,
    volume_files,
)

CONFIG = {"kind": "ConfigMap", "data": {"LEVEL": "debug", "app.yaml": "a: 1\n"}, "binaryData": {"raw": "AAE="}}
SECRET = {"kind": "Secret", "data": {"password": base64.b64encode(b"s3cret").decode()}}
POD = pod("podinfo-1", labels={"app": "podinfo", "tier": "web"}, annotations={"note": "n"})
IP = "127.16.0.7"


def find(kind: str, name: str) -> Obj | None:
    return {("ConfigMap", "settings"): CONFIG, ("Secret", "login"): SECRET}.get((kind, name))


def variables(**container: object) -> dict[str, str]:
    return environment(POD, {"name": "podinfod", **container}, IP, find)


def from_(**source: object) -> dict[str, str]:
    return variables(env=[{"name": "X", "valueFrom": source}])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)-$(B)", "1-2", id="known names"),
        pytest.param("$(UNKNOWN)", "$(UNKNOWN)", id="an unknown name stays"),
        pytest.param("$$(A)", "$(A)", id="escaped"),
        pytest.param("$$$(A)", "$1", id="a dollar sign, then a name"),
        pytest.param("cost: 5$$", "cost: 5$", id="two dollar signs are one"),
        pytest.param("$A ${A}", "$A ${A}", id="the shell's forms are the shell's"),
        pytest.param("$(A", "$(A", id="not closed"),
    ],
)
def test_references_are_expanded(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param({"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}, "debug", id="a ConfigMap's key"),
        pytest.param({"secretKeyRef": {"name": "login", "key": "password"}}, "s3cret", id="a Secret's key"),
        pytest.param({"configMapKeyRef": {"name": "settings", "key": "no", "optional": True}}, None, id="optional key"),
        pytest.param({"configMapKeyRef": {"name": "no", "key": "no", "optional": True}}, None, id="optional map"),
        pytest.param({"fieldRef": {"fieldPath": "status.podIP"}}, IP, id="the downward API"),
    ],
)
def test_values_come_from_elsewhere(source: Obj, value: str | None) -> None:
    assert from_(**source).get("X") == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(
            {"configMapKeyRef": {"name": "settings", "key": "no"}},
            "couldn't find key no in ConfigMap test/settings",
            id="no such key",
        ),
        pytest.param({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found', id="no such map"),
        pytest.param({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found', id="no such secret"),
    ],
)
def test_what_is_missing_is_told_in_kubernetes_words(source: Obj, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        from_(**source)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "podinfo-1"),
        ("metadata.namespace", "test"),
        ("metadata.uid", "uid-podinfo-1"),
        ("metadata.labels['app']", "podinfo"),
        ("metadata.annotations['note']", "n"),
        ("metadata.labels", 'app="podinfo"\ntier="web"'),
        ("spec.nodeName", "lab"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", IP),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_the_downward_api_knows(path: str, value: str) -> None:
    assert field_value(POD, path, IP) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        pytest.param({"resource": "limits.memory"}, "67108864", id="bytes"),
        pytest.param({"resource": "limits.memory", "divisor": "1Mi"}, "64", id="mebibytes"),
        pytest.param({"resource": "requests.cpu"}, "1", id="cores are rounded up"),
        pytest.param({"resource": "requests.cpu", "divisor": "1m"}, "250", id="millicores"),
        pytest.param({"resource": "requests.memory"}, "0", id="none asked for"),
    ],
)
def test_resources_are_told_in_units_of_the_divisor(reference: Obj, value: str) -> None:
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    env = [{"name": "X", "valueFrom": {"resourceFieldRef": reference}}]

    assert variables(resources=resources, env=env)["X"] == value


def test_variables_build_on_earlier_ones_and_win_over_envfrom() -> None:
    found = variables(
        envFrom=[{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "login"}, "prefix": "DB_"}],
        env=[{"name": "LEVEL", "value": "info"}, {"name": "TEXT", "value": "$(LEVEL) $(DB_password) $(LATER)"}],
    )

    assert found["LEVEL"] == "info"
    assert found["DB_password"] == "s3cret"
    assert found["TEXT"] == "info s3cret $(LATER)"


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        pytest.param(
            {"configMap": {"name": "settings"}},
            {"LEVEL": b"debug", "app.yaml": b"a: 1\n", "raw": b"\x00\x01"},
            id="a whole ConfigMap",
        ),
        pytest.param(
            {"configMap": {"name": "settings", "items": [{"key": "app.yaml", "path": "conf/a.yaml"}]}},
            {"conf/a.yaml": b"a: 1\n"},
            id="chosen keys under other names",
        ),
        pytest.param({"configMap": {"name": "no", "optional": True}}, {}, id="an optional ConfigMap"),
        pytest.param({"secret": {"secretName": "login"}}, {"password": b"s3cret"}, id="a Secret"),
        pytest.param({"emptyDir": {}}, {}, id="an emptyDir is empty"),
        pytest.param(
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"labels": b'app="podinfo"\ntier="web"'},
            id="the downward API",
        ),
        pytest.param(
            {
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"secret": {"name": "login"}},
                        {"configMap": {"name": "settings", "items": [{"key": "LEVEL", "path": "level"}]}},
                    ]
                }
            },
            {"token": b"a-token", "password": b"s3cret", "level": b"debug"},
            id="several projected into one",
        ),
    ],
)
def test_volumes_hold(volume: Obj, files: dict[str, bytes]) -> None:
    assert volume_files(POD, {"name": "v", **volume}, find, "a-token", "a-ca", IP) == files


def test_a_missing_configmap_holds_the_pod_back() -> None:
    with pytest.raises(ConfigError, match='configmap "no" not found'):
        volume_files(POD, {"name": "v", "configMap": {"name": "no"}}, find, "", "", IP)


WHERE = mounts(
    {
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/config"},
            {"name": "data", "mountPath": "/etc/config/data/"},
            {"name": "file", "mountPath": "/app.yaml", "subPath": "app.yaml"},
        ]
    },
    Path("/pods/volumes"),
)


@pytest.mark.parametrize(
    ("word", "moved"),
    [
        ("/etc/config", "/pods/volumes/config"),
        ("/etc/config/app.yaml", "/pods/volumes/config/app.yaml"),
        ("--file=/etc/config/app.yaml", "--file=/pods/volumes/config/app.yaml"),
        ("cat /etc/config/a; ls '/etc/config'", "cat /pods/volumes/config/a; ls '/pods/volumes/config'"),
        ("/etc/config/data/x", "/pods/volumes/data/x"),
        ("/app.yaml", "/pods/volumes/file/app.yaml"),
        ("/etc/configuration", "/etc/configuration"),
        ("/srv/etc/config", "/srv/etc/config"),
    ],
)
def test_mount_paths_are_moved_to_where_the_files_are(word: str, moved: str) -> None:
    assert relocate(word, WHERE) == moved


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("http://localhost:8080/healthz", "http://127.16.0.7:8080/healthz"),
        ("localhost:9898/healthz", "127.16.0.7:9898/healthz"),
        ("localhost", "127.16.0.7"),
        ("wget -q http://localhost/ && nc -z localhost 80", "wget -q http://127.16.0.7/ && nc -z 127.16.0.7 80"),
        ("http://my.localhost:80", "http://my.localhost:80"),
        ("localhost.example:80", "localhost.example:80"),
        ("/etc/localhosts", "/etc/localhosts"),
    ],
)
def test_localhost_is_the_pods_address(word: str, found: str) -> None:
    assert at_home(word, IP) == found


def test_without_mounts_nothing_is_moved() -> None:
    assert relocate("/etc/config", {}) == "/etc/config"
