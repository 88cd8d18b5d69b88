"""Measures the memory of a process and its descendants while something runs. I/O: /proc.

PSS (proportional set size) divides each shared page among the processes that share it, so that the sum over the
processes is what they take together.
"""

from __future__ import annotations

import threading
from types import TracebackType


def pss(pid: int) -> float:
    """MB of one process; 0 if it is gone or not ours."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration):
        return 0.0


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    import psutil

    try:
        parent = psutil.Process(pid)
        return [pid, *(child.pid for child in parent.children(recursive=True))]
    except psutil.Error:
        return []


class PeakMemory:
    """The largest sum of a family's PSS while the `with` block runs, looked at every two seconds."""

    def __init__(self, pid: int, every: float = 2.0) -> None:
        self.pid, self.every, self.mb = pid, every, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(5)

    def _look(self) -> None:
        while True:
            self.mb = max(self.mb, sum(map(pss, process_tree(self.pid))))
            if self._stop.wait(self.every):
                return
