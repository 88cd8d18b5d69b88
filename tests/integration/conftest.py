"""The API server of `served_api`, and kubectl in front of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_api import Kubectl, Served, serve


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path) as served:
        yield served


@pytest.fixture
def kubectl(server: Served) -> Kubectl:
    """Run kubectl: arguments as one would type them, standard input as `stdin`."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")

    def run(*arguments: str, stdin: str | None = None, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments], input=stdin, env=server.environment, capture_output=True, text=True, timeout=30
        )
        assert not ok or done.returncode == 0, done.stderr
        return done

    return run
