"""A lab, a JupyterLab behind a prefix like Binder's, and headless Chromium; pictures of what it saw go to reports/browser/.

Without chromium these tests are skipped, unless CI=true says that it has to be there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterlab_page import Notebook
from playwright.sync_api import Browser, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "reports" / "browser"
PREFIX = "/user/someone/"
NAME = "browser"
expect.set_options(timeout=60_000)  # what a release brings takes its intervals, and the machine may be busy
QUIET = {"fetchNews": "false", "checkForUpdates": False}  # no pop-up over the first lesson


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no chromium on PATH, and with CI=true the browser tests must run")
        pytest.skip("there is no chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of JupyterLab and its kernels: a lab of their own, and no settings of the person who tests."""
    home = tmp_path_factory.mktemp("home")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    own = {
        "CANARY_TUTORIAL_HOME": home / "labs", "CANARY_TUTORIAL_LAB": NAME, "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config", "JUPYTER_DATA_DIR": home / "data", "JUPYTER_RUNTIME_DIR": home / "run",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
    }  # fmt: skip
    found = {**os.environ, **{key: str(value) for key, value in own.items()}}
    for variable in ("CANARY_TUTORIAL_CONTEXT", "CANARY_TUTORIAL_KUBECONFIG", "JPY_SESSION_NAME", "VSCODE_PID"):
        found.pop(variable, None)
    lab = [sys.executable, "-m", "canary_tutorial.lab"]
    subprocess.run([*lab, "up", "--name", NAME], env=found, check=True, capture_output=True)
    yield found
    subprocess.run([*lab, "down", "--name", NAME], env=found, check=True, capture_output=True)


@pytest.fixture(scope="module")
def jupyterlab(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that serves a copy of the notebooks, with `{}` where its page is named."""
    place = tmp_path_factory.mktemp("jupyterlab")
    shutil.copytree(ROOT / "notebooks", place / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    options = {
        "ip": "127.0.0.1", "port": 0, "port_retries": 0, "open_browser": False, "allow_root": True,
        "base_url": PREFIX, "root_dir": place, "token": "a-token-for-this-test",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--expose-app-in-browser"]
    command += [f"--ServerApp.{key}={value}" for key, value in options.items()]
    with (place / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)
    try:
        answer = Path(environment["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{server.pid}.json"
        until = time.monotonic() + 60
        while not answer.exists() and server.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        assert answer.exists(), (place / "log").read_text()[-3000:]
        found = json.loads(answer.read_text())
        yield f"{found['url']}{{}}?token={found['token']}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def notebook(browser: Browser, jupyterlab: str, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A JupyterLab window; a last picture is taken of whatever it ends with."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1280, "height": 1500})
    page = Notebook(context.new_page(), jupyterlab, PICTURES)
    yield page
    page.picture(f"{request.node.name}-end")
    page.shut_down()
    context.close()
