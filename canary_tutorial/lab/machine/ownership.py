"""Whether only this user can write to a directory, as ssh checks for its own files. I/O: reads the directories above it.

Whoever may write to a directory on the way may put another in its place, so each step must belong to this user or to
root, and be writable for nobody else; in a sticky directory such as /tmp nobody can replace what belongs to another.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_LINKS = 40


def why_not_ours(directory: Path) -> str:
    """A sentence that says who else could change the directory; empty if nobody could, or if it is not there."""
    try:
        for path, found, last in _steps(directory):
            why = _why_not_directory(path, found) if last else _why_not_step(path, found)
            if why:
                return why
    except FileNotFoundError:
        return ""
    except NotADirectoryError:
        return ""  # said with more right where it is to be made
    except OSError as error:
        return f"It cannot be looked at ({error.strerror}), so it belongs to another user."
    return ""


def _why_not_directory(path: Path, found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return f"It is a symbolic link, to {os.readlink(path)}."
    if found.st_uid != os.geteuid():
        return f"It belongs to {_user(found.st_uid)}."
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"Others may write to it ({stat.filemode(found.st_mode)})."
    return ""


def _why_not_step(path: Path, found: os.stat_result) -> str:
    if found.st_uid not in _trusted():
        return f"{path}, on the way to it, belongs to {_user(found.st_uid)}."
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_ISVTX:
        return ""
    others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and _has_others(found.st_gid))
    return f"Others may write to {path}, on the way to it ({stat.filemode(found.st_mode)})." if others else ""


def _steps(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Each step from / as the kernel goes, links and what they lead to; the third is whether it is the last."""
    todo, at, links = list(reversed(path.parts[1:])), Path("/"), 0
    yield at, os.lstat(at), not todo
    while todo:
        step = todo.pop()
        if step == "..":
            at = at.parent
            continue
        at /= step
        found = os.lstat(at)
        yield at, found, not todo
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = Path(os.readlink(at))
            at = Path("/") if target.is_absolute() else at.parent
            todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _trusted() -> set[int]:
    """root and this user; in a user namespace also users that are not mapped into it, the real root among them."""
    with open("/proc/self/uid_map") as mapping:
        inside = mapping.read().split() != ["0", "0", "4294967295"]
    unknown = {int(Path("/proc/sys/kernel/overflowuid").read_text())} if inside else set()
    return {0, os.geteuid()} | unknown


def _has_others(gid: int) -> bool:
    """Whether a group has members other than this user: the groups that many systems give each user have none."""
    if gid == 0:
        return False
    try:
        own = pwd.getpwuid(os.geteuid()).pw_name
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return True
    return bool((members | {each.pw_name for each in pwd.getpwall() if each.pw_gid == gid}) - {own, "root"})


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with the ID {uid}"
