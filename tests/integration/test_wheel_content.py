"""The wheel has all that the package needs: whatever stands in the checkout, and enough to start a lab from it.

Here it uses the packages of the environment that tests it; tests/e2e/test_wheel.py installs everything anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import other_machine
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as pip does it."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(other_machine.build_wheel(folder)) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.parametrize(
    ("here", "into"), [("canary_tutorial", ""), ("manifests", "canary_tutorial/"), ("notebooks", "canary_tutorial/")]
)
def test_every_file_of_the_checkout_is_in_it(wheel: Path, here: str, into: str):
    tracked = subprocess.run(["git", "ls-files", here], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = [into + name for name in tracked.splitlines()]
    assert wanted
    assert [name for name in wanted if not (wheel / name).is_file()] == []


def test_it_starts_a_lab_and_finds_its_manifests_and_lessons(wheel: Path, tmp_path: Path):
    """Away from the checkout, which a home of its own and -P keep out of sight."""
    environment = {**os.environ, "PYTHONPATH": str(wheel), "HOME": str(tmp_path), "CANARY_TUTORIAL_HOME": ""}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert python("-c", "import canary_tutorial; print(canary_tutorial.__file__)").startswith(str(wheel))
    python("-m", "canary_tutorial", "up")
    try:
        apply = (
            "from canary_tutorial import connect; print(connect(show=False, start=False).apply('test-podinfo.yaml'))"
        )
        assert "deployment" in python("-c", apply).lower()
    finally:
        python("-m", "canary_tutorial", "down")
    lesson = "from canary_tutorial.reports import notebooks; print(notebooks.find('3'))"
    assert python("-c", lesson).startswith(str(wheel))
