"""A recorded answer that somebody edits, removes, or adds is named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from parity import checksums


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    (tmp_path / "group").mkdir()
    (tmp_path / "one.txt").write_text("one\n")
    (tmp_path / "group" / "two.txt").write_text("two\n")
    checksums.write(tmp_path)
    return tmp_path


def test_what_the_recorder_wrote_is_right(recorded: Path) -> None:
    assert checksums.wrong(recorded) == []


def test_files_that_are_changed_missing_or_unlisted_are_named(recorded: Path) -> None:
    (recorded / "one.txt").write_text("One\n")
    (recorded / "group" / "two.txt").unlink()
    (recorded / "three.txt").write_text("three\n")
    assert checksums.wrong(recorded) == ["group/two.txt", "one.txt", "three.txt"]


def test_without_checksums_every_file_is_named(recorded: Path) -> None:
    (recorded / checksums.NAME).unlink()
    assert checksums.wrong(recorded) == ["group/two.txt", "one.txt"]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not on PATH")
def test_sha256sum_reads_the_same_file(recorded: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", checksums.NAME], cwd=recorded, check=True)
