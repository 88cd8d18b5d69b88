"""Builders for the tests of the lab's controllers: small objects as they would come out of the store."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from canary_tutorial.lab.controllers.effects import Effect

Obj = dict[str, Any]
T = TypeVar("T")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def at(seconds: float) -> str:
    """A Kubernetes time, `seconds` after NOW."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meta(name: str, owner: Obj | None = None, kind: str = "", **more: Any) -> Obj:
    made: Obj = {"name": name, "namespace": "test", "uid": f"uid-{name}", "creationTimestamp": at(0)} | more
    if owner:
        made["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return made


def deployment(replicas: int = 1, image: str = "podinfo:2.0.0", status: Obj | None = None, **spec: Any) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("podinfo", generation=1, annotations={}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "podinfo"}},
            "template": template(image),
            "progressDeadlineSeconds": 60,
        }
        | spec,
        "status": status or {},
    }


def template(image: str) -> Obj:
    return {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [{"name": "podinfod", "image": image}]}}


def rolling(surge: int | str, unavailable: int | str) -> Obj:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def pod(name: str, owner: Obj | None = None, ready: bool = True, phase: str = "Running", **more: Any) -> Obj:
    """A running pod on the node; `ready_for` is how many seconds it has been ready at NOW."""
    ready_for, deleted = more.pop("ready_for", 100), more.pop("deleted", False)
    made: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, owner, "ReplicaSet", labels=more.pop("labels", {"app": "podinfo"})),
        "spec": {"nodeName": "lab", "containers": [{"name": "podinfod", "image": "podinfo:2.0.0"}]}
        | more.pop("spec", {}),
        "status": {
            "phase": phase,
            "podIP": more.pop("ip", f"127.16.0.{next(_numbers) % 250}"),
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": at(-ready_for)}
            ],
        },
    }
    made["metadata"] |= more
    if deleted:
        made["metadata"]["deletionTimestamp"] = at(0)
    return made


def only(type_: type[T], effects: Iterable[Effect]) -> list[T]:
    """The effects of one type."""
    return [effect for effect in effects if isinstance(effect, type_)]
