"""Every notebook runs on a real lab: the lessons cell by cell with nbval, the walkthrough and the report by papermill."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(HOME.glob("0*.ipynb"))


def run(command: list[str], environment: dict[str, str], timeout: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_each_cell_of_a_lesson_runs_and_its_stable_outputs_are_as_saved(lesson: Path, lab: dict[str, str]):
    nbval = ["--nbval-lax", "--nbval-cell-timeout=300", "-p", "no:cacheprovider", "-o", "addopts=", "-W", "ignore"]
    done = run([sys.executable, "-m", "pytest", *nbval, str(lesson)], lab)
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_walkthrough_ends_succeeded_and_says_so(lab: dict[str, str], tmp_path: Path):
    environment = {key: value for key, value in lab.items() if key != "CANARY_TUTORIAL_LAB"}
    command = [
        sys.executable,
        "-m",
        "canary_tutorial",
        "run",
        "walkthrough",
        "--name",
        "walk",
        "--output",
        str(tmp_path),
    ]
    done = run(command, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "weights   20, 40, 60 after mirroring" in done.stdout
    assert "Succeeded" in done.stdout
    assert ", 0 failed" in done.stdout
    assert "peak memory of the lab" in done.stdout
    page = (tmp_path / "walkthrough.html").read_text()
    assert page.count("image/svg+xml") >= 2
    assert len(page) < 1_000_000


def test_a_failed_cell_ends_in_one_line_and_exit_code_1(lab: dict[str, str], tmp_path: Path):
    broken = tmp_path / "broken.ipynb"
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": "1 / 0", "id": "one"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    broken.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    command = [
        sys.executable,
        "-m",
        "canary_tutorial",
        "run",
        str(broken),
        "--name",
        "broken",
        "--output",
        str(tmp_path / "out"),
    ]
    done = run(command, {key: value for key, value in lab.items() if key != "CANARY_TUTORIAL_LAB"})
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def report(lab: dict[str, str], output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in lab.items() if key != "CANARY_TUTORIAL_LAB"}
    command = [sys.executable, "-m", "canary_tutorial", "report", "--output", str(output)]
    return run([*command, "-p", "interval", "6s", "-p", "window", "6s", *words], environment)


def test_a_report_of_a_broken_version_says_why_and_ends_with_1(lab: dict[str, str], tmp_path: Path):
    done = report(lab, tmp_path, "--faults=--random-error=true", "--name", "bad")
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["verdict"], found["failed"]) == ("rolled back", 0)
    assert found["mirrored_failed"] > 0
    assert "success rate" in found["why"]
    page = (tmp_path / "report.html").read_text()
    assert "Verdict: rolled back" in page
    assert "image/svg+xml" in page
    assert len(page) < 1_000_000


def test_a_report_that_cannot_be_run_ends_with_2(lab: dict[str, str], tmp_path: Path):
    done = report(lab, tmp_path, "--context", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stdout + done.stderr
