"""What `kubectl get` prints: ages, the status of pods, columns of built-in and custom kinds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from canary_tutorial.lab import kinds
from canary_tutorial.lab.api.kinds import columns, pods
from canary_tutorial.lab.api.kinds.registry import KINDS, resource_of
from canary_tutorial.lab.api.verbs import tables

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
Obj = dict[str, Any]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (192, "3m12s"), (600, "10m"), (10799, "179m"), (10800, "3h"),
        (14700, "4h5m"), (28800, "8h"), (172799, "47h"), (172800, "2d"), (183600, "2d3h"), (691200, "8d"),
        (63072000, "2y"), (-1, "0s"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages_are_written_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert columns.duration(seconds) == text


def pod(phase: str = "Running", **more: Any) -> Obj:
    meta = {"name": "p", "creationTimestamp": "2026-11-23T11:59:00Z"} | more.pop("metadata", {})
    return {
        "metadata": meta,
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        "status": {"phase": phase, **more},
    }


def state(**value: Any) -> Obj:
    return {"containerStatuses": [{"state": value, "restartCount": 0}]}


STATUSES = {
    "Pending": pod("Pending"),
    "Running": pod("Running", **state(running={})),
    "ErrImagePull": pod("Pending", **state(waiting={"reason": "ErrImagePull"})),
    "CrashLoopBackOff": pod("Running", **state(waiting={"reason": "CrashLoopBackOff"})),
    "Completed": pod("Succeeded", **state(terminated={"exitCode": 0, "reason": "Completed"})),
    "OOMKilled": pod("Running", **state(terminated={"exitCode": 137, "reason": "OOMKilled"})),
    "ExitCode:3": pod("Running", **state(terminated={"exitCode": 3})),
    "Terminating": pod("Running", metadata={"deletionTimestamp": "2026-11-23T12:00:00Z"}),
    "Evicted": pod("Failed", reason="Evicted"),
    "Init:0/1": pod("Pending", initContainerStatuses=[{"state": {"running": {}}}]),
    "Init:Error": pod("Pending", initContainerStatuses=[{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
    "PodInitializing": pod("Pending", initContainerStatuses=[{"state": {"terminated": {"exitCode": 0}}}],
                           **state(waiting={"reason": "PodInitializing"})),
}  # fmt: skip


@pytest.mark.parametrize(("expected", "obj"), STATUSES.items(), ids=STATUSES.keys())
def test_the_status_of_a_pod(expected: str, obj: Obj) -> None:
    assert pods.status_of(obj, NOW) == expected


def cells(kind: kinds.Kind, obj: Obj, wide: bool = False) -> list[Any]:
    return [each.cell(obj, NOW) for each in resource_of(kind).columns if wide or each.priority == 0]


def test_a_pods_row_counts_restarts_and_says_when() -> None:
    ended = {"terminated": {"finishedAt": "2026-11-23T11:59:30Z"}}
    statuses = [
        {"ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended},
        {"ready": False, "restartCount": 0},
    ]
    obj = pod("Running", containerStatuses=statuses, podIP="127.16.0.1")
    assert cells(kinds.PODS, obj) == ["p", "1/2", "Running", "2 (30s ago)", "60s"]
    assert cells(kinds.PODS, obj, wide=True)[5:] == ["127.16.0.1", "<none>", "<none>", "<none>"]


def test_the_row_of_a_deployment() -> None:
    template = {"spec": {"containers": [{"name": "podinfod", "image": "stefanprodan/podinfo:2.0.0"}]}}
    obj = {
        "metadata": {"name": "podinfo", "creationTimestamp": "2026-11-23T11:50:00Z"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "podinfo"}}, "template": template},
        "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    }
    row = ["podinfo", "1/2", 2, 1, "10m", "podinfod", "stefanprodan/podinfo:2.0.0", "app=podinfo"]
    assert cells(kinds.DEPLOYMENTS, obj, wide=True) == row


def test_the_row_of_a_service() -> None:
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30000, "protocol": "TCP"}]
    obj = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": "127.16.126.1", "ports": ports}}
    assert cells(kinds.SERVICES, obj)[1:5] == ["NodePort", "127.16.126.1", "<none>", "80/TCP,443:30000/TCP"]


def test_many_endpoints_are_shortened() -> None:
    addresses = [{"ip": f"127.16.0.{i}"} for i in range(1, 6)]
    obj = {"metadata": {"name": "e"}, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}
    assert cells(kinds.ENDPOINTS, obj)[1] == "127.16.0.1:80,127.16.0.2:80,127.16.0.3:80 + 2 more..."


def test_every_built_in_kind_prints_a_bare_object() -> None:
    for kind in KINDS:
        obj: Obj = {"metadata": {"name": "x", "creationTimestamp": None}, "spec": {}}
        assert "x" in [each.cell(obj, NOW) for each in resource_of(kind).columns], kind


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".status.phase", ["Progressing"]), ("{.status.phase}", ["Progressing"]), (".missing.x", []), (".spec.list[0]", ["a"]),
        (".spec.list[-1]", ["b"]), (".spec.list[9]", []), (".spec.list[*]", ["a", "b"]),
        ('.status.conditions[?(@.type=="Promoted")].status', ["True"]),
        (".status.conditions[?(@.type=='Nope')].status", []), (".metadata.annotations['a.b/c']", ["x"]),
    ],
)  # fmt: skip
def test_json_paths_of_printer_columns(path: str, found: list[Any]) -> None:
    obj = {
        "metadata": {"annotations": {"a.b/c": "x"}},
        "spec": {"list": ["a", "b"]},
        "status": {
            "phase": "Progressing",
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "Promoted", "status": "True"}],
        },
    }
    assert tables.path(path)(obj) == found
