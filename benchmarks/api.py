"""How fast the lab's API answers: `python benchmarks/api.py` (about 40 seconds). Needs hey on PATH.

1. single objects read per second of the server's CPU, which is what one process can answer when nothing else keeps it
   from that, against a bare aiohttp handler with the same body in the same process and the same run (aim: at least
   30 %): as administrator, and as an account whose rights are looked up; both without TLS, which would hide differences
2. milliseconds from a write until a watcher sees it (aim: 20 at the 99th percentile)
3. seconds to list 5,000 pods (aim: 0.5)
4. seconds until `up` returns (aim: 3), and the CPU that an idle lab takes
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil

ADMIN, ACCOUNT = "the-administrator", "an-account"
ROUNDS, SECONDS, AT_ONCE = 3, 2, 16
WRITES, PODS, IDLE = 500, 5000, 10
READ = "/api/v1/namespaces/test/pods/pod-00000"


async def serve(directory: Path) -> None:
    """Two servers in one process: the API, with pods in it, and one handler that returns one of them."""
    from aiohttp import web

    from canary_tutorial.lab import kinds
    from canary_tutorial.lab.api import make_app
    from canary_tutorial.lab.api.access import default_roles
    from canary_tutorial.lab.api.access.authorization import user_of
    from canary_tutorial.lab.api.kinds.registry import KINDS
    from canary_tutorial.lab.machine.certificates import make_ca_and_server_cert
    from canary_tutorial.lab.store import Store

    store = Store(KINDS)
    _, context = make_ca_and_server_cert(directory)
    default_roles.create(store)
    store.create(kinds.NAMESPACES, {"metadata": {"name": "test"}})
    for number in range(PODS):
        store.create(kinds.PODS, pod(f"pod-{number:05}"))
    subject = {"kind": "User", "name": "account"}
    reference = {"kind": "ClusterRole", "name": "view"}
    meta = {"name": "viewer", "namespace": "test"}
    store.create(kinds.ROLEBINDINGS, {"metadata": meta, "roleRef": reference, "subjects": [subject]})
    body = json.dumps(store.get(kinds.PODS, "pod-00000", "test")).encode()

    async def bare(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    alone = web.Application()
    alone.router.add_get("/{path:.*}", bare)
    users = {ADMIN: user_of("admin", ["system:masters"]), ACCOUNT: user_of("account", [])}
    ports = []
    for app in (make_app(store, None, users.get), alone):  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        for tls in (None, context):
            listener = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listener, ssl_context=tls).start()
            ports.append(listener.getsockname()[1])
    fresh = directory / "ports.new"
    fresh.write_text(json.dumps(ports))
    fresh.rename(directory / "ports")
    await asyncio.Event().wait()


def pod(name: str) -> dict[str, Any]:
    """A pod of the size that they have."""
    container = {
        "name": "podinfod",
        "image": "stefanprodan/podinfo:2.0.0",
        "command": ["./podinfo", "--port=9898"],
        "ports": [{"containerPort": 9898, "name": "http", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    }
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": each, "status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z"} for each in types]
    status = {"phase": "Running", "podIP": "127.16.0.1", "hostIP": "127.0.0.1", "conditions": conditions}
    meta = {"name": name, "namespace": "test", "labels": {"app": "podinfo", "pod-template-hash": "5d9c7b7b9f"}}
    return {"metadata": meta, "spec": {"nodeName": "lab", "containers": [container]}, "status": status}


def reads(server: psutil.Process, port: int, token: str) -> float:
    """Requests per second of the server's CPU, all of them answered with 200."""
    command = ["hey", "-z", f"{SECONDS}s", "-c", str(AT_ONCE), "-H", f"Authorization: Bearer {token}"]
    before = sum(server.cpu_times()[:2])
    run = subprocess.run([*command, f"http://127.0.0.1:{port}{READ}"], capture_output=True, text=True, check=True)
    taken = sum(server.cpu_times()[:2]) - before
    codes = re.findall(r"\[(\d+)\]\s+(\d+) responses", run.stdout)
    if [code for code, _ in codes] != ["200"]:
        sys.exit(f"not every answer was 200:\n{run.stdout}")
    return int(codes[0][1]) / taken


async def writes_and_lists(url: str, context: ssl.SSLContext) -> tuple[list[float], list[float]]:
    """Seconds from each write to its event, and of each list of all pods."""
    headers, path = {"Authorization": f"Bearer {ADMIN}"}, f"{url}/api/v1/namespaces/test/configmaps"
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(headers=headers, connector=connector, read_bufsize=2**22) as session:
        await (await session.post(path, json={"metadata": {"name": "c"}, "data": {"n": "0"}})).read()
        latencies, lists = [], []
        async with session.get(path, params={"watch": "1"}) as watch:
            await watch.content.readline()
            for number in range(1, WRITES + 1):
                began = time.perf_counter()
                change = asyncio.create_task(
                    session.patch(
                        f"{path}/c",
                        data=json.dumps({"data": {"n": str(number)}}),
                        headers={"Content-Type": "application/merge-patch+json"},
                    )
                )
                event = json.loads(await watch.content.readline())
                latencies.append(time.perf_counter() - began)
                assert event["object"]["data"]["n"] == str(number)
                await (await change).read()
        for _ in range(5):
            began = time.perf_counter()
            async with session.get(f"{url}/api/v1/pods") as answer:
                whole = await answer.read()
            lists.append(time.perf_counter() - began)
            assert whole.count(b'"podIP"') == PODS
        return latencies, lists


def idle_lab() -> tuple[float, float]:
    """Seconds that `up` takes, and the share of one CPU that the lab takes while nothing happens."""
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CANARY_TUTORIAL_HOME": home}
        began = time.monotonic()
        subprocess.run([*command, "up"], env=environment, check=True, capture_output=True)
        up = time.monotonic() - began
        try:
            status = subprocess.run([*command, "status", "--json"], env=environment, check=True, capture_output=True)
            processes = [psutil.Process(each["pid"]) for each in json.loads(status.stdout)["processes"]]
            time.sleep(2)
            before = sum(sum(each.cpu_times()[:2]) for each in processes)
            time.sleep(IDLE)
            after = sum(sum(each.cpu_times()[:2]) for each in processes)
        finally:
            subprocess.run([*command, "down"], env=environment, check=True, capture_output=True)
    return up, (after - before) / IDLE


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        server = subprocess.Popen([sys.executable, __file__, place])
        try:
            while not (directory / "ports").exists():
                if server.poll() is not None:
                    sys.exit("the server did not start")
                time.sleep(0.05)
            ours, secure, alone, _ = json.loads((directory / "ports").read_text())
            process, who = psutil.Process(server.pid), ((alone, ADMIN), (ours, ADMIN), (ours, ACCOUNT))
            rates = [[reads(process, port, token) for port, token in who] for _ in range(ROUNDS)]
            context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
            latencies, lists = asyncio.run(writes_and_lists(f"https://127.0.0.1:{secure}", context))
        finally:
            server.terminate()
            server.wait()
    up, cpu = idle_lab()
    bare, admin, account = (statistics.median(each) for each in zip(*rates, strict=True))
    cuts = statistics.quantiles(latencies, n=100)
    print(f"a bare handler           {bare:6.0f} reads per second of CPU")
    print(f"one object, admin        {admin:6.0f} reads per second of CPU, {admin / bare:.0%} of that")
    print(f"one object, an account   {account:6.0f} reads per second of CPU, {account / bare:.0%} of that")
    print(f"a write is seen after    {cuts[49] * 1000:6.1f} ms (median), {cuts[98] * 1000:.1f} ms (99th percentile)")
    print(f"5,000 pods are listed in {min(lists):6.2f} s at best, {max(lists):.2f} s at worst")
    print(f"up                       {up:6.1f} s")
    print(f"idle                     {cpu:6.1%} of one CPU")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(serve(Path(sys.argv[1])))
    else:
        main()
