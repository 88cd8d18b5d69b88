"""Somebody else's cluster, as objects: an Istio, a Flagger and a Prometheus from their own installers, in namespaces of
their own, and other people's applications. `fill` puts them into a served API; `picture` is every object, as the API
server says it.
"""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from served_api import Served

from canary_tutorial import connect
from canary_tutorial.connection import Cluster
from canary_tutorial.kube.api import Api

Obj = dict[str, Any]
MANIFESTS = Path(__file__).parents[1] / "manifests"
HELM = {"app.kubernetes.io/managed-by": "Helm"}


def read(name: str) -> list[Obj]:
    return [obj for obj in yaml.safe_load_all((MANIFESTS / name).read_text()) if obj]


def released(obj: Obj, release: str, **labels: str) -> Obj:
    """An object as a Helm release leaves it: its labels, its annotation, nothing of the tutorial's."""
    obj = copy.deepcopy(obj)
    metadata = obj["metadata"]
    metadata["labels"] = {**HELM, **labels}
    metadata["annotations"] = {"meta.helm.sh/release-name": release}
    return obj


def crd(obj: Obj, release: str, *more_versions: str) -> Obj:
    """A CustomResourceDefinition of the manifests, as upstream has it: with more versions."""
    obj = released(obj, release, app=release)
    known = obj["spec"]["versions"]
    first = next(version for version in known if version["storage"])
    names = {version["name"] for version in known}
    known += [{**copy.deepcopy(first), "name": name, "storage": False} for name in more_versions if name not in names]
    return obj


def namespace(name: str, **labels: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def deployment(name: str, where: str, image: str, labels: Obj, args: tuple[str, ...] = ()) -> Obj:
    container = {"name": name, "image": image, "args": list(args)}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }  # fmt: skip


def service(name: str, where: str, port: int, selector: Obj) -> Obj:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": where},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": port}]},
    }  # fmt: skip


def istio() -> list[Obj]:
    objects = read("mesh.yaml")
    found = [crd(obj, "istio-base", "v1alpha3") for obj in objects if obj["kind"] == "CustomResourceDefinition"]
    role = next(obj for obj in objects if obj["kind"] == "ClusterRole")
    role = released({**role, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "watch"]}]}, "istiod")
    hook = next(obj for obj in objects if obj["kind"] == "MutatingWebhookConfiguration")
    labels = {"app": "istiod", "istio": "pilot", "istio.io/rev": "default"}
    return [
        *found, namespace("istio-system"), role, released(hook, "istiod", app="sidecar-injector"),
        deployment("istiod", "istio-system", "docker.io/istio/pilot:1.27.1", {**labels, **HELM}),
    ]  # fmt: skip


def flagger(where: str = "flagger-system", image: str = "ghcr.io/fluxcd/flagger:1.44.0") -> list[Obj]:
    labels = {"app.kubernetes.io/name": "flagger", "app.kubernetes.io/instance": "flagger", **HELM}
    kinds = [crd(obj, "flagger") for obj in read("flagger-crd.yaml")]
    role = next(released(obj, "flagger") for obj in read("flagger-account.yaml") if obj["kind"] == "ClusterRole")
    args = ("-mesh-provider=istio", "-metrics-server=http://prometheus-server.monitoring:80")
    return [*kinds, namespace(where), role, deployment("flagger", where, image, labels, args)]


def prometheus(where: str = "monitoring") -> list[Obj]:
    labels = {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"}
    return [
        namespace(where),
        deployment("prometheus-server", where, "quay.io/prometheus/prometheus:v3.5.0", labels),
        service("prometheus-server", where, 80, labels),
    ]


def applications() -> list[Obj]:
    """Other people's: a podinfo with its Canary in `test`, a shop in `shop`; neither namespace has a sidecar's label."""
    canary = copy.deepcopy(read("canary-podinfo.yaml")[0])
    canary["spec"]["analysis"]["threshold"] = 7
    return [
        namespace("test", team="payments"),
        deployment("podinfo", "test", "ghcr.io/stefanprodan/podinfo:6.9.0", {"app": "podinfo"}),
        service("podinfo", "test", 9898, {"app": "podinfo"}),
        canary,
        namespace("shop"),
        deployment("shop", "shop", "example.com/shop:1.0", {"app": "shop"}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prices", "namespace": "shop"},
            "data": {"a": "1"},
        },
    ]


def account(where: str = "mine") -> list[Obj]:
    """A namespace made by its administrator, and an account that may do everything in it and nothing elsewhere."""
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "owner"}
    subject = {"kind": "ServiceAccount", "name": "dev", "namespace": where}
    rbac, metadata = "rbac.authorization.k8s.io/v1", {"name": "owner", "namespace": where}
    return [
        namespace(where, **{"istio-injection": "enabled"}),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "dev", "namespace": where}},
        {"apiVersion": rbac, "kind": "Role", "metadata": metadata, "rules": [rule]},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]},
    ]


def everything() -> list[Obj]:
    return [*istio(), *flagger(), *prometheus(), *applications(), *account()]


def fill(server: Served, objects: list[Obj]) -> None:
    for obj in objects:
        path = server_path(obj)
        answer = server.http(
            "POST", path, json.dumps(obj).encode(), Content_Type="application/json", User_Agent="helm/3.18"
        )
        assert answer.status_code in (201, 409), answer.text


def server_path(obj: Obj) -> str:
    plurals = {"Canary": "canaries"}
    group = obj["apiVersion"]
    where = obj["metadata"].get("namespace")
    plural = plurals.get(obj["kind"], obj["kind"].lower() + "s")
    return "/".join(
        [f"/api/{group}" if "/" not in group else f"/apis/{group}", *(["namespaces", where] if where else []), plural]
    )


def picture(api: Api) -> dict[str, Obj]:
    """Every object that the API server has, by its uid, as it says it; but for Events, which are news."""
    versions = ["/api/v1"] + [
        f"/apis/{g['preferredVersion']['groupVersion']}" for g in api.request("GET", "/apis")["groups"]
    ]
    found: dict[str, Obj] = {}
    for version in versions:
        for row in api.request("GET", version)["resources"]:
            if "list" in row["verbs"] and row["kind"] != "Event":
                head = {"kind": row["kind"], "apiVersion": version.removeprefix("/apis/").removeprefix("/api/")}
                items = json.loads(api.request("GET", f"{version}/{row['name']}", parse=False))["items"]
                found.update({obj["metadata"]["uid"]: {**head, **obj} for obj in items})
    return found


@contextmanager
def connecting(server: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cluster]]:
    """A function that connects to the served API as the administrator, or as the account `namespace/name`."""
    monkeypatch.delenv("CANARY_TUTORIAL_PROMETHEUS", raising=False)
    clients: list[Api] = []
    begin = Api.__init__

    def noted(self: Api, configuration: Any) -> None:
        begin(self, configuration)
        clients.append(self)

    monkeypatch.setattr(Api, "__init__", noted)

    def connected(who: str = "", **options: Any) -> Cluster:
        known = yaml.safe_load(server.kubeconfig.read_text())
        known["users"][0]["user"]["token"] = who or server.token
        path = server.directory / f"kubeconfig-{who.replace('/', '-')}"
        path.write_text(yaml.safe_dump(known))
        monkeypatch.setenv("CANARY_TUTORIAL_KUBECONFIG", str(path))
        monkeypatch.setenv("CANARY_TUTORIAL_CONTEXT", "lab")
        return connect(**options)

    yield connected
    for api in clients:  # before the server goes, which would leave half a connection
        api.client.rest_client.pool_manager.clear()
    gc.collect()
