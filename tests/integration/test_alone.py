"""tools/alone: a command in a network namespace of its own, which nothing outside reaches, and which reaches nothing."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ALONE = Path(__file__).parents[2] / "tools" / "alone"
NOT_ALLOWED = 77
# Listens on all addresses of a free port, tells which, and ends when its input does.
SERVER = """
import socket, sys
server = socket.create_server(("0.0.0.0", 0))
print(server.getsockname()[1], flush=True)
socket.create_connection(("127.9.9.9", server.getsockname()[1])).close()
print("reached", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def alone() -> Path:
    if subprocess.run([ALONE, "true"], capture_output=True).returncode == NOT_ALLOWED:
        pytest.skip("`unshare -rn` is not allowed here")
    return ALONE


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", -15), ('exit "$ALONE"', 1)])
def test_the_commands_own_end_is_passed_on(alone: Path, script: str, code: int):
    assert subprocess.run([alone, "sh", "-c", script]).returncode == code


def test_signals_reach_the_command(alone: Path):
    with subprocess.Popen([alone, "sh", "-c", "trap 'exit 5' TERM; echo here; cat"], stdout=-1, stdin=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.terminate()  # SIGINT would be ignored in whatever a shell started in the background
        process.communicate(timeout=60)
    assert process.returncode == 5


def test_where_it_is_not_allowed_it_says_so_with_a_code_of_its_own(alone: Path):
    forbidden = 'echo 0 >/proc/sys/user/max_net_namespaces; exec "$0" touch here'
    done = subprocess.run(["unshare", "-r", "sh", "-c", forbidden, alone], capture_output=True, text=True)
    assert done.returncode == NOT_ALLOWED
    assert done.stderr.startswith("alone: touch was not run. `unshare -rn` is not allowed here: unshare: ")


def test_what_listens_on_all_addresses_is_reached_from_inside_alone(alone: Path):
    with subprocess.Popen([alone, sys.executable, "-c", SERVER], stdout=-1, stdin=-1, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert process.stdout.readline() == "reached\n"
        with pytest.raises(urllib.error.URLError, match="Connection refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}")


def test_what_listens_outside_is_not_reached_from_inside(alone: Path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.server_port}))"
        assert subprocess.run([sys.executable, "-c", connect]).returncode == 0
        done = subprocess.run([alone, sys.executable, "-c", connect], capture_output=True, text=True)
        server.shutdown()
    assert "ConnectionRefusedError" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to somebody else")
def test_what_an_earlier_run_left_to_another_user_does_not_fail_the_tests_inside(alone: Path, tmp_path: Path):
    """pytest deletes what the last runs but three left; in the namespace, root may not delete another user's files."""
    runs = tmp_path / f"pytest-of-{getpass.getuser()}"
    for number in range(5):
        (runs / f"pytest-{number}" / "home").mkdir(parents=True)
    runs.chmod(0o700)
    (runs / "pytest-0" / "home").chmod(0o700)
    os.chown(runs / "pytest-0" / "home", 65534, 65534)
    (tmp_path / "test_it.py").write_text("def test_it(tmp_path):\n    assert list(tmp_path.iterdir()) == []\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")  # as ours
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--real', action='store_true')\n"
    )
    up_to_date = ["-o", ".venv/test-ready", "-o", ".tools/ready", "MAKE=true"]
    done = subprocess.run(
        ["make", *up_to_date, "test-real", f"PARITY={tmp_path / 'test_it.py'}"],
        cwd=ALONE.parents[1],
        env={**os.environ, "PYTEST_DEBUG_TEMPROOT": str(tmp_path), "CI": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
