"""Starting programs where that is impossible: nothing half started stays, neither process nor file descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from canary_tutorial.lab.kubelet.run import Program, Run
from canary_tutorial.lab.kubelet.sandbox import in_thread
from canary_tutorial.lab.kubelet.sessions import ProcessSession
from canary_tutorial.lab.machine.processes import family, send

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@contextlib.contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """This process may open so many more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 32, hard))
    held = []
    with contextlib.suppress(OSError):
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    for descriptor in held[len(held) - more :]:
        os.close(descriptor)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held[: len(held) - more]:
            os.close(descriptor)


@pytest.mark.parametrize("tty", [False, True])
def test_without_file_descriptors_nothing_starts_and_nothing_stays(tmp_path: Path, tty: bool) -> None:
    """However many there are when they run out."""

    async def sessions() -> tuple[list[str], int]:
        if sys.version_info < (3, 12):  # as in the lab's main process
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)
        await (
            await ProcessSession.start(["true"], Program([], {}, tmp_path), False, tty)
        ).wait()  # what asyncio opens once
        before = len(os.listdir("/proc/self/fd"))
        for more in range(14):
            with few_descriptors(more), pytest.raises(OSError, match="Too many open files"):
                await ProcessSession.start(["sleep", "1000"], Program([], {}, tmp_path), False, tty)
        await asyncio.sleep(0.1)
        children = [each.name() for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]
        return children, len(os.listdir("/proc/self/fd")) - before

    try:
        children, more = asyncio.run(sessions())
    finally:
        if sys.version_info < (3, 12):
            asyncio.set_child_watcher(None)

    assert children == []
    assert more <= 0


@pytest.mark.parametrize(
    "command",
    [["no-such-program"], ["a\0b"], ["x" * 5000], [""], ["/"], ["\ud800"], ["true", "x" * 200_000]],
    ids=ascii,
)
def test_what_cannot_be_started_raises_and_leaves_no_log(tmp_path: Path, command: list[str]) -> None:
    program = Program(command, {"PATH": os.environ["PATH"]}, tmp_path)

    with pytest.raises((OSError, ValueError)):
        asyncio.run(Run.start(program, tmp_path / "app-0.log", tmp_path))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("width", "height"), [(-1, 5), (10**9, 10**9), (0, 0)])
def test_a_terminal_of_an_odd_size_works_on(tmp_path: Path, width: int, height: int) -> None:
    async def resized() -> int:
        session = await ProcessSession.start(["sleep", "1000"], Program([], {}, tmp_path), False, True)
        await session.resize(width, height)
        await session.kill()
        return await session.wait()

    assert asyncio.run(resized()) == 137


def test_a_family_is_found_without_a_look_at_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending two thousand pods would look at all processes two thousand times."""
    monkeypatch.setattr(psutil, "pids", lambda: pytest.fail("all processes were looked at"))
    script = "sh -c 'setsid sleep 1000 & sleep 1001 & wait' & wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True) as parent:
        try:
            end = time.monotonic() + 20
            while [each.name() for each in family(parent.pid)].count("sleep") < 2:
                assert time.monotonic() < end, "they were not found in time"
                time.sleep(0.01)
            assert family(parent.pid)[0].pid == parent.pid
        finally:
            send(family(parent.pid), signal.SIGKILL)
    assert family(parent.pid) == []


def test_who_stops_waiting_for_a_thread_leaves_no_complaint_behind() -> None:
    """A pod is deleted while its program is prepared, and that fails."""
    begun, go_on, complaints = threading.Event(), threading.Event(), []

    def fail() -> None:
        begun.set()
        assert go_on.wait(10)
        raise ValueError("configmap not found")

    async def cancelled() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        waiting = asyncio.create_task(in_thread(fail))
        await loop.run_in_executor(None, begun.wait, 10)
        waiting.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del waiting
        gc.collect()

    asyncio.run(cancelled())

    assert complaints == []
