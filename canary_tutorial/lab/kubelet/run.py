"""One run of one container: its process, log and probes. I/O: processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary_tutorial.lab.kubelet.logs import Log
from canary_tutorial.lab.machine.processes import before_container, check_descriptors, family, send


@dataclass(frozen=True)
class Program:
    """What to run: argv, its whole environment, where; where its mountPaths really are, and the host name."""

    command: list[str]
    environment: Mapping[str, str]
    directory: Path
    stdin: bool = False
    mounts: Mapping[str, str] = field(default_factory=dict)
    host: str = ""  # the pod's host name


class Run:
    """A started container; `wait()` gives its exit code."""

    def __init__(self, process: asyncio.subprocess.Process, program: Program, log: Log) -> None:
        self.process, self.program, self.log = process, program, log
        self.id = f"lab://{uuid.uuid4().hex}"
        streams = [(process.stdout, "stdout"), (process.stderr, "stderr")]
        self._drains = [asyncio.ensure_future(log.drain(s, name)) for s, name in streams if s is not None]

    @classmethod
    async def start(cls, program: Program, log_path: Path, root: Path) -> Run:
        """Start the program; raises OSError or ValueError if this machine cannot run it."""
        check_descriptors()
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.PIPE if program.stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(program.environment),
            cwd=program.directory,
            start_new_session=True,
            preexec_fn=before_container(program.host),
        )
        return cls(process, program, Log(log_path, root))

    async def wait(self) -> int:
        """The exit code as a shell tells it: 128 + n for signal n. Nothing that it started stays."""
        await self._ended()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = await self.process.wait()
        _, late = await asyncio.wait(self._drains, timeout=1) if self._drains else (set(), set())
        for drain in late:
            drain.cancel()
        self.log.close()
        return 128 - code if code < 0 else code

    async def _ended(self) -> None:
        """The program itself has: asyncio's `wait` goes on for as long as anybody shares its output."""
        if self.process.returncode is not None:
            return
        if not hasattr(os, "pidfd_open"):
            await self.process.wait()
            return
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(self.process.pid)
        except ProcessLookupError:
            return
        except OSError:  # no descriptor is left
            await self.process.wait()
            return
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    async def drained(self) -> None:
        """All output has been read: the program has ended, and whoever shared its output too."""
        await asyncio.wait(self._drains)

    async def stop(self, grace: float) -> None:
        """SIGTERM, then after `grace` seconds SIGKILL to all of it."""
        if self.process.returncode is None:
            members = family(self.process.pid)
            if grace > 0:
                send(members[:1], signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), grace)
            send([*family(self.process.pid), *members], signal.SIGKILL)
            await self.process.wait()
        await asyncio.wait(self._drains, timeout=0.5)  # its last words, and its pipes are closed
