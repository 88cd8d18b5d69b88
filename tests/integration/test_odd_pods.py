"""Pods that cannot start: each stays one pod, says why, does not spin, and harms nobody.

The kubelet alone with the controllers: the API server refuses some of these, and the kubelet must not rely on it. All
start at once, each wanted by a ReplicaSet that would at once make another pod for one that is gone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubelet_alone import Alone, Obj, alone, eventually, wanting_one

from canary_tutorial.lab import kinds

LONG = "x" * 300


def app(**container: Any) -> Obj:
    return {"containers": [{"name": "app", "image": "podinfo:2.0.0", "command": ["sleep", "1000"]} | container]}


def volume(path: str | None = None, name: str = "v", **source: Any) -> Obj:
    """A pod with one volume; with `path`, a ConfigMap's key under that path."""
    items = {"name": "settings", "items": [{"key": "key", "path": path}]}
    return app() | {"volumes": [{"name": name, **(source if path is None else {"configMap": items})}]}


def projected(**source: Any) -> Obj:
    return volume(projected={"sources": [source]})


def env(**source: Any) -> Obj:
    return app(env=[{"name": "X", "valueFrom": source}])


def prometheus(configmap: str, *args: str) -> Obj:
    return app(
        image="prom/prometheus:v2.42.0",
        command=["prometheus"],
        args=["--config.file=/v/prometheus.yml", *args],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    ) | {"volumes": [{"name": "v", "configMap": {"name": configmap}}]}


def probed(readiness: Obj, **container: Any) -> Obj:
    return app(readinessProbe={"periodSeconds": 1, "failureThreshold": 1} | readiness, **container)


# name -> (spec, the reason of its Event)
ODD: dict[str, tuple[Obj, str]] = {
    # a program that cannot be started
    "nul-in-command": (app(command=["sl\0eep", "1"]), "Failed"),
    "nul-in-args": (app(args=["a\0b"]), "Failed"),
    "nul-in-env": (app(env=[{"name": "A", "value": "a\0b"}]), "Failed"),
    "nul-in-env-name": (app(env=[{"name": "A\0", "value": "a"}]), "Failed"),
    "nul-in-envfrom": (app(envFrom=[{"configMapRef": {"name": "nul"}}]), "Failed"),
    "nul-in-init": (app() | {"initContainers": app(command=["sl\0eep"])["containers"]}, "Failed"),
    "env-name-with-equals": (app(env=[{"name": "A=B", "value": "a"}]), "Failed"),
    "env-without-name": (app(env=[{"value": "a"}]), "Failed"),
    "half-a-character": (app(args=["\ud800"]), "Failed"),
    "half-a-character-in-env": (app(env=[{"name": "A", "value": "\ud800"}]), "Failed"),
    "too-long-argument": (app(args=["x" * 200_000]), "Failed"),
    "empty-command-word": (app(command=[""]), "Failed"),
    "no-such-program": (app(command=["no-such-program"]), "Failed"),
    "too-long-program": (app(command=["x" * 5000]), "Failed"),
    "a-directory-as-program": (app(command=["/"]), "Failed"),
    "dots-as-program": (app(command=[".."]), "Failed"),
    "a-file-as-program": (app(command=["/etc/passwd"]), "Failed"),
    "no-image": ({"containers": [{"name": "app"}]}, "Failed"),
    "image-of-slashes": (app(image="///"), "Failed"),
    "container-named-up": (app(name="../../x"), "Failed"),
    # variables from elsewhere
    "no-configmap": (env(configMapKeyRef={"name": "none", "key": "k"}), "Failed"),
    "configmap-without-name": (env(configMapKeyRef={"key": "k"}), "Failed"),
    "secret-without-key": (env(secretKeyRef={"name": "login"}), "Failed"),
    "secret-of-no-base64": (env(secretKeyRef={"name": "broken", "key": "k"}), "Failed"),
    "envfrom-without-name": (app(envFrom=[{"secretRef": {}}]), "Failed"),
    "envfrom-of-no-base64": (app(envFrom=[{"secretRef": {"name": "broken"}}]), "Failed"),
    "resource-without-name": (env(resourceFieldRef={"divisor": "1"}), "Failed"),
    "mount-of-nothing": (app(volumeMounts=[{"name": "none", "mountPath": "/x"}]), "Failed"),
    "mount-without-path": (app(volumeMounts=[{"name": "v"}]) | {"volumes": [{"name": "v"}]}, "Failed"),
    "mount-of-root": (app(volumeMounts=[{"name": "v", "mountPath": "/"}]) | {"volumes": [{"name": "v"}]}, "Failed"),
    # volumes
    "path-dot": (volume("."), "FailedMount"),
    "path-dots": (volume(".."), "FailedMount"),
    "path-empty": (volume(""), "FailedMount"),
    "path-slash": (volume("/"), "FailedMount"),
    "path-long": (volume(LONG), "FailedMount"),
    "path-very-long": (volume("x/" * 3000), "FailedMount"),
    "path-deep": (volume("x/" * 1500 + "x"), "FailedMount"),
    "path-nul": (volume("a\0b"), "FailedMount"),
    "path-half-a-character": (volume("\ud800"), "FailedMount"),
    "paths-collide": (
        volume(configMap={"name": "settings", "items": [{"key": "key", "path": p} for p in ("a", "a/b")]}),
        "FailedMount",
    ),
    "paths-collide-the-other-way": (
        volume(configMap={"name": "settings", "items": [{"key": "key", "path": p} for p in ("a/b", "a")]}),
        "FailedMount",
    ),
    "key-dots": (volume(configMap={"name": "dots"}), "FailedMount"),
    "key-missing": (
        volume(configMap={"name": "settings", "items": [{"key": "none", "path": "p"}]}),
        "FailedMount",
    ),
    "item-without-key": (volume(configMap={"name": "settings", "items": [{"path": "p"}]}), "FailedMount"),
    "item-without-path": (volume(configMap={"name": "settings", "items": [{"key": "key"}]}), "FailedMount"),
    "no-such-secret": (volume(secret={"secretName": "none"}), "FailedMount"),
    "secret-volume-without-name": (volume(secret={}), "FailedMount"),
    "configmap-volume-without-name": (volume(configMap={}), "FailedMount"),
    "secret-volume-of-no-base64": (volume(secret={"secretName": "broken"}), "FailedMount"),
    "binary-of-no-base64": (volume(configMap={"name": "broken"}), "FailedMount"),
    "token-with-empty-path": (projected(serviceAccountToken={"path": ""}), "FailedMount"),
    "token-without-path": (projected(serviceAccountToken={}), "FailedMount"),
    "projected-without-name": (projected(configMap={}), "FailedMount"),
    "downward-without-path": (
        volume(downwardAPI={"items": [{"fieldRef": {"fieldPath": "metadata.name"}}]}),
        "FailedMount",
    ),
    "volume-named-long": (volume(name=LONG, emptyDir={}), "FailedMount"),
    "volume-named-nul": (volume(name="a\0b", emptyDir={}), "FailedMount"),
    "volume-named-nothing": (volume(name="", emptyDir={}), "FailedMount"),
    "volume-named-half-a-character": (volume(name="\ud800", emptyDir={}), "FailedMount"),
    "volume-without-name": (app() | {"volumes": [{"emptyDir": {}}]}, "FailedMount"),
    # an image that adapts what it is given
    "prometheus-bad-yaml": (prometheus("bad-yaml"), "BackOff"),
    "prometheus-no-mapping": (prometheus("no-mapping"), "BackOff"),
    "prometheus-bad-date": (prometheus("bad-date"), "BackOff"),
    "prometheus-null-job": (prometheus("null-job"), "BackOff"),
    "prometheus-deep-yaml": (prometheus("deep-yaml"), "BackOff"),
    "prometheus-no-file": (prometheus("settings"), "BackOff"),
    "prometheus-bad-flag": (prometheus("good", "--no-such-flag"), "BackOff"),
    "flagger-bad-flag": (app(image="flagger:1.42.0", command=None, args=["-no-such-flag"]), "BackOff"),
    # probes
    "probe-of-nothing": (probed({}), "Unhealthy"),
    "probe-grpc": (probed({"grpc": {"port": 9}}), "Unhealthy"),
    "probe-exec-nothing": (probed({"exec": {}}), "Unhealthy"),
    "probe-exec-missing": (probed({"exec": {"command": ["no-such-program"]}}), "Unhealthy"),
    "probe-exec-nul": (probed({"exec": {"command": ["a\0b"]}}), "Unhealthy"),
    "probe-exec-long": (probed({"exec": {"command": ["x" * 5000]}}), "Unhealthy"),
    "probe-exec-loud": (probed({"exec": {"command": ["sh", "-c", "head -c 100000 /dev/zero; exit 1"]}}), "Unhealthy"),
    "probe-unknown-port": (probed({"httpGet": {"port": "nope"}}), "Unhealthy"),
    "probe-tcp-unknown-port": (probed({"tcpSocket": {"port": "nope"}}), "Unhealthy"),
    "probe-without-port": (probed({"tcpSocket": {}}), "Unhealthy"),
    "probe-port-too-high": (probed({"tcpSocket": {"port": 70000}}), "Unhealthy"),
    "probe-odd-scheme": (probed({"httpGet": {"port": 1, "scheme": "gopher"}}), "Unhealthy"),
    "probe-odd-path": (probed({"httpGet": {"port": 1, "path": "\\[::%zz"}}), "Unhealthy"),
    "probe-odd-header": (
        probed({"httpGet": {"port": 1, "httpHeaders": [{"name": "a\r\nb", "value": "c\r\nd"}, {}]}}),
        "Unhealthy",
    ),
    "probe-no-seconds": (probed({"tcpSocket": {"port": 1}, "timeoutSeconds": 0, "failureThreshold": 0}), "Unhealthy"),
    "probe-null-seconds": (
        probed({"tcpSocket": {"port": 1}, "timeoutSeconds": None, "initialDelaySeconds": None}),
        "Unhealthy",
    ),
    "probe-very-long": (probed({"tcpSocket": {"port": 1}, "timeoutSeconds": 2**70}), "Unhealthy"),
}
# Odd as well, and yet they run.
FINE: dict[str, Obj] = {
    "nulls-everywhere": app(
        args=None, env=None, envFrom=None, volumeMounts=None, ports=None, lifecycle=None, readinessProbe=None
    )
    | {"volumes": None, "initContainers": None, "restartPolicy": None},
    "null-elements": app(env=[None], volumeMounts=[None], ports=[None]) | {"volumes": [None]},
    "null-env": app(
        env=[{"name": "A", "value": None, "valueFrom": None}], envFrom=[{"configMapRef": None, "prefix": ""}]
    ),
    "empty-env-name": app(env=[{"name": "", "value": "a"}]),
    "container-named-long": app(name=LONG),
    "unknown-volume": volume(nfs={"server": "s", "path": "/"}),
    "optional": app() | {"volumes": [{"name": "v", "configMap": {"name": "none", "optional": True}}]},
    "null-data": volume(configMap={"name": "null-data"}),
    "long-key": volume(configMap={"name": "long-key"}),
    "odd-fields": env(fieldRef={"fieldPath": "metadata.labels['"}),
    "prometheus-empty-yaml": prometheus("empty-yaml"),
    "odd-hooks": app(lifecycle={"preStop": {"exec": {}}, "postStart": {"exec": {}}}),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    with alone(tmp_path_factory.mktemp("odd")) as one:
        one.put(kinds.CONFIGMAPS, "settings", data={"key": "value"})
        one.put(kinds.CONFIGMAPS, "nul", data={"NUL": "a\0b"})
        one.put(kinds.CONFIGMAPS, "dots", data={"..": "value"})
        one.put(kinds.CONFIGMAPS, "null-data", data=None, binaryData=None)
        one.put(kinds.CONFIGMAPS, "long-key", data={"k" * 253: "value"})
        one.put(kinds.CONFIGMAPS, "broken", binaryData={"k": "abcde"})
        one.put(kinds.SECRETS, "broken", data={"k": "abcde"})
        one.put(kinds.SECRETS, "login", data={"password": "cw=="})
        for name, text in {
            "bad-yaml": "scrape_configs: [",
            "no-mapping": "- a\n- b",
            "bad-date": "global: {a: 2026-99-99}",
            "null-job": "scrape_configs: [null]",
            "deep-yaml": "[" * 20_000,
            "empty-yaml": "",
            "good": "global: {}",
        }.items():
            one.put(kinds.CONFIGMAPS, name, data={"prometheus.yml": text})
        one.put_all(
            *((kinds.REPLICASETS, name, {"spec": wanting_one(name, spec)}) for name, (spec, _) in ODD.items()),
            *(
                (kinds.PODS, name, {"spec": {"terminationGracePeriodSeconds": 0, **spec}})
                for name, spec in FINE.items()
            ),
        )
        yield one


@pytest.mark.parametrize("name", ODD)
def test_a_pod_that_cannot_start_stays_and_says_why(node: Alone, name: str) -> None:
    _, reason = ODD[name]
    eventually(lambda: len(node.born[name]) > 1 or (node.born[name] and reason in node.events(node.born[name][0])))

    [uid] = node.born[name]
    assert [pod["metadata"]["uid"] for pod in node.pods_of(name)] == [uid]
    assert node.events(uid)[reason]


@pytest.mark.parametrize("name", FINE)
def test_an_odd_pod_that_can_start_does(node: Alone, name: str) -> None:
    eventually(lambda: node.ready(name))


def test_beside_them_a_healthy_pod_works(node: Alone) -> None:
    node.pod("healthy", app(readinessProbe={"exec": {"command": ["true"]}}))

    eventually(lambda: node.ready("healthy"))


def test_none_of_them_spins(node: Alone) -> None:
    """A few tries in the first second, fewer in the next: that is what back-off means."""
    eventually(lambda: all(node.born[name] for name in ODD))
    began = node.call(lambda: node.store.version)
    before = {name: list(uids) for name, uids in node.born.items()}

    time.sleep(2)

    assert node.call(lambda: node.store.version) - began < 2 * len(ODD)
    assert {name: list(uids) for name, uids in node.born.items()} == before


def test_what_was_missing_is_taken_up_when_it_is_there(node: Alone) -> None:
    """Also by a pod that waits between two tries."""
    node.replicaset("later", env(configMapKeyRef={"name": "later", "key": "k"}))
    node.replicaset("later-mounted", volume(configMap={"name": "later"}))
    names = ("later", "later-mounted")
    eventually(lambda: all(node.born[name] and node.events(node.born[name][0]) for name in names))

    node.put(kinds.CONFIGMAPS, "later", data={"k": "v"})

    eventually(lambda: all(node.ready(node.pods_of(name)[0]["metadata"]["name"]) for name in names))
    assert [len(node.born[name]) for name in names] == [1, 1]


def test_a_crashing_container_starts_with_the_configmap_as_it_is_then(node: Alone, tmp_path: Path) -> None:
    node.put(kinds.CONFIGMAPS, "mended", data={"key": "bad"})
    script = f"cat /v/key >>{tmp_path}/seen; grep -q good /v/key && sleep 1000"
    mounted = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    node.replicaset("mended", volume(configMap={"name": "mended"}) | app(command=["sh", "-c", script], **mounted))
    eventually(lambda: node.born["mended"] and "BackOff" in node.events(node.born["mended"][0]))

    node.change(kinds.CONFIGMAPS, "mended", lambda c: c.update(data={"key": "good"}))

    [own] = (node.directory / "pods").glob("test_mended*")
    assert (own / "volumes" / "v" / "key").read_text() == "good"


def test_a_configmap_that_is_deleted_and_made_again_arrives(node: Alone) -> None:
    node.put(kinds.CONFIGMAPS, "again", data={"key": "first"})
    node.replicaset("again", volume(configMap={"name": "again"}))
    eventually(lambda: node.ready(next(iter(p["metadata"]["name"] for p in node.pods_of("again")), "")))
    [own] = (node.directory / "pods").glob("test_again*")

    node.delete(kinds.CONFIGMAPS, "again")
    assert (own / "volumes" / "v" / "key").read_text() == "first", "what is mounted stays"
    node.put(kinds.CONFIGMAPS, "again", data={"key": "second"})

    eventually(lambda: (own / "volumes" / "v" / "key").read_text() == "second", seconds=5)


@pytest.mark.parametrize(
    "hook",
    [
        {"exec": {}},
        {"exec": {"command": ["a\0b"]}},
        {"exec": {"command": ["x" * 5000]}},
        {"httpGet": {"port": "nope"}},
        {"httpGet": {}},
        {"sleep": {"seconds": None}},
        {"sleep": {}},
        {"tcpSocket": {"port": 1}},
        {},
    ],
    ids=str,
)
def test_an_odd_hook_does_not_keep_a_pod_from_ending_in_peace(
    node: Alone, hook: Obj, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """SIGTERM is sent all the same, and the program may say its last words."""
    name = f"hook{abs(hash(request.node.name)) % 10**9}"
    script = f"trap 'echo ended >>{tmp_path}/log; exit' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done"
    spec = app(command=["sh", "-c", script], lifecycle={"preStop": hook}) | {"terminationGracePeriodSeconds": 20}
    node.pod(name, spec)
    eventually((tmp_path / "up").exists)

    node.delete(kinds.PODS, name, grace=20)

    eventually(lambda: node.find(name) is None)
    assert (tmp_path / "log").read_text() == "ended\n"


def test_a_name_as_long_as_a_name_may_be_makes_a_pod_that_runs_and_ends(node: Alone) -> None:
    name = "n" * 253
    node.pod(name, app())
    eventually(lambda: node.ready(name))

    node.delete(kinds.PODS, name)

    eventually(lambda: not list((node.directory / "pods").glob("test_nnn*")))


def test_a_pod_that_a_finalizer_holds_does_not_start_again(node: Alone, tmp_path: Path) -> None:
    spec = app(command=["sh", "-c", f"echo started >>{tmp_path}/log; sleep 1000"])
    node.pod("held", spec)
    eventually(lambda: node.ready("held"))
    node.change(kinds.PODS, "held", lambda pod: pod["metadata"].update(finalizers=["example.com/held"]))

    node.delete(kinds.PODS, "held")
    eventually(lambda: not list((node.directory / "pods").glob("test_held_*")))
    node.change(kinds.PODS, "held", lambda pod: pod["metadata"].update(labels={"looked": "at"}))

    node.pod("after-held", app())
    eventually(lambda: node.ready("after-held"))
    assert (tmp_path / "log").read_text() == "started\n"
    node.change(kinds.PODS, "held", lambda pod: pod["metadata"].update(finalizers=[]))
    eventually(lambda: node.find("held") is None)


MALFORMED: dict[str, Obj] = {
    "bad-no-spec": {},
    "bad-null-spec": {"spec": None},
    "bad-null-containers": {"spec": {"containers": None}},
    "bad-null-container": {"spec": {"containers": [None]}},
    "bad-null-status": {"spec": app(), "status": None},
    "bad-null-conditions": {"spec": app(), "status": {"conditions": None, "containerStatuses": None, "phase": None}},
    "bad-odd-conditions": {"spec": app(), "status": {"conditions": [None, {}, {"type": "Ready"}]}},
    "bad-null-labels": {"spec": app()},
}


def test_a_malformed_pod_costs_no_other_anything(node: Alone) -> None:
    """Nor does it stay when it is deleted."""
    for name, content in MALFORMED.items():
        node.put(kinds.PODS, name, **content)
    node.change(kinds.PODS, "bad-null-labels", lambda pod: pod["metadata"].update(labels=None, annotations=None))
    node.pod("after", app())
    eventually(lambda: node.ready("after"))
    eventually(lambda: node.ready("bad-odd-conditions") and node.ready("bad-null-status"))
    node.call(
        node.store.change,
        kinds.PODS,
        "after",
        "test",
        lambda pod: pod.update(status={"conditions": [{"type": "Ready"}, {}], "phase": None}),
        "status",
    )

    for name in (*MALFORMED, "after"):
        node.delete(kinds.PODS, name, grace=0)

    eventually(lambda: not any(node.find(name) for name in (*MALFORMED, "after")))
    eventually(lambda: not list((node.directory / "pods").glob("test_bad-*")))
    node.pod("at-last", app())
    eventually(lambda: node.ready("at-last"))
    address = node.call(lambda: node.store.get(kinds.PODS, "at-last", "test")["status"]["podIP"])
    eventually(lambda: address in (node.directory / "targets.json").read_text())
