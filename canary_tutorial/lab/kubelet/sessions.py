"""exec and attach: connects a client to the input and output of a program in a running container. I/O: processes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Coroutine

from canary_tutorial.lab.kubelet.run import Program, Run
from canary_tutorial.lab.machine.processes import before_container, check_descriptors, family, send

END = None
BEHIND = 1024  # pieces of output that an attached client may lag behind


class ProcessSession:
    """A program started by exec; its output is read as (1 stdout | 2 stderr, data)."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process, self._terminal = process, terminal
        self._output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(64)
        self._pumps = [asyncio.ensure_future(pump) for pump in self._pump()]
        self._closer = asyncio.ensure_future(self._close_when_done())

    @classmethod
    async def start(cls, command: list[str], program: Program, stdin: bool, tty: bool) -> ProcessSession:
        """Start it beside a container's program; raises OSError or ValueError if that is no program."""
        check_descriptors()
        if tty:
            master, slave = pty.openpty()
            os.set_blocking(master, False)
            prepare = before_container(program.host)

            def control() -> None:
                prepare()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=slave, stdout=slave, stderr=slave, env={**program.environment, "TERM": "xterm"},
                    cwd=program.directory, start_new_session=True, preexec_fn=control,
                )  # fmt: skip
            except BaseException:
                os.close(master)
                raise
            finally:
                os.close(slave)
            return cls(process, master)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(program.environment),
            cwd=program.directory,
            start_new_session=True,
            preexec_fn=before_container(program.host),
        )
        return cls(process, None)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._terminal is not None:
                os.write(self._terminal, data)
            elif self._process.stdin:
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    async def close_stdin(self) -> None:
        if self._terminal is not None:
            await self.write(b"\x04")
        elif self._process.stdin:
            self._process.stdin.close()

    async def resize(self, width: int, height: int) -> None:
        if self._terminal is not None:
            rows, columns = (min(max(side, 0), 0xFFFF) for side in (height, width))
            with contextlib.suppress(OSError):  # the program has ended
                fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    async def kill(self) -> None:
        """End the program and what it started."""
        if self._process.returncode is None:
            send(family(self._process.pid), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # what it left behind holds its pipes
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _pump(self) -> list[Coroutine[None, None, None]]:
        if self._terminal is not None:
            return [self._pump_terminal(self._terminal)]
        return [self._pump_stream(1, self._process.stdout), self._pump_stream(2, self._process.stderr)]

    async def _pump_stream(self, channel: int, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (data := await stream.read(32768)):
            await self._output.put((channel, data))

    async def _pump_terminal(self, terminal: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            readable = asyncio.Event()
            loop.add_reader(terminal, readable.set)
            try:
                await readable.wait()
                data = os.read(terminal, 32768)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the last program on the terminal is gone
                data = b""
            finally:
                loop.remove_reader(terminal)
            if not data:
                return
            await self._output.put((1, data))

    async def _close_when_done(self) -> None:
        await asyncio.wait(self._pumps)
        await self._process.wait()
        if self._terminal is not None:
            os.close(self._terminal)
        await self._output.put(END)


class Attachment:
    """attach: a running container's output from now on, and its input if its manifest says `stdin: true`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        run.log.listeners.add(self._hear)
        self._closer = asyncio.ensure_future(self._close_when_done())

    def _hear(self, stream: str, data: bytes) -> None:
        if self._output.qsize() < BEHIND:  # a client that does not read loses output; the log has it
            self._output.put_nowait((1 if stream == "stdout" else 2, data))

    async def _close_when_done(self) -> None:
        await self._run.drained()
        await self._output.put(END)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        stdin = self._run.process.stdin
        with contextlib.suppress(OSError):
            if stdin:
                stdin.write(data)
                await stdin.drain()

    async def close_stdin(self) -> None:
        if self._run.process.stdin:
            self._run.process.stdin.close()

    async def resize(self, width: int, height: int) -> None:
        """Containers have no terminal in the lab."""

    async def wait(self) -> int:
        return await self._run.exit_code()

    async def kill(self) -> None:
        """The client went away; the container stays."""
        self._run.log.listeners.discard(self._hear)
        self._closer.cancel()
