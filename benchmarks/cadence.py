"""Do 100 Canaries on one controller keep their beat? `python benchmarks/cadence.py [SECONDS]` (about a minute and a half).

The API server of the lab runs in a process of its own, without kubelet; the controller is the real one, and records its
ticks. Printed: by how much of its interval a tick came early or late (aim: never more than 5 %), and the controller's
memory (PSS) and processor time.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[1]
NUMBER, INTERVAL = 100, 10.0
TOKEN = "a-token-of-this-benchmark"
Obj = dict[str, Any]


async def serve(directory: Path) -> None:
    """The API with everything in it that a controller needs, and Deployments that are always ready."""
    from aiohttp import web

    from canary_tutorial.lab import kinds
    from canary_tutorial.lab.api import make_app
    from canary_tutorial.lab.api.kinds.registry import KINDS
    from canary_tutorial.lab.contracts import User
    from canary_tutorial.lab.machine.certificates import make_ca_and_server_cert
    from canary_tutorial.lab.store import Store

    store = Store(KINDS)
    _, context = make_ca_and_server_cert(directory)
    for namespace in ("default", "test"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
    users = {TOKEN: User("admin", groups=("system:masters",))}
    runner = web.AppRunner(make_app(store, None, users.get), access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener, ssl_context=context).start()
    port = listener.getsockname()[1]
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(directory / "ca.crt")}
    config = {
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "lab",
    }
    (directory / "kubeconfig").write_text(yaml.safe_dump(config))
    while True:
        for obj in store.list(kinds.DEPLOYMENTS):
            meta, replicas = obj["metadata"], obj["spec"].get("replicas", 1)
            ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
            status = {"observedGeneration": meta["generation"], **ready}
            if obj.get("status") != status:
                store.update(kinds.DEPLOYMENTS, {**obj, "status": status}, "status")
        await asyncio.sleep(0.1)


def kinds_of_manifests() -> list[Obj]:
    found = [yaml.safe_load_all((ROOT / "manifests" / name).read_text()) for name in ("flagger-crd.yaml", "mesh.yaml")]
    return [obj for file in found for obj in file if obj and obj["kind"] == "CustomResourceDefinition"]


def canaries() -> list[Obj]:
    made: list[Obj] = []
    for number in range(NUMBER):
        name = f"app-{number}"
        labels, meta = {"app": name}, {"name": name, "namespace": "test"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        analysis = {"interval": f"{INTERVAL:.0f}s", "threshold": 1, "stepWeight": 10, "metrics": []}
        spec = {"targetRef": target, "service": {"port": 80}, "analysis": analysis}
        deployment = {"selector": {"matchLabels": labels}, "template": template}
        made.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment})
        made.append({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": spec})
    return made


def deviations(recording: Path) -> list[float]:
    """How far each tick is from the beat that its Canary's first tick set, as a share of the interval."""
    ticks: dict[str, list[float]] = defaultdict(list)
    for line in recording.read_text().splitlines():
        record = json.loads(line)
        ticks[record["name"]].append(datetime.fromisoformat(record["time"]).timestamp())
    return [abs(at - times[0] - n * INTERVAL) / INTERVAL for times in ticks.values() for n, at in enumerate(times)]


def main(seconds: float = 60.0) -> None:
    with tempfile.TemporaryDirectory() as path:
        directory = Path(path)
        server = subprocess.Popen([sys.executable, __file__, "--serve", path])
        processes = [server]
        try:
            while not (directory / "kubeconfig").exists():
                time.sleep(0.05)
            kubeconfig, recording = str(directory / "kubeconfig"), directory / "run.jsonl"
            kubectl = ["kubectl", "--kubeconfig", kubeconfig, "create", "--validate=false", "-f", "-"]
            for part in (kinds_of_manifests(), canaries()):
                subprocess.run(
                    kubectl, input=yaml.safe_dump_all(part), text=True, check=True, stdout=subprocess.DEVNULL
                )
            words = ["-kubeconfig", kubeconfig, "-control-loop-interval=2s", "-log-level=error", "-port=0"]
            environment = {**os.environ, "FLAGGER_RECORD": str(recording)}
            command = [sys.executable, "-m", "canary_tutorial.flagger", *words]
            flagger = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            processes.append(flagger)
            time.sleep(seconds)
            process = psutil.Process(flagger.pid)
            memory, used = process.memory_full_info().pss / 2**20, process.cpu_times()
            found = sorted(deviations(recording))
            print(f"{NUMBER} Canaries, interval {INTERVAL:.0f}s, {len(found)} ticks")
            middle, worst = found[len(found) // 2], found[-1]
            print(f"off the beat: {middle:.2%} of the interval in the middle, {worst:.2%} at worst (aim: 5 %)")
            print(f"controller: {memory:.0f} MB PSS, {(used.user + used.system) / seconds:.0%} of a processor")
        finally:
            for each in reversed(processes):
                each.terminate()
                each.wait(10)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        main(*(float(word) for word in sys.argv[1:]))
