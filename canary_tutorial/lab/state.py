"""A lab's directory: where it is, what is in it, and whether the lab still lives. I/O: files below it only.

$CANARY_TUTORIAL_HOME/<name>/     mode 0700; default ~/.local/state/canary-tutorial/lab
    lab.json      name, server, pids, network
    kubeconfig    mode 0600
    ca.crt, bin/, logs/main.log, pods/
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

HOME = "CANARY_TUTORIAL_HOME"
DEFAULT_NAME = "lab"


class StateError(Exception):
    """The lab's directory cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Lab:
    """What `lab.json` says of a running lab. `started` is the guard's start time, so that a reused pid is no lab."""

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


def prepare(name: str) -> tuple[Path, int]:
    """A fresh, private directory, and a lock on it; what a lab that is gone left there is removed.

    The lock is a file descriptor that the lab's processes inherit: it is free when the last of them has ended, however
    they end. BlockingIOError while another lab of that name starts or ends.
    """
    directory = directory_of(name)
    try:
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        clean(directory)
        (directory / "logs").mkdir(exist_ok=True)
    except BlockingIOError:
        raise
    except OSError as error:
        raise StateError(
            f"The lab cannot write to {directory} ({error.strerror}). "
            f"Make it writable, or choose another place: export {HOME}=/some/directory"
        ) from error
    return directory, lock


def clean(directory: Path) -> None:
    """Remove what a lab wrote, and nothing else."""
    for name in ("lab.json", "kubeconfig", "ca.crt", "server.pem", "targets.json", "failed"):
        (directory / name).unlink(missing_ok=True)
    for name in ("bin", "pods", "logs"):
        shutil.rmtree(directory / name, ignore_errors=True)


def write(directory: Path, lab: Lab) -> None:
    fresh = directory / "lab.json.new"
    fresh.write_text(json.dumps(asdict(lab), indent=2))
    fresh.replace(directory / "lab.json")


def read(name: str) -> Lab | None:
    """The running lab of that name, or None."""
    try:
        content = json.loads((directory_of(name) / "lab.json").read_text())
        lab = Lab(**{**content, "warnings": tuple(content.get("warnings", ()))})
        guard = psutil.Process(lab.guard)  # one that was killed stays a zombie until init looks
        alive = abs(guard.create_time() - lab.started) < 1 and guard.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, psutil.NoSuchProcess):
        return None
    return lab if alive else None
