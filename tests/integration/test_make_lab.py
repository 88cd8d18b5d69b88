"""`make lab` opens JupyterLab at the first lesson: for root, as in a container, and for an ordinary user."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/lab\S*\?token=(\w+)")
NOBODY = 65534


def as_root() -> list[str]:
    """Words before a command that make it run as root; an ordinary user is one in a user namespace of its own."""
    if os.geteuid() == 0:
        return []
    words = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nobody becomes root here")
    return words


def as_ordinary_user() -> list[str]:
    """Words that make it run as `nobody`, who may read what root has (the interpreter is somebody's) and no more."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not on PATH")
    read = "+dac_read_search"
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={read}", f"--ambient-caps={read}"]
    return ["setpriv", *user]


@contextmanager
def make_lab(become: list[str], home: Path) -> Iterator[Path]:
    """`make lab` in this checkout; yields the file with what it prints, and ends it with all that it started."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "BROWSER": "true", "CI": "true",
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }  # fmt: skip
    said = home / "said"
    with said.open("w") as output:
        running = subprocess.Popen(
            [*become, "make", "--no-print-directory", "lab"],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield said
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.parametrize("become", [as_root, as_ordinary_user], ids=["root", "ordinary user"])
def test_make_lab_serves_the_first_lesson(become: Callable[[], list[str]], tmp_path: Path):
    words = become()
    home = tmp_path / "home"
    home.mkdir()
    if words and words[0] == "setpriv":
        os.chown(home, NOBODY, NOBODY)
    with make_lab(words, home) as said:
        deadline = time.monotonic() + 120
        while not (found := ADDRESS.search(said.read_text())):
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        server, token = found.groups()
        page = httpx.get(found[0], follow_redirects=True, timeout=60, trust_env=False)
        assert page.status_code == 200, page.text
        assert "JupyterLab" in page.text
        lesson = f"{server}/api/contents/00-start-here.ipynb?token={token}"
        content = httpx.get(lesson, timeout=60, trust_env=False)
        assert content.status_code == 200, content.text
        assert content.json()["type"] == "notebook"
