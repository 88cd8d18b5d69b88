"""Defaults and the mesh's sidecar: what is added to an object on its way into the store."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab.api.checks import admission
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.kinds import DEPLOYMENTS, MUTATINGWEBHOOKS, NAMESPACES, PODS, SECRETS, SERVICES
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]


def pod(**meta: Any) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "test", **meta},
        "spec": {"containers": [{"name": "a", "image": "x:1"}]},
    }


def world(namespace_label: str | None = "enabled", mesh: bool = True) -> Store:
    store = Store(KINDS)
    labels = {"istio-injection": namespace_label} if namespace_label else {}
    store.create(NAMESPACES, {"metadata": {"name": "test", "labels": labels}})
    if mesh:
        store.create(MUTATINGWEBHOOKS, {"metadata": {"name": admission.INJECTOR}})
    return store


def names(obj: Obj) -> list[str]:
    return [each["name"] for each in obj["spec"]["containers"]]


def test_a_pod_of_an_injected_namespace_gets_a_sidecar() -> None:
    made = admission.admit(world(), PODS, pod())
    assert names(made) == ["a", "istio-proxy"]
    assert made["metadata"]["annotations"] == {"sidecar.istio.io/status": "injected"}
    assert made["metadata"]["labels"] == {"security.istio.io/tlsMode": "istio"}
    assert names(admission.admit(world(), PODS, made)) == ["a", "istio-proxy"], "not twice"


INJECT = {"sidecar.istio.io/inject": "true"}
REFUSE = {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize(
    ("store", "meta", "injected"),
    [
        (world(mesh=False), {}, False),
        (world(None), {}, False),
        (world("disabled"), {"labels": INJECT}, False),
        (world(None), {"labels": INJECT}, True),
        (world(), {"annotations": REFUSE}, False),
        (world(), {"labels": REFUSE}, False),
    ],
    ids=["no mesh", "no label", "disabled wins", "the pod asks", "annotation refuses", "label refuses"],
)
def test_who_gets_a_sidecar(store: Store, meta: Obj, injected: bool) -> None:
    assert ("istio-proxy" in names(admission.admit(store, PODS, pod(**meta)))) is injected


def test_an_admitted_pod_is_complete_and_the_given_one_untouched() -> None:
    given = pod()
    made = admission.admit(world(None), PODS, given)
    spec = made["spec"]
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"], spec["serviceAccountName"]) == (
        "Always",
        30,
        "default",
    )
    assert made["status"]["phase"] == "Pending"
    assert given == pod()


@pytest.mark.parametrize(
    ("image", "policy"), [("x", "Always"), ("x:latest", "Always"), ("x:1", "IfNotPresent"), ("h:5000/x", "Always")]
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    obj = pod()
    obj["spec"]["containers"][0]["image"] = image
    assert admission.defaulted(world(), PODS, "v1", obj)["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_defaults_of_other_kinds() -> None:
    store = world()
    service = admission.defaulted(store, SERVICES, "v1", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert service["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert service["spec"]["type"] == "ClusterIP"
    template = {"spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    deployment = admission.defaulted(
        store, DEPLOYMENTS, "v1", {"metadata": {"name": "d"}, "spec": {"template": template}}
    )
    assert (deployment["spec"]["replicas"], deployment["spec"]["progressDeadlineSeconds"]) == (1, 600)
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}
    secret = admission.defaulted(store, SECRETS, "v1", {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (secret["type"], secret["data"], "stringData" in secret) == ("Opaque", {"a": "Yg=="}, False)
