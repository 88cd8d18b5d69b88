"""Container logs on disk, one line each: `<RFC3339Nano> stdout F <text>` (CRI's format). I/O: files.

A line that cannot be written (the disk is full, no file can be opened) is lost; the program's output is read on, since a
program whose output nobody reads blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from canary_tutorial.lab.machine import files

LARGEST = 10 * 1024 * 1024  # bytes; then the log starts anew, and the last part is kept beside it
LONGEST_LINE = 16 * 1024  # CRI cuts longer lines into parts


class Log:
    """The log of one run of a container. No link between `root` and the file is followed."""

    log = logging.getLogger(__name__)

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path = path
        self._root = root or path.parent
        self._file, self._closed, self._lost = -1, False, 0
        self._open()
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
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _directory(self) -> contextlib.AbstractContextManager[int]:
        return files.directory(self._root, *self.path.parent.relative_to(self._root).parts)

    def _open(self) -> None:
        """Begin the file; it is tried again with the next lines if that is impossible now."""
        try:
            with self._directory() as at:
                self._file = files.create(at, self.path.name, flags=os.O_WRONLY | os.O_APPEND)
        except (OSError, ValueError) as error:
            self._miss(error)

    def _write(self, name: str, lines: list[bytes]) -> None:
        if self._file < 0 and not self._closed:
            self._open()
        for line in lines:
            self._line(name, line, b"F")
        if self._file >= 0 and os.fstat(self._file).st_size > LARGEST:
            self._release()
            with contextlib.suppress(OSError), self._directory() as at:
                os.rename(self.path.name, self.path.with_suffix(".part").name, src_dir_fd=at, dst_dir_fd=at)
            self._open()

    def _line(self, name: str, text: bytes, tag: bytes) -> None:
        if self._file < 0:
            self._lost += 1
            return
        line = b" ".join((_now().encode(), name.encode(), tag, text)) + b"\n"
        try:
            written = os.write(self._file, line)
            if 0 < written < len(line):  # half a line would spoil the next one
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
        except OSError as error:
            self._miss(error)
        else:
            if written < len(line):
                self._miss(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            elif self._lost:
                self.log.warning("%s: %s lines were lost", self.path.name, self._lost)
                self._lost = 0

    def _miss(self, why: Exception) -> None:
        if not self._lost:
            self.log.warning("%s: lines are lost: %s", self.path.name, why)
        self._lost += 1


def _now() -> str:
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09d}Z"
