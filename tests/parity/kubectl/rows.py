"""What the transcripts say about the lab, for docs/parity.md: from the data files alone."""

from __future__ import annotations

import tomllib
from itertools import groupby
from typing import NamedTuple

from parity.kubectl import transcript

REASONS = transcript.HERE / "reasons.toml"


class Reason(NamedTuple):
    state: str  # "to be mended", "documented limit", or "not recorded"
    text: str


class Row(NamedTuple):
    group: str
    commands: int
    equal: int
    unequal: list[tuple[str, str]]  # a command, and the id of its reason


def reasons() -> dict[str, Reason]:
    table = tomllib.loads(REASONS.read_text())
    return {name: Reason(state, text) for state, texts in table.items() for name, text in texts.items()}


def rows() -> list[Row]:
    """One row for each group of commands."""
    found = []
    for name in transcript.NAMES:
        pins = transcript.pins(name)
        for group, members in groupby(transcript.read(transcript.RECORDED / f"{name}.txt"), lambda each: each.group):
            commands = list(members)
            unequal = [(each.text, pins[each.key].marks["reason"]) for each in commands if each.key in pins]
            found.append(Row(group, len(commands), len(commands) - len(unequal), unequal))
    return found
