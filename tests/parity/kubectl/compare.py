"""What a server answered beside what it should have answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from parity.kubectl.transcript import UNKNOWN, Command


def difference(command: Command, expected: list[str], answer: list[str], what: str) -> str:
    lines = difflib.unified_diff(expected, answer, "expected", "answered", lineterm="", n=1)
    return "\n".join([f"[{command.group}] $ {command.text}", what, *(f"    {line}" for line in lines)])


def compare(
    answers: list[tuple[Command, list[str]]], pins: dict[tuple[str, str], Command], client: str
) -> Iterator[str]:
    """Each answer that is not as it should be. Pins are for the lab; a real server gets none.

    What another kubectl says in its own words is not compared, nor what has no answer to compare with.
    """
    for command, answer in answers:
        pin = pins.get(command.key)
        if command.marks.get("client", client) != client:
            continue
        if pin and answer == command.answer:
            yield difference(command, pin.answer, answer, "equals the recorded answer now, so its pin must go")
        elif pin and answer != pin.answer:
            yield difference(command, pin.answer, answer, "is not as pinned")
        elif not pin and command.answer not in (answer, UNKNOWN):
            yield difference(command, command.answer, answer, "is not as recorded")
