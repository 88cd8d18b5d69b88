"""Prometheus' scrape targets: the pods, as Prometheus' own Kubernetes discovery (role pod) would describe them.

A pod with a sidecar is scraped behind it, where its programs listen: a scrape is not a user's request and must not count
as one. Istio does the same by another way: its agent merges the metrics of the program into its own, on a port of its own.

`targets` is pure; `write_targets` moves the file into place, and Prometheus reads it at once.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from canary_tutorial.lab.machine.files import write_below
from canary_tutorial.lab.machine.network import app_address
from canary_tutorial.lab.objects import Obj, condition, has_sidecar

log = logging.getLogger(__name__)
TARGETS = "targets.json"
META = "__meta_kubernetes_pod_"


def targets(pods: Iterable[Obj]) -> list[dict[str, Any]]:
    """One target for each port of each pod that has an address (one without port for pods without)."""
    found = []
    for pod in pods:
        try:
            found += _targets(pod)
        except (AttributeError, KeyError, TypeError, ValueError):  # not as a pod should be; the others are all the same
            log.debug("pod %s is no target", (pod.get("metadata") or {}).get("name"))
    return found


def _targets(pod: Obj) -> list[dict[str, Any]]:
    status, meta = pod.get("status") or {}, pod["metadata"]
    if not status.get("podIP"):
        return []
    address = app_address(status["podIP"]) if has_sidecar(pod) else status["podIP"]
    labels = {
        "__meta_kubernetes_namespace": meta["namespace"],
        f"{META}name": meta["name"],
        f"{META}ip": address,
        f"{META}phase": status.get("phase") or "",
        f"{META}ready": _ready(pod),
    }
    for kind in ("label", "annotation"):
        for key, value in (meta.get(f"{kind}s") or {}).items():
            name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
            labels[f"{META}{kind}_{name}"] = value or ""
            labels[f"{META}{kind}present_{name}"] = "true"
    containers = [each for each in (pod.get("spec") or {}).get("containers") or [] if each] or [{}]
    addresses = [
        (f"{address}:{port['containerPort']}", container["name"])
        for container in containers
        for port in container.get("ports") or []
        if port
    ] or [(address, containers[0].get("name") or "")]
    return [{"targets": [a], "labels": labels | {f"{META}container_name": c}} for a, c in addresses]


def write_targets(directory: Path, pods: Iterable[Obj]) -> None:
    write_below(directory, TARGETS, json.dumps(targets(pods)))


def _ready(pod: Obj) -> str:
    ready = condition(pod, "Ready")
    return str(ready.get("status")).lower() if ready else "unknown"
