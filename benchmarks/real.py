"""What our controller costs beside the real Flagger: `python benchmarks/real.py` (about five minutes, after `make test-real`).

Both run at the same time, each on an API server of its own, with the same Canaries, the lessons' steps (mirrored, 20, 40,
60 %) and an interval of 10s, the shortest that Flagger has. There are no pods and no requests: every Deployment is ready,
every check passes, and only the controllers are measured. Printed: memory (PSS), and processor time for a minute without
a release, for one release, and for 20 at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cadence
import psutil
import yaml

from canary_tutorial.lab.machine.images import find_image

ROOT = Path(__file__).parents[1]
REAL = ROOT / ".tools" / "real" / "flagger"
MANY, IDLE, LIMIT = 20, 60.0, 600.0  # Canaries; seconds
ANALYSIS = {
    "interval": "10s",
    "threshold": 4,
    "mirror": True,
    "stepWeight": 20,
    "maxWeight": 50,
    "metrics": [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
    ],
}


class Prometheus(BaseHTTPRequestHandler):
    """Answers every query with 100: of requests that succeed, of milliseconds."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        result = [{"metric": {}, "value": [0, "100"]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Controller:
    """A controller on an API server of its own."""

    def __init__(self, directory: Path, program: list[str], metrics: str, port: int) -> None:
        directory.mkdir()
        self.kubeconfig = directory / "kubeconfig"
        self.processes = [subprocess.Popen([sys.executable, cadence.__file__, "--serve", str(directory)])]
        until(self.kubeconfig.exists)
        self.apply(cadence.kinds_of_manifests())
        (container,) = deployment()["spec"]["template"]["spec"]["containers"]
        flags = [f"-metrics-server={metrics}", f"-port={port}", f"-kubeconfig={self.kubeconfig}"]
        environment = {**os.environ, **find_image(container["image"]).environment}
        with (directory / "log").open("w") as log:
            command = [*program, *container["args"], *flags]
            self.processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        self.targets: list[str] = []
        self.process = psutil.Process(self.processes[-1].pid)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--namespace=test", *words]
        return subprocess.run(command, input=stdin, text=True, check=True, capture_output=True).stdout

    def apply(self, objects: list[dict[str, Any]]) -> None:
        self.kubectl("create", "--validate=false", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def phases(self) -> set[str]:
        return set(self.kubectl("get", "canaries", "-o=jsonpath={.items[*].status.phase}").split())

    def make(self, first: int, last: int) -> None:
        """More Canaries, until they are initialized."""
        objects = cadence.canaries()[2 * first : 2 * last]
        self.targets = [f"deployment/app-{number}" for number in range(last)]
        for canary in objects[1::2]:
            canary["spec"]["analysis"] = ANALYSIS
        self.apply(objects)
        until(
            lambda: (
                self.phases() <= {"Initialized", "Succeeded"}
                and len(self.kubectl("get", "vs", "-o=name").split()) == last
            )
        )

    def release(self, tag: int) -> float:
        """Releases all; seconds of processor time."""
        before = self.used()
        self.kubectl("set", "image", *self.targets, f"app=app:{tag}")
        until(lambda: self.phases() == {"Progressing"})
        until(lambda: self.phases() == {"Succeeded"})
        return self.used() - before

    def used(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        return float(self.process.memory_full_info().pss / 2**20)

    def figures(self) -> dict[str, float]:
        self.make(0, 1)
        time.sleep(10)  # what it does after the start is no rest
        before = self.used()
        time.sleep(IDLE)
        found = {"memory with one Canary, MB": self.memory()}
        found["CPU of a minute without a release, s"] = (self.used() - before) * 60 / IDLE
        found["CPU of a release, s"] = self.release(2)
        self.make(1, MANY)
        found[f"CPU of {MANY} releases at once, s"] = self.release(3)
        found[f"memory with {MANY} Canaries, MB"] = self.memory()
        return found


def deployment() -> dict[str, Any]:
    objects = yaml.safe_load_all((ROOT / "manifests" / "flagger-deployment.yaml").read_text())
    return next(obj for obj in objects if obj["kind"] == "Deployment")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it never came true within {LIMIT:.0f} s")
        time.sleep(0.5)


def main() -> None:
    prometheus = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=prometheus.serve_forever, daemon=True).start()
    metrics = f"http://127.0.0.1:{prometheus.server_port}"
    programs = {"ours": [sys.executable, "-m", "canary_tutorial.flagger"], "real": [str(REAL)]}
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(2) as pool:
        controllers = [
            Controller(Path(made) / name, program, metrics, 10080 + number)
            for number, (name, program) in enumerate(programs.items())
        ]
        try:
            ours, real = pool.map(Controller.figures, controllers)
        finally:
            for controller in controllers:
                controller.end()
    print(f"{'':40} {'ours':>8} {'real':>8} {'ours/real':>10}")
    for what in ours:
        print(f"{what:40} {ours[what]:8.2f} {real[what]:8.2f} {ours[what] / real[what]:10.2f}")


if __name__ == "__main__":
    if not REAL.exists():
        sys.exit("There is no real Flagger: .tools/real/flagger is missing.\n→ make test-real")
    if "ALONE" not in os.environ:  # it listens on all addresses
        os.execv(ROOT / "tools" / "alone", ["alone", sys.executable, *sys.argv])
    main()
