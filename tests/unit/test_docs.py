"""The tables of docs/ promise only what a test has seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def defined() -> set[str]:
    """The names of all tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}


@pytest.mark.parametrize("page", ["limits.md", "flagger.md"])
def test_every_row_names_a_test_that_exists(page: str, defined: set[str]) -> None:
    rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| ")]
    checks = [row.rsplit("|", 2)[-2] for row in rows if "checked by" not in row]
    places = [re.findall(r"\btests/[\w/.]+", check) for check in checks]
    named = [re.findall(r"(?<!/)\btest_\w+", check) for check in checks]
    assert named
    assert all(tests or where for tests, where in zip(named, places, strict=True)), rows
    assert all(
        (ROOT / place).is_file() for tests, where in zip(named, places, strict=True) if not tests for place in where
    )
    assert all((ROOT / place).exists() for where in places for place in where)
    assert {name for names in named for name in names} <= defined
