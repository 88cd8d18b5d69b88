"""What the helper knows of Kubernetes' API without asking a server."""

from types import SimpleNamespace

import pytest

from canary_tutorial.kube.api import Resource
from canary_tutorial.kube.cluster import Cluster


@pytest.mark.parametrize("version", ["v1", "apps/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1"])
def test_kubernetes_own_kinds_are_known(version: str):
    assert Resource(version, "Any", "anys", True, ("any",)).built_in


@pytest.mark.parametrize(
    "version",
    [
        "flagger.app/v1beta1", "networking.istio.io/v1", "gateway.networking.k8s.io/v1", "snapshot.storage.k8s.io/v1",
        "metrics.k8s.io/v1beta1", "x-k8s.io/v1",
    ],
)  # fmt: skip
def test_custom_resources_are_not_taken_for_them(version: str):
    """They know no strategic merge patch: the server would answer 415."""
    assert not Resource(version, "Any", "anys", True, ("any",)).built_in


def test_events_are_in_order_whatever_their_resourceversions_look_like():
    """They are the server's own, and nobody else's numbers."""
    found = [{"lastTimestamp": at, "metadata": {"resourceVersion": version}} for at, version in
             (("2026-01-01T00:00:02Z", "b-2"), ("2026-01-01T00:00:01Z", "a-9"))]  # fmt: skip
    api = SimpleNamespace(request=lambda *_, **__: {"items": found})
    cluster = SimpleNamespace(api=api, _path=lambda *_: "/events")
    assert [each["metadata"]["resourceVersion"] for each in Cluster.events(cluster, "a", "test")] == ["a-9", "b-2"]
