"""Exercises: checks an answer, and prints a hint where it is wrong. I/O: prints."""

from __future__ import annotations

from typing import Any

from canary_tutorial.charts.display import someone_watches
from canary_tutorial.errors import TutorialError


class NotYet(TutorialError):
    """An exercise is not solved; raised only in headless runs, so that tests see it."""


def check(question: str, answer: Any, hint: str = "", *, wanted: float | None = None, within: float = 0.5) -> None:
    """Say whether an exercise is solved, with a hint where it is not. Headless, an unsolved one raises NotYet.

    `answer` is whether it is, or, with `wanted`, a number that must differ from that by less than `within`.
    """
    solved = bool(answer) if wanted is None else isinstance(answer, int | float) and abs(answer - wanted) < within
    print(f"✔ {question}" if solved else f"✘ {question}" + (f"\n  Hint: {hint}" if hint else ""))
    if not solved and not someone_watches():
        raise NotYet(f"not solved: {question}", hint)
