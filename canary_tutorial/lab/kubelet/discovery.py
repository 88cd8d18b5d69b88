"""What Prometheus may scrape: the pods, as Prometheus' own Kubernetes discovery (role pod) would describe them.

`targets` is pure; `write_targets` moves the file into place, and Prometheus takes it up at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from canary_tutorial.lab.store import Obj

TARGETS = "targets.json"
META = "__meta_kubernetes_pod_"


def targets(pods: Iterable[Obj]) -> list[dict[str, Any]]:
    """One target for each port of each pod that has an address (one without port for pods without)."""
    found = []
    for pod in pods:
        status, meta = pod.get("status") or {}, pod["metadata"]
        if not status.get("podIP"):
            continue
        labels = {
            "__meta_kubernetes_namespace": meta["namespace"],
            f"{META}name": meta["name"],
            f"{META}ip": status["podIP"],
            f"{META}phase": status.get("phase", ""),
            f"{META}ready": _ready(status),
        }
        for kind in ("label", "annotation"):
            for key, value in (meta.get(f"{kind}s") or {}).items():
                name = re.sub(r"[^a-zA-Z0-9_]", "_", key)
                labels[f"{META}{kind}_{name}"] = value
                labels[f"{META}{kind}present_{name}"] = "true"
        addresses = [
            (f"{status['podIP']}:{port['containerPort']}", container["name"])
            for container in pod["spec"]["containers"]
            for port in container.get("ports") or []
        ] or [(status["podIP"], pod["spec"]["containers"][0]["name"])]
        found += [{"targets": [a], "labels": labels | {f"{META}container_name": c}} for a, c in addresses]
    return found


def write_targets(directory: Path, pods: Iterable[Obj]) -> None:
    fresh = directory / f".{TARGETS}"
    fresh.write_text(json.dumps(targets(pods)))
    fresh.replace(directory / TARGETS)


def _ready(status: Obj) -> str:
    conditions = status.get("conditions") or []
    return next((c["status"].lower() for c in conditions if c["type"] == "Ready"), "unknown")
