"""How long the lab's event loop stands still during the fuzz: `python benchmarks/stall.py [inputs]` (about a minute and a half).

A process of its own asks for /version on one connection every 5 ms. How much longer than the median an answer takes is
how long the loop was busy with something else, or waited for a CPU: the kernel tells the latter, which is the
machine's doing and taken off. The inputs go one at a time, so that a stall has one input to blame; kubelet, controllers,
Flagger and mesh work beside it as they do. The same is measured first while this machine is as busy and nothing is sent.

Aim: under 250 ms.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))

from fuzz_inputs import input_of
from fuzz_lab import Lab, lab
from fuzz_run import Run

EVERY, SEED, INPUTS, CONTROL, SHOWN = 0.005, 1, 5000, 10, 5
Answer = tuple[float, float, float]  # asked at, seconds it took, seconds of these that main waited for a CPU


def waited(pid: int) -> float:
    """Seconds that a process's first thread stood ready while others had the CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def poll(server: str, ca: str, token: str, pid: int) -> None:
    """Ask until standard input ends; print the answers' times."""
    import os
    import select

    host, _, port = server.removeprefix("https://").partition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=ssl.create_default_context(cafile=ca))
    answers: list[Answer] = []
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        began, before = time.monotonic(), waited(pid)
        connection.request("GET", "/version", headers={"Authorization": f"Bearer {token}"})
        connection.getresponse().read()
        answers.append((began, time.monotonic() - began, waited(pid) - before))
    os.write(1, json.dumps(answers).encode())


def polled(running: Lab, work: Callable[[], object]) -> list[Answer]:
    """The answers' times while `work` is done."""
    command = [sys.executable, __file__, "poll", running.told["server"], str(running.directory / "ca.crt")]
    command += [running.tokens["admin"], str(running.told["main"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as poller:
        time.sleep(1)
        work()
        return [(at, took, least) for at, took, least in json.loads(poller.communicate()[0])]


def stalls(answers: list[Answer]) -> list[tuple[float, float]]:
    """Seconds of each stall and when it began, the longest first."""
    usual = statistics.median(took for _, took, _ in answers)
    return sorted(((max(0.0, took - usual - least), at) for at, took, least in answers), reverse=True)


def spend(seconds: float) -> None:
    """Keep this process as busy as the fuzz does, and send nothing."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        input_of(SEED, number)


def line(name: str, answers: list[Answer]) -> str:
    usual = statistics.median(took for _, took, _ in answers)
    return f"{name:16}longest {stalls(answers)[0][0] * 1000:5.0f} ms   median answer {usual * 1000:.1f} ms"


def main() -> None:
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    with tempfile.TemporaryDirectory() as place, lab(Path(place) / "home") as running:
        quiet = polled(running, lambda: spend(CONTROL))
        run = Run(running, SEED, f"{place}/outside", at_once=1)
        fuzzed = polled(running, lambda: asyncio.run(run.all(range(1, inputs + 1))))
        print(run.report())
    print(line("without fuzz", quiet))
    print(line("during the fuzz", fuzzed))
    print("\n  stall  number  input")
    for stall, at in stalls(fuzzed)[:SHOWN]:
        number = next((number for number, began, ended in run.times if began - EVERY <= at + stall and ended >= at), 0)
        given = input_of(SEED, number) if number else None
        what = (
            f"{given.account}: {given.method} {given.path[:60]}, {len(given.body):,} bytes"
            if given
            else "none was under way"
        )
        print(f"{stall * 1000:4.0f} ms  {number:6}  {what}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["poll"]:
        poll(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    else:
        main()
