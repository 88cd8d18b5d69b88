"""A disk that is full for a while costs log lines and delays what must be written, and nothing else.

The lab's directory is a small tmpfs, mounted in a mount namespace of the lab's own: as root, or where users may have
namespaces of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from kubelet_alone import eventually

UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def in_tmpfs(home: Path, size: str, script: str) -> list[str]:
    """A command line: `script` with a tmpfs of this size at `home`; $1 is home, $2 this Python."""
    mount = f'mount -t tmpfs -o size={size},mode=700 tmpfs "$1" && {script}'
    return [*UNSHARE, "sh", "-c", mount, "sh", str(home), sys.executable]


def possible() -> bool:
    probe = [*UNSHARE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not possible(), reason="no file system can be mounted here, not even in a namespace")


@dataclass
class Lab:
    """A lab on its own small disk, seen from outside through its process."""

    directory: Path

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        user = yaml.safe_load((self.directory / "kubeconfig").read_text())["users"][0]["user"]
        given = {"Authorization": f"Bearer {user['token']}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        server = json.loads((self.directory / "lab.json").read_text())["server"]
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        with httpx.Client(verify=context, trust_env=False) as client:
            return client.request(method, server + path, json=body, headers=given, timeout=20)

    def ready(self, name: str) -> bool:
        conditions = self.ask("GET", f"{PODS}/{name}").json().get("status", {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def start(self, name: str, **spec: Any) -> None:
        made = {"metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0, **spec}}
        assert self.ask("POST", PODS, made).status_code == 201

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        ballast = self.directory / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        yield
        ballast.unlink()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    home = tmp_path / "labs"
    home.mkdir()
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}
    command = in_tmpfs(home, "8m", 'exec "$2" -m canary_tutorial.lab run')
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
        seen = Path(f"/proc/{running.pid}/root{home}/lab")
        try:
            eventually((seen / "lab.json").exists)
            yield Lab(seen)
        finally:
            family = psutil.Process(running.pid).children(recursive=True)
            running.send_signal(signal.SIGTERM)
            running.wait(20)
            psutil.wait_procs(family, timeout=10)


def test_a_disk_that_is_full_for_a_while_costs_log_lines_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0" * 10)
    program = (
        "import itertools, os, time\n"
        f"file = os.open({str(count)!r}, os.O_WRONLY)\n"
        "for n in itertools.count():\n"
        "    print(n, 'x' * 1000, flush=True)\n"
        "    os.pwrite(file, b'%010d' % n, 0)\n"
        "    time.sleep(0.002)\n"
    )
    app = {"name": "app", "image": "podinfo:2.0.0"}
    lab.ask("POST", CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"key": "small"}})
    volumes = [{"name": "v", "configMap": {"name": "c"}}]
    lab.start("loud", containers=[app | {"command": [sys.executable, "-c", program]}], volumes=volumes)
    eventually(lambda: lab.ready("loud") and int(count.read_text()) > 10)
    mounted = next(lab.directory.glob("pods/*/volumes/v/key"))

    with lab.full():
        before = int(count.read_text())
        large = {"data": {"key": "x" * 300_000}}
        lab.ask("PATCH", f"{CONFIGMAPS}/c", large, Content_Type="application/merge-patch+json")
        lab.start("late", containers=[app | {"command": ["sleep", "1000"]}], volumes=volumes)
        eventually(lambda: int(count.read_text()) > before + 600)  # far more than its pipe holds
        assert lab.ready("loud")
        assert not lab.ready("late")
        uid = lab.ask("GET", f"{PODS}/late").json()["metadata"]["uid"]
        events = lab.ask("GET", "/api/v1/namespaces/default/events").json()["items"]
        why = [event["message"] for event in events if event["involvedObject"]["uid"] == uid]
        assert any("no space left on device" in text for text in why)

    free = int(count.read_text())
    eventually(lambda: int(lab.ask("GET", f"{PODS}/loud/log?tailLines=1").text.split()[0]) > free)
    eventually(lambda: mounted.stat().st_size == 300_000)
    eventually(lambda: lab.ready("late"))
    assert lab.ask("GET", f"{PODS}/late").json()["metadata"]["uid"] == uid
    lines = lab.ask("GET", f"{PODS}/loud/log").text.splitlines()
    assert all(re.fullmatch(r"\d+ x{1000}", line) for line in lines), "no line is torn"


@pytest.mark.parametrize("left", [0, 8, 20])
def test_a_lab_that_finds_no_room_says_so(tmp_path: Path, left: int) -> None:
    """Kilobytes are left for its first files, and not for the next ones."""
    home = tmp_path / "labs"
    home.mkdir()
    ballast = f'head -c {(1024 - left) * 1024} /dev/zero >"$1/ballast"'
    lab = '"$2" -m canary_tutorial.lab'
    fill = f"{ballast}; {lab} up; code=$?; {lab} down >&2; exit $code"
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}

    done = subprocess.run(in_tmpfs(home, "1m", fill), env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
