"""Exercises: checks an answer, and prints a hint where it is wrong. I/O: prints."""

from __future__ import annotations

from typing import Any

from canary_tutorial.charts.display import live
from canary_tutorial.errors import TutorialError


class NotYet(TutorialError):
    """An exercise is not solved; raised only in headless runs, so that tests see it."""


def check(question: str, answer: bool, hint: str = "") -> None:
    """Say whether an exercise is solved, with a hint where it is not. Headless, an unsolved one raises NotYet."""
    print(f"✔ {question}" if answer else f"✘ {question}" + (f"\n  Hint: {hint}" if hint else ""))
    if not answer and not live():
        raise NotYet(f"not solved: {question}", hint)


def near(answer: Any, wanted: float, within: float) -> bool:
    """Whether an exercise's answer is a number nearer than `within` to what is wanted; any other answer is not."""
    return isinstance(answer, int | float) and abs(answer - wanted) < within
