"""The lab's command and its processes: how a lab starts, answers, refuses and ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "stubborn", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "app",
                "image": "podinfo:2.0.0",
                # It ignores SIGTERM and leaves a grandchild with a session of its own.
                "command": ["sh", "-c", "trap '' TERM; setsid sleep 1000 & podinfo & while :; do sleep 1; done"],
            }
        ]
    },
}


@dataclass
class Home:
    """A place for labs, and the lab's command with that place."""

    path: Path

    def command(self, *words: str) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", "canary_tutorial.lab", *words], {
            **os.environ,
            "CANARY_TUTORIAL_HOME": str(self.path),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command, environment = self.command(*words)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def up(self, name: str = "lab") -> Lab:
        done = self.run("up", "--name", name)
        assert done.returncode == 0, done.stderr
        return self.lab(name)

    def lab(self, name: str = "lab") -> Lab:
        return Lab(self.path / name, json.loads((self.path / name / "lab.json").read_text()))

    def processes(self) -> list[psutil.Process]:
        """Every process whose command line or environment names this place."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if any(str(self.path) in word for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return [process for process in found if process.pid != os.getpid()]


@dataclass
class Lab:
    directory: Path
    told: dict[str, Any]

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def token(self) -> str:
        return str(yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]["token"])

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> httpx.Response:
        token = token or self.token
        verify = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        with httpx.Client(verify=verify, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as client:
            return client.request(method, self.told["server"] + path, json=body, timeout=10)

    @contextlib.contextmanager
    def listening(self, path: str) -> Iterator[Iterator[str]]:
        """An answer that goes on; the lines of it."""
        verify = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        headers = {"Authorization": f"Bearer {self.token}"}
        with (
            httpx.Client(verify=verify, trust_env=False, headers=headers, timeout=60) as client,
            client.stream("GET", self.told["server"] + path) as answer,
        ):
            yield answer.iter_lines()

    def family(self) -> list[psutil.Process]:
        guard = psutil.Process(self.told["guard"])
        return [guard, *guard.children(recursive=True)]

    def start_a_stubborn_pod(self) -> list[psutil.Process]:
        """A pod that does not want to end; all processes of the lab, once it runs."""
        assert self.ask("POST", "/api/v1/namespaces/default/pods", POD).status_code == 201
        wait_for(lambda: any("1000" in process.cmdline() for process in self.family()))
        return self.family()


def wait_for(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one clear message of a command that failed."""
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    place = Home(tmp_path / "labs")
    yield place
    for file in place.path.glob("*/lab.json"):
        place.run("down", "--name", file.parent.name)
    assert place.processes() == []


def test_a_lab_starts_answers_is_described_and_ends(home: Home) -> None:
    lab = home.up()

    assert lab.ask("GET", "/readyz").text == "ok"
    assert lab.ask("GET", "/api/v1/namespaces/default").json()["status"] == {"phase": "Active"}
    assert home.run("status").returncode == 0
    told = json.loads(home.run("status", "--json").stdout)
    assert (told["name"], told["running"], told["server"]) == ("lab", True, lab.told["server"])
    assert told["kubeconfig"] == str(lab.kubeconfig)
    assert {p["pid"] for p in told["processes"]} == {lab.told["guard"], lab.told["main"]}
    assert all(p["pss_mb"] > 0 for p in told["processes"])

    lab.start_a_stubborn_pod()
    assert "podinfo" in home.run("status").stdout
    assert home.run("logs").stdout.split() == ["main", "default/stubborn/app"]
    assert "is ready at" in home.run("logs", "main").stdout
    assert "starting podinfo" in home.run("logs", "stubborn").stdout
    processes = home.processes()

    ended = home.run("down")

    assert "no process of it is left" in ended.stdout
    assert all_gone(processes)
    assert home.processes() == []
    assert not lab.kubeconfig.exists()
    assert home.run("status").returncode == 3
    assert "is not running" in home.run("status").stdout
    assert json.loads(home.run("status", "--json").stdout)["running"] is False


def test_a_second_start_says_how_to_use_the_first(home: Home) -> None:
    lab = home.up()

    done = home.run("up")
    message = done.stdout

    assert (done.returncode, done.stderr) == (0, "")
    assert f"already running at {lab.told['server']}" in message
    assert f"export KUBECONFIG={lab.kubeconfig}" in message
    assert "canary-tutorial down --name lab" in message
    assert lab.ask("GET", "/readyz").text == "ok"


def test_a_second_start_on_another_port_fails(home: Home) -> None:
    home.up()

    assert "already running" in said(home.run("up", "--port", "1"))


def test_two_starts_at_once_make_one_lab(home: Home) -> None:
    command, environment = home.command("up")
    both = [subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sorted("already running" in out for out, _ in ended) == [False, True]
    assert "Traceback" not in "".join(text for pair in ended for text in pair)
    assert home.lab().ask("GET", "/readyz").text == "ok"
    assert len([p for p in home.processes() if "guard.py" in " ".join(p.cmdline())]) == 1


@pytest.mark.parametrize("name", ["../up", "Big", "", "-x", "a" * 33, "a b"])
def test_a_bad_name_is_refused(home: Home, name: str) -> None:
    assert "cannot name a lab: use small letters, digits and dashes" in said(home.run("up", f"--name={name}"))


@pytest.mark.parametrize("command", ["status", "logs", "down"])
def test_other_commands_refuse_a_bad_name_as_well(home: Home, command: str) -> None:
    assert "cannot name a lab" in said(home.run(command, "--name=../x"))


def test_a_place_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    message = said(Home(tmp_path / "file" / "labs").run("up"))

    assert f"cannot write to {tmp_path / 'file' / 'labs' / 'lab'}" in message
    assert "export CANARY_TUTORIAL_HOME=" in message


def test_a_busy_port_is_told_with_the_remedy(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        message = said(home.run("up", "--port", str(port)))

    assert f"port {port} is in use by another program: choose another --port" in message
    assert len(message.strip().splitlines()) == 1
    assert home.processes() == []


def test_a_free_port_is_taken(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

    done = home.run("up", "--port", str(port))

    assert f"https://127.0.0.1:{port}" in done.stdout


def test_logs_of_no_lab_and_of_no_part_say_so(home: Home) -> None:
    assert "There is no lab 'lab'. Start it" in said(home.run("logs"))
    home.up()
    assert "has no part 'nothing'. Its parts: main" in said(home.run("logs", "nothing"))


def test_state_is_private(home: Home) -> None:
    lab = home.up()
    lab.start_a_stubborn_pod()

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(lab.directory) == 0o700
    assert mode(lab.kubeconfig) == 0o600
    assert mode(lab.directory / "server.pem") == 0o600
    assert [mode(path) for path in lab.directory.glob("pods/*/kubeconfig")] == [0o600]


def test_a_lab_listens_on_loopback_only(home: Home) -> None:
    lab = home.up()
    processes = lab.start_a_stubborn_pod()

    listening = [c.laddr.ip for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN]

    assert listening
    assert all(address.startswith("127.") for address in listening)


def test_two_labs_run_side_by_side_and_neither_reads_the_other(home: Home) -> None:
    one, two = home.up("one"), home.up("two")

    assert one.told["network"] != two.told["network"]
    one.kubeconfig.rename(one.directory / "mine")
    one.kubeconfig.write_text(two.kubeconfig.read_text())
    assert one.ask("GET", "/api/v1/namespaces").status_code == 401
    home.run("down", "--name", "one")
    assert two.ask("GET", "/readyz").text == "ok"


@pytest.mark.parametrize("who", ["guard", "main"])
def test_when_a_lab_is_killed_nothing_of_it_stays(home: Home, who: str) -> None:
    lab = home.up()
    processes = lab.start_a_stubborn_pod()
    assert len(processes) >= 5

    os.kill(lab.told[who], signal.SIGKILL)

    wait_for(lambda: all_gone(processes))
    wait_for(lambda: home.processes() == [])


def test_who_still_listens_does_not_keep_a_killed_lab_alive(home: Home) -> None:
    lab = home.up()
    processes = lab.start_a_stubborn_pod()
    log = "/api/v1/namespaces/default/pods/stubborn/log?follow=true"
    with contextlib.ExitStack() as stack:
        for path in ("/api/v1/pods?watch=1", log, log):
            stack.enter_context(lab.listening(path))
        os.kill(lab.told["guard"], signal.SIGKILL)
        wait_for(lambda: all_gone(processes))


def test_a_restarted_lab_has_forgotten_and_says_so_to_who_comes_back(home: Home) -> None:
    before = home.up()
    made = before.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}}).json()
    version = made["metadata"]["resourceVersion"]
    old = before.token
    os.kill(before.told["guard"], signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(before.told["main"]))
    after = home.up()

    assert after.ask("GET", "/api/v1/namespaces/default/configmaps/c").status_code == 404
    resumed = after.ask("GET", f"/api/v1/configmaps?watch=1&resourceVersion={version}&timeoutSeconds=5").json()
    assert (resumed["type"], resumed["object"]["code"]) == ("ERROR", 410), "list again"
    assert after.ask("GET", "/api/v1/pods", token=old).status_code == 401, "log in again: read the kubeconfig"


def test_what_a_killed_lab_left_is_no_obstacle(home: Home) -> None:
    first = home.up()
    first.start_a_stubborn_pod()
    os.kill(first.told["main"], signal.SIGKILL)
    wait_for(lambda: home.processes() == [])
    assert "is not running" in home.run("status").stdout

    done = home.run("up")

    assert done.returncode == 0
    assert done.stderr == "" or "Note:" in done.stderr
    second = home.lab()
    assert second.told["main"] != first.told["main"]
    assert second.ask("GET", "/api/v1/namespaces/default/pods").json()["items"] == []
    assert list(second.directory.glob("pods/*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_lab_in_the_foreground(home: Home, number: signal.Signals) -> None:
    command, environment = home.command("run")
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: (home.path / "lab" / "lab.json").exists())
    processes = home.lab().start_a_stubborn_pod()

    os.killpg(running.pid, number)  # as a terminal does: to the whole foreground group
    _, errors = running.communicate(timeout=20)

    assert b"Traceback" not in errors
    assert all_gone(processes)
    assert home.processes() == []


def test_a_user_without_inotify_instances_is_told_at_the_start(home: Home) -> None:
    """A user namespace has a limit of its own, so that nobody else goes short here."""
    (command, environment), (end, _) = home.command("up"), home.command("down")
    limit = "echo 0 >/proc/sys/user/max_inotify_instances"
    isolated = ["unshare", "-r", "sh", "-c"]
    if subprocess.run([*isolated, limit], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    script = f"{limit}; {shlex.join(command)}; {shlex.join(end)}"

    done = subprocess.run([*isolated, script], env=environment, capture_output=True, text=True, timeout=60)

    assert "Envoy will not start: this user has no inotify instance left" in done.stderr
    assert "sudo sysctl fs.inotify.max_user_instances=" in done.stderr
