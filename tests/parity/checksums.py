"""Checksums of recorded answers, in the format of `sha256sum`: only a recorder writes them, so an edit shows."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAME = "SHA256SUMS"


def _sums(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != NAME)
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write(directory: Path) -> None:
    """Write SHA256SUMS over every other file below the directory. `sha256sum -c` reads it, too."""
    lines = [f"{digest}  {name}\n" for name, digest in _sums(directory).items()]
    (directory / NAME).write_text("".join(lines))


def wrong(directory: Path) -> list[str]:
    """The files that are changed, missing, or not listed in SHA256SUMS."""
    lines = (directory / NAME).read_text().splitlines() if (directory / NAME).exists() else []
    listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = _sums(directory)
    return sorted(name for name in listed | found if listed.get(name) != found.get(name))
