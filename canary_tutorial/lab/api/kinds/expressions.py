"""Regular expressions from users (`pattern` in a schema), in Go's syntax (RE2), whose time is linear in the text. Pure.

At worst, RE2's time grows with the text's length times the size of the expression's program; `cost` estimates it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MEMORY = 1 << 18  # bytes that an expression's program may take: some ten thousand instructions
OPTIONS = re2.Options()
OPTIONS.max_mem = MEMORY
OPTIONS.log_errors = False
# What Go's library calls the same faults.
GO: dict[str, str] = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "unexpected )": "unexpected )",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "pattern too large - compile failed": "expression too large",
    "trailing \\": "trailing backslash at end of expression",
}


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """The expression; `ValueError` in the words of Go's library."""
    try:
        return re2.compile(pattern, OPTIONS)
    except re2.error as exc:
        said = exc.args[0].decode("utf-8", "replace") if isinstance(exc.args[0], bytes) else str(exc)
        fault, colon, where = said.partition(": ")
        raise ValueError(f"error parsing regexp: {GO.get(fault, fault)}" + (f": `{where}`" if colon else "")) from None


def size(pattern: str) -> int:
    """The instructions of an expression's program."""
    return int(compiled(pattern).programsize)


def cost(pattern: str, text: str) -> int:
    """How much work it is at most to search a text, where visiting one value of an object is 1."""
    return size(pattern) * len(text) // 500


def matches(pattern: str, text: str) -> bool:
    """Whether the expression occurs in a text."""
    return compiled(pattern).search(text) is not None
