"""docs/limits.md promises only what a test has seen."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_row_of_the_limits_names_a_test_that_exists() -> None:
    rows = [line for line in (ROOT / "docs/limits.md").read_text().splitlines() if line.startswith("| ")]
    checks = [row.rsplit("|", 2)[-2] for row in rows if "checked by" not in row]
    places = [re.findall(r"\btests/[\w/.]+", check) for check in checks]
    named = [re.findall(r"(?<!/)\btest_\w+", check) for check in checks]
    defined = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        defined |= set(re.findall(r"def (test_\w+)", file.read_text()))
    assert named
    assert all(tests or where for tests, where in zip(named, places, strict=True)), rows
    assert all((ROOT / place).exists() for where in places for place in where)
    assert {name for names in named for name in names} <= defined
