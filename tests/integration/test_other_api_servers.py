"""What a real API server says and the lab's seldom does: `null` for what is empty, and 429 while it is busy."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from canary_tutorial.connection import Cluster
from canary_tutorial.errors import Refused
from canary_tutorial.kube import rollouts
from canary_tutorial.kube.api import of_kubeconfig
from canary_tutorial.release import timeline
from canary_tutorial.release.explain import why_nothing_happens
from canary_tutorial.release.flagger_log import read_event
from canary_tutorial.release.plan import plan

Answer = tuple[int, dict[str, str], Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DISCOVERY: dict[str, Any] = {
    "/version": {"gitVersion": "v1.32.4"},
    "/apis": {"groups": [{
        "name": "apiextensions.k8s.io",
        "versions": [{"groupVersion": "apiextensions.k8s.io/v1"}],
        "preferredVersion": {"groupVersion": "apiextensions.k8s.io/v1"},
    }]},
    "/api/v1": {"resources": None},
    "/apis/apiextensions.k8s.io/v1": {"resources": [{
        "name": "customresourcedefinitions", "kind": "CustomResourceDefinition", "namespaced": False,
        "shortNames": None, "verbs": ["get", "patch"],
    }]},
}  # fmt: skip


@contextmanager
def served(tmp_path: Path, answer: Callable[[str, str], Answer]) -> Iterator[Cluster]:
    """A cluster whose API server knows its discovery and, for everything else, `answer(method, path)`."""

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            code, headers, body = (200, {}, DISCOVERY[path]) if path in DISCOVERY else answer(self.command, path)
            data = json.dumps(body).encode()
            self.send_response(code)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_POST = reply

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: it is a test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = tmp_path / "kubeconfig"
    url = f"http://127.0.0.1:{server.server_address[1]}"
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": url}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }))  # fmt: skip
    api = of_kubeconfig(str(kubeconfig), None)
    try:
        yield Cluster("x", api, "v1.32.4")
    finally:
        api.client.rest_client.pool_manager.clear()
        server.shutdown()
        server.server_close()


def test_a_new_kind_whose_conditions_are_null_at_first_is_waited_for(tmp_path: Path):
    asked: list[str] = []

    def answer(method: str, path: str) -> Answer:
        asked.append(method)
        established = [{"type": "Established", "status": "True"}] if asked.count("GET") > 2 else None
        return 200, {}, {"metadata": {"name": "canaries.flagger.app"}, "status": {"conditions": established}}

    with served(tmp_path, answer) as cluster:
        cluster.wait_established("canaries.flagger.app", timeout=30)
    assert len(asked) == 3


def test_a_busy_server_is_asked_again_when_it_says(tmp_path: Path):
    codes = iter([429, 503, 200])

    def answer(method: str, path: str) -> Answer:
        return next(codes), {"Retry-After": "0"}, {"metadata": {"name": "canaries.flagger.app"}, "status": None}

    with served(tmp_path, answer) as cluster:
        assert cluster.get("customresourcedefinitions", "canaries.flagger.app")["metadata"]


def test_a_server_that_stays_busy_is_given_up_and_one_that_does_not_say_when_is_not_asked_again(tmp_path: Path):
    asked: list[str] = []

    def answer(method: str, path: str) -> Answer:
        asked.append(path)
        return 429, {"Retry-After": "0"} if "busy" in path else {}, {"message": "too many requests", "details": None}

    with served(tmp_path, answer) as cluster:
        for name, tries in (("busy", 10), ("silent", 1)):
            asked.clear()
            with pytest.raises(Refused, match="too many requests") as caught:
                cluster.get("customresourcedefinitions", name)
            assert (caught.value.status, len(asked)) == (429, tries)


@pytest.mark.parametrize("empty", [None, "absent"])
def test_null_and_absent_are_the_same_wherever_an_object_is_read(tmp_path: Path, empty: str | None):
    """A Deployment, a pod, a Canary and an event with nothing in them that need not be there."""

    def obj(*optional: str, **fields: Any) -> dict[str, Any]:
        return {**fields, **({} if empty else dict.fromkeys(optional))}

    meta = obj(
        "labels", "annotations", "managedFields", name="podinfo", generation=1, creationTimestamp="2026-01-01T00:00:00Z"
    )
    spec = obj("template", "replicas", selector={"matchLabels": {"app": "podinfo"}})
    rolled_out = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
    pod_status = obj("conditions", "containerStatuses", "initContainerStatuses", phase="Pending")
    analysis = obj("metrics", "match", "webhooks", "stepWeights", stepWeight=10)
    canary_spec = obj("suspend", "service", targetRef={"name": "podinfo"}, analysis=analysis)
    given = {
        "deployment": {"metadata": meta, "spec": spec, "status": obj("conditions", **rolled_out)},
        "pod": {"metadata": meta, "spec": {}, "status": pod_status},
        "canary": obj("status", metadata=meta, spec=canary_spec),
        "routes": {"spec": obj("http", "hosts")},
        "event": obj("eventTime", "firstTimestamp", "lastTimestamp", metadata=meta, type="Normal", message="m"),
    }

    with served(tmp_path, lambda method, path: (200, {}, given[path.rpartition("/")[2]])) as cluster:
        deployment, pod, canary, routes, event = (cluster.get("customresourcedefinitions", name) for name in given)
    assert rollouts.progress(deployment)[0]
    assert rollouts.blocking_reason([pod]) == ""
    assert timeline.observe(canary, routes, 0).phase == ""
    assert plan(canary["spec"]).ticks > 3
    assert "Flagger is not installed" in why_nothing_happens(canary, deployment, [], [pod], [])
    assert read_event(event).time > 0
