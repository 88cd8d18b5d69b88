"""What the helper knows of Kubernetes' API without asking a server."""

import pytest

from canary_tutorial.kube.api import Resource


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
