"""`pytest tests/fuzz`: one minute of hostile inputs, always the same ones. Longer, others, or one again:

--fuzz-inputs 50000     this many inputs instead of one minute
--fuzz-seed 7           other inputs; a seed and a number always mean the same input
--fuzz-only 123         only this input, or several: 100-123 (what a failure prints, to replay it)
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fuzz")
    group.addoption(
        "--fuzz-inputs", type=int, default=0, help="how many inputs (default: what one minute has time for)"
    )
    group.addoption("--fuzz-seed", type=int, default=1, help="which inputs (default: 1)")
    group.addoption("--fuzz-only", default="", help="replay these inputs only: 123 or 100-123")
