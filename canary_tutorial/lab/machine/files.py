"""Reads, writes and deletes files below a directory of the lab's own, and never outside it. I/O.

Programs of the lab write into their own directories, and may place a link where the lab is about to write or delete. So
each step of a path is opened by itself and without following links (`openat`, `O_NOFOLLOW`); what is in the way of a
directory or a file is removed, never followed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
IN_THE_WAY = (errno.ENOTDIR, errno.ELOOP)


def check_name(name: str) -> str:
    """The name, if it can name a file of the directory that it is used in, and nothing else."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} cannot name a file")
    return name


@contextlib.contextmanager
def directory(root: Path, *steps: str) -> Iterator[int]:
    """A descriptor of root/step/step...; makes what is missing, in place of a link or file that is in the way."""
    at = os.open(root, DIRECTORY)
    try:
        for step in steps:
            below = enter(at, step)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def enter(above: int, name: str) -> int:
    """A descriptor of a directory's directory, which is made if it is not there."""
    check_name(name)
    try:
        return os.open(name, DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in IN_THE_WAY:
            raise
        os.unlink(name, dir_fd=above)
    os.mkdir(name, 0o700, dir_fd=above)
    return os.open(name, DIRECTORY, dir_fd=above)


def create(above: int, name: str, mode: int = 0o600, flags: int = os.O_WRONLY) -> int:
    """A descriptor of a new, empty file; what had that name before is removed."""
    remove(above, check_name(name))
    return os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=above)


def write(above: int, name: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    check_name(name)
    fresh = f".{secrets.token_hex(8)}.new"
    try:
        with open(create(above, fresh, mode), "wb") as file:
            file.write(content)
        try:
            os.rename(fresh, name, src_dir_fd=above, dst_dir_fd=above)
        except IsADirectoryError:
            remove(above, name)
            os.rename(fresh, name, src_dir_fd=above, dst_dir_fd=above)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=above)
        raise


def write_below(root: Path, name: str, content: str | bytes, mode: int = 0o600) -> Path:
    """Write a file of the lab's own directory; where it is."""
    with directory(root) as at:
        write(at, name, content.encode() if isinstance(content, str) else content, mode)
    return root / name


def read(above: int, name: str, most: int = 1 << 30) -> bytes | None:
    """What an ordinary file holds; None for a link, a pipe, a directory, for nothing and for more than `most`."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read()


def remove(above: int, name: str) -> None:
    """Remove a file, a link (never what it leads to), or a directory with all that it holds, however deep.

    What is deep is lifted to the top level by level, so that neither depth of calls nor open files add up.
    """
    check_name(name)
    try:
        os.unlink(name, dir_fd=above)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        top = _forced(above, name)
    lifted = (f".{secrets.token_hex(8)}-{number}" for number in itertools.count())
    try:
        while directories := _without_files(top):
            for each in directories:
                inner = _forced(top, each)
                try:
                    for deeper in _without_files(inner):
                        os.rename(deeper, next(lifted), src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(each, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=above)


def _without_files(at: int) -> list[str]:
    """Remove all but the directories of a directory; their names."""
    with os.scandir(at) as entries:
        kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    for name, is_directory in kinds.items():
        if not is_directory:
            os.unlink(name, dir_fd=at)
    return [name for name, is_directory in kinds.items() if is_directory]


def _forced(above: int, name: str) -> int:
    """A descriptor of a directory, even of one that its owner has closed to itself."""
    held = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        with contextlib.suppress(PermissionError):
            os.chmod(f"/proc/self/fd/{held}", 0o700)
        return os.open(".", DIRECTORY, dir_fd=held)
    finally:
        os.close(held)
