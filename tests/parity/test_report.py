"""docs/parity.md says what the files say."""

from __future__ import annotations

from pathlib import Path

from parity.report import page


def test_the_page_is_current():
    assert (Path(__file__).parents[2] / "docs" / "parity.md").read_text() == page(), "make parity writes it anew"
