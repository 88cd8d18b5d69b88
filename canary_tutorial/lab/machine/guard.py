"""The parent process of a lab: when the lab's main process ends, for whatever reason, it kills all others.

    python -I guard.py COMMAND...     runs COMMAND as its only child

The guard is a subreaper: a descendant that loses its parent becomes its child, so that no process escapes by outliving
the one that started it. When the main process ends, the guard ends every descendant and then itself. If the guard is
killed, the kernel signals the main process (PR_SET_PDEATHSIG), which then ends the lab.
Only the standard library, and little of it: this process lives as long as the lab.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def children(pid: int) -> list[int]:
    """The pids below a process, nearest first, from the kernel's own list."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listing:
            own = [int(child) for child in listing.read().split()]
    except OSError:
        return []
    return own + [grandchild for child in own for grandchild in children(child)]


def end_all_descendants() -> None:
    while True:
        for pid in children(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)  # killed, but not yet gone
        except ChildProcessError:
            return


def main(command: list[str]) -> int:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guard = os.getpid()
    main_pid = os.fork()
    if main_pid == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)
        os.execv(command[0], command)
    for passed_on in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(passed_on, lambda number, frame: os.kill(main_pid, signal.SIGTERM))
    status = 0
    while True:  # orphans of containers are reaped here too, while the lab runs
        pid, code = os.wait()
        if pid == main_pid:
            status = os.waitstatus_to_exitcode(code)
            break
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    end_all_descendants()
    return abs(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
