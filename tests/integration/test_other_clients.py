"""Other people's programs against the API server: kr8s, an operator of kopf, and many writers at once."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
from served_api import TOKEN, Served
from test_clients import CRD

from canary_tutorial.lab import kinds

Obj = dict[str, Any]

KR8S = """
import asyncio, sys
import kr8s.asyncio
from kr8s.asyncio.objects import ConfigMap, Pod, new_class

async def main():
    api = await kr8s.asyncio.api(kubeconfig=sys.argv[1])
    settings = await ConfigMap({"metadata": {"name": "settings", "namespace": "test"}, "data": {"a": "1"}}, api=api)
    await settings.create()
    await settings.patch({"data": {"a": "2"}})
    await settings.label({"app": "web"})
    async for found in kr8s.asyncio.get("configmaps", namespace="test", label_selector="app=web", api=api):
        print("found", found.name, found.data.a)
    canaries = new_class("Canary", "flagger.app/v1beta1", plural="canaries", asyncio=True)
    canary = await canaries({"metadata": {"name": "web", "namespace": "test"}, "spec": {"a": 1}}, api=api)
    await canary.create()
    await canary.patch({"status": {"phase": "Initialized"}}, subresource="status")
    await canary.refresh()
    print("phase", canary.status.phase)
    pod = await Pod.get("p", namespace="test", api=api)
    print("ready", await pod.ready())
    print("said", (await pod.exec(["echo", "hello"])).stdout.decode().strip())
    await settings.delete()
    print("exists", await settings.exists())

asyncio.run(main())
"""

OPERATOR = """
import kopf

@kopf.on.startup()
def quietly(settings, **_):
    settings.posting.enabled = True
    settings.persistence.finalizer = "test.example/kopf"

@kopf.on.create("flagger.app", "v1beta1", "canaries")
def created(spec, patch, **_):
    patch.status["phase"] = f"made with {spec['a']}"
    return {"seen": spec["a"]}

@kopf.on.update("flagger.app", "v1beta1", "canaries", field="spec.a")
def updated(old, new, patch, **_):
    patch.status["phase"] = f"from {old} to {new}"

@kopf.on.delete("flagger.app", "v1beta1", "canaries")
def deleted(name, logger, **_):
    with open("deleted", "w") as file:
        file.write(name)
"""
CANARIES = "/apis/flagger.app/v1beta1/namespaces/test/canaries"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


def define(server: Served) -> None:
    assert server.http("POST", CRDS, json.dumps(CRD).encode()).status_code == 201


def test_kr8s_creates_patches_selects_and_executes(server: Served) -> None:
    define(server)
    server.pod("p")
    done = subprocess.run(
        [sys.executable, "-c", KR8S, str(server.kubeconfig)],
        env=server.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "found settings 2", "phase Initialized", "ready True", "said hello", "exists False"
    ]  # fmt: skip


def test_an_operator_of_kopf_handles_patches_and_lets_go(server: Served, tmp_path: Path) -> None:
    define(server)
    (tmp_path / "releases.py").write_text(OPERATOR)
    body = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web"}, "spec": {"a": 1}}

    def wait_for(wanted: Any, **said: Any) -> Obj:
        began = time.monotonic()
        while True:
            found = server.http("GET", f"{CANARIES}/web")
            if wanted(found):
                return found.json()
            assert time.monotonic() - began < 30, (found.json(), (tmp_path / "log").read_text())
            time.sleep(0.05)

    with (tmp_path / "log").open("wb") as log:
        operator = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--namespace=test", "--standalone", "releases.py"],
            env=server.environment, cwd=tmp_path, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        assert server.http("POST", CANARIES, json.dumps(body).encode()).status_code == 201
        made = wait_for(lambda found: found.json().get("status", {}).get("phase") == "made with 1")
        assert made["metadata"]["finalizers"] == ["test.example/kopf"]
        assert made["status"]["created"] == {"seen": 1}
        server.http("PATCH", f"{CANARIES}/web", b'{"spec":{"a":2}}', Content_Type=MERGE)
        wait_for(lambda found: found.json()["status"]["phase"] == "from 1 to 2")
        server.http("DELETE", f"{CANARIES}/web")
        wait_for(lambda found: found.status_code == 404)
        assert (tmp_path / "deleted").read_text() == "web"
    finally:
        operator.terminate()
        operator.wait(20)


def test_of_a_thousand_quick_conflicting_writes_none_is_lost(server: Served) -> None:
    meta = {"name": "count", "namespace": "test"}
    server.call(server.store.create, kinds.CONFIGMAPS, {"metadata": meta, "data": {"n": "0"}})
    url = f"{server.url}/api/v1/namespaces/test/configmaps/count"
    conflicts = 0

    async def writer(session: aiohttp.ClientSession) -> None:
        nonlocal conflicts
        done = 0
        while done < 100:
            async with session.get(url) as answer:
                found = await answer.json()
            found["data"]["n"] = str(int(found["data"]["n"]) + 1)
            async with session.put(url, json=found) as answer:
                assert answer.status in (200, 409), await answer.text()
                done += answer.status == 200
                conflicts += answer.status == 409

    async def all_of_them() -> None:
        context = ssl.create_default_context(cafile=server.ca)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(writer(session) for _ in range(10)))

    asyncio.run(all_of_them())
    assert server.call(server.store.get, kinds.CONFIGMAPS, "count", "test")["data"]["n"] == "1000"
    assert conflicts > 0
