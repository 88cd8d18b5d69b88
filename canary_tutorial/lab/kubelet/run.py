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

LINE = 2**16  # bytes of a pipe that wait to be read, as asyncio's own


@dataclass(frozen=True)
class Program:
    """What to run: argv, its whole environment, where; where its mountPaths really are, and the host name."""

    command: list[str]
    environment: Mapping[str, str]
    directory: Path
    stdin: bool = False
    mounts: Mapping[str, str] = field(default_factory=dict)
    host: str = ""  # the pod's host name


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Knows at once that the program has ended. `Process.wait` may only return when nobody holds its pipes any more, such
    as a child that it left behind: and a container ends with its first process, whose children end with it."""

    def __init__(self) -> None:
        super().__init__(limit=LINE, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.ended.set()


class Run:
    """A started container; `wait()` gives its exit code."""

    def __init__(self, process: asyncio.subprocess.Process, ended: asyncio.Event, program: Program, log: Log) -> None:
        self.process, self.ended, self.program, self.log = process, ended, program, log
        self.id = f"lab://{uuid.uuid4().hex}"
        streams = [(process.stdout, "stdout"), (process.stderr, "stderr")]
        self._drains = [asyncio.ensure_future(log.drain(s, name)) for s, name in streams if s is not None]

    @classmethod
    async def start(cls, program: Program, log_path: Path, root: Path) -> Run:
        """Start the program; raises OSError or ValueError if this machine cannot run it."""
        check_descriptors()
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            _Protocol,
            *program.command,
            stdin=asyncio.subprocess.PIPE if program.stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(program.environment),
            cwd=program.directory,
            start_new_session=True,
            preexec_fn=before_container(program.host),
        )
        process = asyncio.subprocess.Process(transport, protocol, loop)
        return cls(process, protocol.ended, program, Log(log_path, root))

    async def exit_code(self) -> int:
        """When it has ended: its code as a shell tells it, 128 + n for signal n."""
        await self.ended.wait()
        code = self.process.returncode or 0
        return 128 - code if code < 0 else code

    async def wait(self) -> int:
        """The exit code, when its output is in the log. Nothing that it started stays."""
        code = await self.exit_code()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        _, late = await asyncio.wait(self._drains, timeout=1) if self._drains else (set(), set())
        for drain in late:
            drain.cancel()
        self.log.close()
        return code

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
                    await asyncio.wait_for(self.ended.wait(), grace)
            send([*family(self.process.pid), *members], signal.SIGKILL)
            await self.ended.wait()
        await asyncio.wait(self._drains, timeout=0.5)  # its last words, and its pipes are closed
