"""A lab's directory: where it is, what is in it, and whether the lab still runs. I/O: files below it only.

$CANARY_TUTORIAL_HOME/<name>/     mode 0700; default ~/.local/state/canary-tutorial/lab
    lab.json      name, server, pids, network
    kubeconfig    mode 0600
    ca.crt, bin/, logs/main.log, pods/
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from canary_tutorial.lab.machine import files
from canary_tutorial.lab.machine.files import write_below
from canary_tutorial.lab.machine.ownership import why_not_ours

FAILED, REASON = "failed", 4096  # where the reason is kept why a lab could not start, and the bytes of it
FILES = ("lab.json", "kubeconfig", "ca.crt", "server.pem", "targets.json", FAILED)
DIRECTORIES = ("bin", "pods", "logs")
HOME = "CANARY_TUTORIAL_HOME"
DEFAULT_NAME = "lab"


class StateError(Exception):
    """The lab's directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Lab:
    """What `lab.json` says of a running lab. `started` is the guard's start time, so that a reused pid is not taken for a lab."""

    name: str
    server: str
    network: int
    guard: int
    main: int
    started: float
    warnings: tuple[str, ...] = ()


def home() -> Path:
    """Where the labs of this user are."""
    default = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "canary-tutorial"
    return Path(os.environ.get(HOME) or default).absolute()


def directory_of(name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", name):
        raise StateError(f"{name!r} cannot name a lab: use small letters, digits and dashes, at most 32 of them")
    return home() / name


def check(directory: Path) -> None:
    """Refuse a lab's directory that is there and that somebody else could change."""
    why = why_not_ours(directory)
    if why:
        raise StateError(
            f"The lab cannot use {directory}.\n{why} Whoever can change what is there decides what the lab runs.\n"
            f"→ export {HOME}=$(mktemp -d)"
        )


def prepare(name: str) -> tuple[Path, int]:
    """A fresh, private directory, and a lock on it; what a lab that is gone left there is removed.

    The lock is a file descriptor that the lab's processes inherit: it is free when the last of them has ended, however
    they end. BlockingIOError while another lab of that name starts or ends.
    """
    directory = directory_of(name)
    try:
        check(directory)
        for parent in reversed(directory.parents):
            parent.mkdir(mode=0o755, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        check(directory)
        lock = _lock(directory)
        try:
            clean(directory)
            (directory / "logs").mkdir(mode=0o700)
            write_below(directory, FAILED, b" " * REASON)  # room for the reason, also when the disk is full by then
        except BaseException:
            os.close(lock)
            raise
    except BlockingIOError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateError(
            f"The lab cannot write to {directory} ({error.strerror}). "
            f"{'Free some space there' if full else 'Make it writable'}, "
            f"or choose another place: export {HOME}=/some/directory"
        ) from error
    return directory, lock


def _lock(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(lock)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise FileExistsError(errno.EEXIST, f"{directory / 'lock'} is not a file of yours alone")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(lock)
        raise
    return lock


def clean(directory: Path) -> None:
    """Remove what a lab wrote, and nothing else."""
    with files.directory(directory) as at:
        for name in (*FILES, *DIRECTORIES, *(name for name in os.listdir(at) if name.endswith(".new"))):
            files.remove(at, name)


def say_why(directory: Path, why: str) -> None:
    """Keep the reason why a lab could not start, in the room made for it."""
    with contextlib.suppress(OSError):
        file = os.open(directory / FAILED, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.write(file, why.encode(errors="replace")[:REASON])
        os.close(file)


def why_failed(directory: Path) -> str:
    """The reason that was kept; empty if there was no time for one."""
    try:
        return (directory / FAILED).read_text(errors="replace").rstrip()
    except OSError:
        return ""


def write(directory: Path, lab: Lab) -> None:
    (directory / FAILED).unlink(missing_ok=True)
    write_below(directory, "lab.json", json.dumps(asdict(lab), indent=2))


def read(name: str) -> Lab | None:
    """The running lab of that name, or None; `StateError` if its directory is not ours alone."""
    directory = directory_of(name)
    check(directory)
    try:
        with files.directory(directory) as at:
            content = json.loads(files.read(at, "lab.json") or b"")
        lab = Lab(**{**content, "warnings": tuple(content.get("warnings", ()))})
        guard = psutil.Process(lab.guard)  # one that was killed stays a zombie until init looks
        alive = abs(guard.create_time() - lab.started) < 1 and guard.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, psutil.NoSuchProcess):
        return None
    return lab if alive else None
