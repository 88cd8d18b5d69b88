"""What a live release board costs its kernel: CPU, memory, and what it asks of Prometheus.

`python benchmarks/board.py [MINUTES]`; 10 if not given.
A kernel of its own runs a release that lasts longer than the measurement, with the board alive as in JupyterLab.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

import psutil
from jupyter_client.manager import start_new_kernel

BEGIN = """
from canary_tutorial import connect, prepare
from canary_tutorial.metrics.prometheus import Metrics
from canary_tutorial.widgets import ReleaseBoard, board as module

counted = {"queries": 0, "refreshes": 0}

def count(owner, name, what):
    function = getattr(owner, name)
    def counting(*arguments, **options):
        counted[what] += 1
        return function(*arguments, **options)
    setattr(owner, name, counting)

count(Metrics, "_ask", "queries")
count(module, "refresh", "refreshes")
cluster = connect(show=False)
canary = prepare(cluster)
canary = prepare(cluster, interval="INTERVAL", window="3s")
release = canary.release("stefanprodan/podinfo:2.1.3", show=False)
board = ReleaseBoard(release)
board
"""
END = "import json; print(json.dumps(counted))"


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as home:
        lab = [sys.executable, "-m", "canary_tutorial.lab"]
        environment = {
            **os.environ, "CANARY_TUTORIAL_HOME": home, "CANARY_TUTORIAL_LAB": "board", "JPY_SESSION_NAME": "board",
        }  # fmt: skip
        subprocess.run([*lab, "up", "--name", "board"], env=environment, check=True, capture_output=True)
        manager, client = start_new_kernel(env=environment)
        try:
            run(client, BEGIN.replace("INTERVAL", f"{max(10, minutes * 20):.0f}s"))
            kernel = psutil.Process(manager.provisioner.pid)
            before, began, memory = counted(client), time.time(), []
            used = sum(kernel.cpu_times()[:2])
            while time.time() - began < minutes * 60:
                time.sleep(5)
                memory.append(kernel.memory_full_info().uss / 2**20)
                if time.time() - began >= 60 and len(memory) % 12 == 0:
                    print(f"{(time.time() - began) / 60:4.1f} min: {memory[-1]:.1f} MB", flush=True)
            share = (sum(kernel.cpu_times()[:2]) - used) / (time.time() - began)
            after = counted(client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            subprocess.run([*lab, "down", "--name", "board"], env=environment, capture_output=True)
    refreshes = after["refreshes"] - before["refreshes"]
    queries = after["queries"] - before["queries"]
    first = memory[min(11, len(memory) - 1)]  # after the first minute
    print(f"{minutes:g} minutes, {refreshes} refreshes: {share:.1%} of a core, {queries / refreshes:.2f} queries each")
    print(f"memory (USS): {memory[0]:.1f} MB, after a minute {first:.1f} MB, at the end {memory[-1]:.1f} MB")


def run(client: object, code: str) -> str:
    """Execute a cell; what it printed. Raises RuntimeError with what it raised."""
    said: list[str] = []

    def listen(message: dict) -> None:
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=180, output_hook=listen)["content"]
    if reply["status"] != "ok":
        raise RuntimeError("\n".join(reply["traceback"]))
    return "".join(said)


def counted(client: object) -> dict[str, int]:
    return json.loads(run(client, END).strip().splitlines()[-1])


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
