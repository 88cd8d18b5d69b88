"""Starts and ends operating-system processes so that none is left behind. All I/O.

Each container is a session of its own. Linux ends it when its parent dies (PR_SET_PDEATHSIG); processes that a container
started are found as its descendants, and those without a parent are the guard's (`guard.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable

import psutil

PR_SET_PDEATHSIG = 1
CLONE_NEWUTS = 0x04000000  # a host name of its own
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(sig: int = signal.SIGKILL) -> Callable[[], None]:
    """What a child runs before its program, so that the kernel sends it `sig` when its parent dies."""
    parent = os.getpid()

    def before_exec() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and this line
            os._exit(1)

    return before_exec


def before_container(host: str) -> Callable[[], None]:
    """The same, and a host name of its own for the program, where this user may give one (Linux, as root)."""
    prepare, name = die_with_parent(), host.encode()

    def before_exec() -> None:
        prepare()
        if name and _libc is not None and _libc.unshare(CLONE_NEWUTS) == 0:
            _libc.sethostname(name, len(name))

    return before_exec


def check_descriptors(wanted: int = 16) -> None:
    """OSError if a program could not be started for want of file descriptors.

    Asked before, as asyncio finds out half-way: then the program runs, and nobody knows of it.
    """
    held: list[int] = []
    try:
        for _ in range(wanted):
            held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    finally:
        for descriptor in held:
            os.close(descriptor)


def no_inotify() -> str:
    """What to say where this user has no inotify instance left: Envoy ends without one, and tells only its own log."""
    descriptor = _libc.inotify_init1(os.O_CLOEXEC) if _libc is not None else -1
    if descriptor >= 0:
        os.close(descriptor)
    if descriptor >= 0 or _libc is None or ctypes.get_errno() != errno.EMFILE:
        return ""
    return (
        "Envoy will not start: this user has no inotify instance left (fs.inotify.max_user_instances).\n"
        "→ sudo sysctl fs.inotify.max_user_instances=512"
    )


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it; empty if it is gone.

    By the kernel's own lists of children: looking for parents in all processes takes the longer the more pods there are.
    """
    found, todo = [], [pid]
    while todo:
        each = todo.pop(0)
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(each))
        todo += _children(each)
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as listing:
            found += map(int, listing.read().split())
    return found


def send(processes: Iterable[psutil.Process], sig: int) -> None:
    for process in processes:
        try:
            process.send_signal(sig)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone, or run as another user (sudo)
            continue


def pss_mb(pid: int) -> float:
    """Memory of one process in MB, shared pages divided among their users (Linux' PSS); 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration):
        return 0.0
