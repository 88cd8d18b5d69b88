"""Transcripts: kubectl commands, each with what a server answered.

`# -- TITLE` begins a group and `$ ` a command, which `> ` continues. Its answer follows up to an empty line: standard
output and errors together, `[1]` for an exit code, `~` for an empty line, and `?` alone where nobody has an answer.
Marks stand above a command, as `# NAME: VALUE`:

    needs   what the server must have (`servers.py` lists it); elsewhere the command is left out
    client  the minor version of kubectl whose words these are; with another kubectl the answer is not compared
    reason  in a file of pins: why this answer is not the recorded one (`reasons.toml`)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
RECORDED, PINNED = HERE / "recorded", HERE / "pinned"
NAMES = sorted(path.stem for path in RECORDED.glob("*.txt"))
MARK = re.compile(r"# ([a-z]+): (.+)")
UNKNOWN = ["?"]


@dataclass
class Command:
    group: str
    text: str
    answer: list[str] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """How a pin names its command."""
        return self.group, self.text

    @property
    def needs(self) -> set[str]:
        return set(self.marks.get("needs", "").split())


def read(path: Path) -> list[Command]:
    """All commands of a file, in order."""
    commands: list[Command] = []
    group, marks, inside = "", {}, False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line:
            inside = False
        elif inside and line.startswith("> ") and not commands[-1].answer:
            commands[-1].text += "\n" + line[2:]
        elif inside:
            commands[-1].answer.append("" if line == "~" else line)
        elif line.startswith("# -- "):
            group = line[5:]
        elif line.startswith("$ "):
            commands.append(Command(group, line[2:], marks=marks))
            marks, inside = {}, True
        elif group and (mark := MARK.fullmatch(line)):
            marks[mark[1]] = mark[2]
        elif group or not line.startswith("#"):
            raise ValueError(f"{path}:{number}: neither a group, a mark, nor a command: {line}")
    return commands


def lines(head: str, commands: list[Command]) -> Iterator[str]:
    yield from (f"# {line}" for line in head.splitlines())
    group = ""
    for command in commands:
        if command.group != group:
            group = command.group
            yield from ("", f"# -- {group}")
        yield from ("", *(f"# {name}: {value}" for name, value in command.marks.items()))
        yield "$ " + command.text.replace("\n", "\n> ")
        yield from (line or "~" for line in command.answer)


def write(path: Path, head: str, commands: list[Command]) -> None:
    """The opposite of `read`; the head becomes comments above the first group."""
    path.write_text("\n".join(lines(head, commands)) + "\n")
    again = read(path)
    if again != commands:
        raise ValueError(f"{path}: an answer looks like a command, or ends with one: it would not be read as it was")


def pins(name: str) -> dict[tuple[str, str], Command]:
    """The lab's own answers, where they differ from the recorded ones."""
    path = PINNED / f"{name}.txt"
    return {pin.key: pin for pin in read(path)} if path.exists() else {}
