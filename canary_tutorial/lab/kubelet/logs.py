"""Container logs on disk, one line each: `<RFC3339Nano> stdout F <text>` (CRI's format). I/O: files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

LARGEST = 10 * 1024 * 1024  # bytes; then the log starts anew, and the last part is kept beside it
LONGEST_LINE = 16 * 1024  # CRI cuts longer lines into parts


class Log:
    """The log of one run of a container."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self.listeners: set[Callable[[str, bytes], None]] = set()  # attached clients

    async def drain(self, stream: asyncio.StreamReader, name: str) -> None:
        """Write what the program says on one stream until it closes it."""
        rest = b""
        while chunk := await stream.read(65536):
            for listener in self.listeners:
                listener(name, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            self._write(name, lines)
            while len(rest) > LONGEST_LINE:
                self._line(name, rest[:LONGEST_LINE], b"P")
                rest = rest[LONGEST_LINE:]
        if rest:
            self._write(name, [rest])

    def write(self, name: str, line: bytes) -> None:
        """One line of the kubelet's own."""
        self._write(name, [line])

    def close(self) -> None:
        self._file.close()

    def _write(self, name: str, lines: list[bytes]) -> None:
        for line in lines:
            self._line(name, line, b"F")
        if self._file.tell() > LARGEST:
            self._file.close()
            self.path.replace(self.path.with_suffix(".part"))
            self._file = self.path.open("ab", buffering=0)

    def _line(self, name: str, text: bytes, tag: bytes) -> None:
        self._file.write(b" ".join((_now().encode(), name.encode(), tag, text)) + b"\n")


def _now() -> str:
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"
