"""What `install` applies, and what it waits for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from canary_tutorial.install import applying
from canary_tutorial.screen.tables import Table

DEPLOYMENTS = {
    "mesh.yaml": [("istiod", "istio-system"), ("istio-ingressgateway", "istio-system")],
    "prometheus.yaml": [("prometheus", "istio-system")],
    "telemetry.yaml": [],
}


def test_all_that_was_installed_runs_before_anything_is_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(applying.parts, "stand_in", lambda cluster, file: "")
    monkeypatch.setattr(applying, "apply", lambda cluster, files, settings: Table(["object", "result"], []))
    awaited: list[tuple[str, str]] = []

    def objects(file: str) -> list[dict[str, Any]]:
        found = [{"kind": "Deployment", "metadata": {"name": n, "namespace": where}} for n, where in DEPLOYMENTS[file]]
        return [{"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "istio-system"}}, *found]

    cluster: Any = SimpleNamespace(
        objects=objects, rollout_status=lambda name, namespace: awaited.append((name.partition("/")[2], namespace))
    )
    applying.install(cluster, list(DEPLOYMENTS), {})
    assert awaited == [each for found in DEPLOYMENTS.values() for each in found]
