"""The Python clients against the API server: kubernetes (pydantic models), and lightkube as Flagger uses it."""

# ruff: noqa: E501  (paths and objects are one line)

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import kubernetes
import lightkube
import pytest
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType
from served_api import Served

from canary_tutorial.lab import kinds

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

SPEC: dict[str, Any] = {
    "replicas": 1,
    "selector": {"matchLabels": {"app": "web"}},
    "template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "podinfo:1"}]},
    },
}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": SPEC}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "canaries.flagger.app"},
    "spec": {"group": "flagger.app", "scope": "Namespaced", "names": {"plural": "canaries", "kind": "Canary"}, "versions": [
        {"name": "v1beta1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                             "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]},
}  # fmt: skip


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The clients leave connections open: let that be noticed here, where it is ignored, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture
def api(server: Served) -> Iterator[kubernetes.client.ApiClient]:
    with kubernetes.config.new_client_from_config(str(server.kubeconfig)) as client:
        yield client


def light(server: Served) -> KubeConfig:
    return KubeConfig.from_file(server.kubeconfig)


def test_the_official_client_creates_reads_patches_and_deletes(api: kubernetes.client.ApiClient) -> None:
    apps = kubernetes.client.AppsV1Api(api)
    made = apps.create_namespaced_deployment("test", DEPLOYMENT)
    assert (made.metadata.generation, made.spec.strategy.type) == (1, "RollingUpdate")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "podinfo:2"}]}}}}
    patched = apps.patch_namespaced_deployment("web", "test", patch)
    assert patched.spec.template.spec.containers[0].image == "podinfo:2"
    apps.patch_namespaced_deployment_scale("web", "test", {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment_scale("web", "test").spec.replicas == 3
    assert [each.metadata.name for each in apps.list_deployment_for_all_namespaces(label_selector="!x").items] == [
        "web"
    ]
    apps.delete_namespaced_deployment("web", "test", propagation_policy="Background")
    with pytest.raises(kubernetes.client.ApiException) as gone:
        apps.read_namespaced_deployment("web", "test")
    assert gone.value.status == 404


def test_the_official_client_creates_models(api: kubernetes.client.ApiClient) -> None:
    client = kubernetes.client
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(
        "test", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "b"})
    )
    assert core.read_namespaced_config_map("c", "test").data == {"a": "b"}
    with pytest.raises(client.ApiException) as twice:
        core.create_namespaced_config_map("test", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c")))
    assert (twice.value.status, "already exists" in twice.value.body) == (409, True)


def test_the_official_client_watches_custom_objects(server: Served, api: kubernetes.client.ApiClient) -> None:
    kubernetes.client.ApiextensionsV1Api(api).create_custom_resource_definition(CRD)
    custom = kubernetes.client.CustomObjectsApi(api)
    where = ("flagger.app", "v1beta1", "test", "canaries")
    body = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "podinfo"}, "spec": {"a": 1}}
    custom.create_namespaced_custom_object(*where, body)

    def later() -> None:
        time.sleep(0.3)
        custom.patch_namespaced_custom_object_status(*where, "podinfo", {"status": {"phase": "Promoting"}})
        custom.delete_namespaced_custom_object(*where, "podinfo")

    thread = threading.Thread(target=later)
    thread.start()
    seen = []
    for event in kubernetes.watch.Watch().stream(custom.list_namespaced_custom_object, *where, timeout_seconds=5):
        seen.append((event["type"], event["object"].get("status", {}).get("phase")))
        if event["type"] == "DELETED":
            break
    thread.join()
    assert seen == [("ADDED", None), ("MODIFIED", "Promoting"), ("DELETED", "Promoting")]


def test_lightkube_works_with_typed_and_generic_resources(server: Served) -> None:
    client = lightkube.Client(config=light(server))
    client.create(from_dict(CRD))
    while not client.get(CustomResourceDefinition, "canaries.flagger.app").status.conditions:
        time.sleep(0.01)
    assert client.get(CustomResourceDefinition, "canaries.flagger.app").status.conditions[-1].type == "Established"
    client.create(from_dict(DEPLOYMENT), namespace="test")
    found = client.get(Deployment, "web", namespace="test")
    found.spec.replicas = 4
    client.replace(found)
    with pytest.raises(ApiError) as stale:
        client.replace(found)
    assert (stale.value.status.code, stale.value.status.reason) == (409, "Conflict")
    applied = client.apply(ConfigMap(metadata=ObjectMeta(name="c", namespace="test"), data={"a": "b"}, apiVersion="v1",
                                     kind="ConfigMap"), field_manager="test")  # fmt: skip
    assert applied.data == {"a": "b"}
    canaries = create_namespaced_resource("flagger.app", "v1beta1", "Canary", "canaries")
    client.create(canaries(metadata={"name": "podinfo", "namespace": "test"}, spec={"a": 1}))
    client.patch(
        canaries.Status, "podinfo", {"status": {"phase": "Succeeded"}}, namespace="test", patch_type=PatchType.MERGE
    )
    assert client.get(canaries, "podinfo", namespace="test").status == {"phase": "Succeeded"}


def test_lightkube_async_watches_and_resumes(server: Served) -> None:
    server.pod("first")

    async def watch() -> list[tuple[str, str]]:
        client = lightkube.AsyncClient(config=light(server))
        seen = []
        async for type_, pod in client.watch(Pod, namespace="test", server_timeout=1):
            seen.append((type_, pod.metadata.name))
            if len(seen) == 1:
                # longer than one watch lasts: the client resumes from the last version, and nothing comes twice
                asyncio.get_running_loop().call_later(
                    1.5, lambda: threading.Thread(target=server.pod, args=("second",)).start()
                )
            if len(seen) == 2:
                break
        return seen

    assert asyncio.run(asyncio.wait_for(watch(), 20)) == [("ADDED", "first"), ("ADDED", "second")]


def test_a_real_informers_conversation_is_answered(server: Served) -> None:
    """What client-go sends: a paged list, a watch from its version with bookmarks, events.k8s.io, leases."""
    server.pod("p")
    listed = server.http("GET", "/api/v1/pods?limit=500&resourceVersion=0").json()
    version = listed["metadata"]["resourceVersion"]
    path = f"/api/v1/pods?allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=1&watch=true"
    assert server.http("GET", path).text == ""
    event = {"metadata": {"name": "e", "namespace": "test"}, "regarding": {"kind": "Pod", "name": "p"}, "note": "hello",
             "reason": "Synced", "type": "Normal", "eventTime": "2026-11-23T12:00:00.000000Z", "action": "x",
             "reportingController": "flagger", "reportingInstance": "flagger-1"}  # fmt: skip
    posted = server.http("POST", "/apis/events.k8s.io/v1/namespaces/test/events", _json(event)).json()
    assert (posted["apiVersion"], posted["note"]) == ("events.k8s.io/v1", "hello")
    core = server.http("GET", "/api/v1/namespaces/test/events/e").json()
    assert (core["message"], core["involvedObject"]["name"]) == ("hello", "p")
    lease = {
        "metadata": {"name": "l", "namespace": "test"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15},
    }
    made = server.http("POST", "/apis/coordination.k8s.io/v1/namespaces/test/leases", _json(lease)).json()
    taken = made | {"spec": {"holderIdentity": "b"}}
    lease_path = "/apis/coordination.k8s.io/v1/namespaces/test/leases/l"
    assert server.http("PUT", lease_path, _json(taken)).status_code == 200
    assert server.http("PUT", lease_path, _json(taken | {"spec": {"holderIdentity": "c"}})).status_code == 409


def test_old_versions_get_410_and_initial_events_end_with_a_bookmark(server: Served) -> None:
    server.pod("p")
    gone = server.http("GET", "/api/v1/pods?watch=1&resourceVersion=5&timeoutSeconds=5").json()
    assert (gone["type"], gone["object"]["code"], gone["object"]["reason"]) == ("ERROR", 410, "Expired")
    future = server.http("GET", f"/api/v1/pods?resourceVersion={server.store.version + 100}").json()
    assert (future["code"], future["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")
    path = "/api/v1/pods?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    lines = server.http("GET", path).text.splitlines()
    assert [line[:16] for line in lines] == ['{"type":"ADDED",', '{"type":"BOOKMAR']
    assert '"k8s.io/initial-events-end":"true"' in lines[1]


def test_a_watch_with_a_selector_shows_objects_come_and_go(server: Served) -> None:
    def label(value: str) -> None:
        server.store.change(kinds.CONFIGMAPS, "c", "test", lambda obj: obj["metadata"].update(labels={"a": value}))

    def play() -> None:
        server.call(
            server.store.create,
            kinds.CONFIGMAPS,
            {"metadata": {"name": "c", "namespace": "test", "labels": {"a": "no"}}},
        )
        for value in ("yes", "yes ", "no"):
            server.call(label, value.strip())
            server.call(
                server.store.change, kinds.CONFIGMAPS, "c", "test", lambda obj, v=value: obj.update(data={"v": v})
            )

    version = server.store.version
    play()
    path = (
        f"/api/v1/namespaces/test/configmaps?watch=1&labelSelector=a%3Dyes&resourceVersion={version}&timeoutSeconds=1"
    )
    types = [line.split('"')[3] for line in server.http("GET", path).text.splitlines()]
    assert types == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
