"""The lab's figures, as ratios where a ratio is possible: `python benchmarks/lab.py` (about a minute and a half).

1. seconds from `up` to the first request answered through the mesh (aim: under 5 on 2 cores)
2. a release from `set image` to Succeeded against the sum of its intervals, 5s each (aim: at most 1.15)
3. the lab's peak memory as PSS, all processes together (aim: under 400 MB), and Envoy and Prometheus alone
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from canary_tutorial import connect
from canary_tutorial.connection import LAB
from canary_tutorial.errors import TutorialError
from canary_tutorial.reports.pss import PeakMemory

NAME = "benchmark"


def lab(*words: str) -> str:
    command = [sys.executable, "-m", "canary_tutorial.lab", *words, "--name", NAME]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def first_request(began: float) -> float:
    """Install mesh, podinfo and load tester; seconds until a request through the mesh is answered with 200."""
    cluster = connect()
    cluster.apply("mesh.yaml", "test-podinfo.yaml", "test-loadtester.yaml", min_ready_seconds=1)
    while True:
        try:
            command = ["hey", "-n", "1", "-c", "1", "http://podinfo.test:9898/"]
            said = cluster.exec("deployment/flagger-loadtester", *command, show=False)
            if "[200]" in said:
                return time.monotonic() - began
        except TutorialError:
            time.sleep(0.05)


def main() -> None:
    os.environ[LAB] = NAME
    began = time.monotonic()
    lab("up")
    up = time.monotonic() - began
    processes = json.loads(lab("status", "--json"))["processes"]
    try:
        answered = first_request(began)
        with PeakMemory(processes[0]["pid"]) as peak:  # which costs CPU of its own: not while seconds are counted
            cluster = connect()
            cluster.apply("prometheus.yaml", "flagger-crd.yaml", "flagger-account.yaml", "flagger-deployment.yaml")
            cluster.rollout_status("deployment/prometheus", "deployment/flagger", namespace="istio-system")
            cluster.apply("canary-podinfo.yaml", interval="5s", window="4s")
            canary = cluster.canary()
            canary.wait("Initialized")
            with ThreadPoolExecutor(1) as pool:
                release = canary.release("stefanprodan/podinfo:2.1.3")
                pool.submit(release.follow, False).result()
            ideal = canary.shortest_release
            alone = {
                p["name"]: p["pss_mb"]
                for p in json.loads(lab("status", "--json"))["processes"]
                if p["name"] in ("envoy", "prometheus")
            }
        print(f"up                       {up:5.1f} s")
        print(f"first request answered   {answered:5.1f} s after up was asked for")
        print(
            f"release                  {release.seconds:5.1f} s, {release.seconds / ideal:.2f} of its intervals ({ideal:.0f} s)"
        )
        print(
            f"peak memory              {peak.mb:5.0f} MB PSS; {', '.join(f'{k} {v:.0f} MB' for k, v in alone.items())}"
        )
        print(f"                         {peak.mb / sum(alone.values()):5.2f} times Envoy and Prometheus alone")
    finally:
        lab("down")


if __name__ == "__main__":
    main()
