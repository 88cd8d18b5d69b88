"""One lab for all notebooks of this directory; they run on it one after the other, as a learner's do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NAME = "notebooks"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which a notebook finds its lab."""
    environment = {
        **os.environ,
        "CANARY_TUTORIAL_HOME": str(tmp_path_factory.mktemp("labs")),
        "CANARY_TUTORIAL_LAB": NAME,
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
    }
    for variable in ("CANARY_TUTORIAL_CONTEXT", "CANARY_TUTORIAL_KUBECONFIG", "JPY_SESSION_NAME", "VSCODE_PID"):
        environment.pop(variable, None)
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    subprocess.run([*command, "up", "--name", NAME], env=environment, check=True, capture_output=True)
    yield environment
    subprocess.run([*command, "down", "--name", NAME], env=environment, check=True, capture_output=True)


@pytest.fixture
def notebooks() -> Path:
    return Path(__file__).parents[2] / "notebooks"
