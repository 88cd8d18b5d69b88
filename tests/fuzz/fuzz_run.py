"""The run: inputs to the lab, several at a time, and their answers to the oracle."""

from __future__ import annotations

import asyncio
import io
import re
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress

import aiohttp
from fuzz_grammar import WORDS
from fuzz_inputs import Input, input_of
from fuzz_lab import Lab
from fuzz_oracle import PATIENCE, Oracle
from yarl import URL

AT_ONCE = 8
LISTENED = 0.2  # seconds to an answer that does not end


class Run:
    """`times` has each input's number, begin and end."""

    def __init__(self, lab: Lab, seed: int, outside: str, at_once: int = AT_ONCE) -> None:
        self.lab, self.seed, self.at_once = lab, seed, at_once
        self.oracle = Oracle(lab, seed)
        self.times: list[tuple[int, float, float]] = []
        self._tokens = ["x"]  # of lists that somebody has not read to their end
        self._tls = ssl.create_default_context(cafile=str(lab.directory / "ca.crt"))
        WORDS["outside"] = outside.lstrip("/")

    def report(self) -> str:
        answers, pods = sum(self.oracle.answers.values()), sum(self.oracle.pods.values())
        slowest, number = max(((end - begin, number) for number, begin, end in self.times), default=(0, 0))
        memory = self.lab.main.memory_info().rss / 1e6 if self.oracle.alive() else 0
        shares = f"{self.oracle.accepted:.0%} accepted, slowest {slowest:.2f} s (number {number})"
        return f"{answers} inputs of seed {self.seed}, {shares}, {pods} pods, main has {memory:.0f} MB"

    async def all(self, numbers: Iterable[int], seconds: float = 1e9, pause: float = 0) -> None:
        """Send the inputs of these numbers, until they or the seconds are over, or the lab is gone.

        A pause after each leaves a small machine time for the tests that run beside this one.
        """
        left, end = iter(numbers), time.monotonic() + seconds

        async def send() -> None:
            for number in left:
                if time.monotonic() > end or not self.oracle.alive():
                    return
                await self.one(number)
                await asyncio.sleep(pause)

        forever, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=forever, read_bufsize=2**22) as self.session:
            watching = asyncio.create_task(self.oracle.watch(self.session))
            async with asyncio.TaskGroup() as group:
                for _ in range(self.at_once):
                    group.create_task(send())
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await asyncio.sleep(0.3)  # until the connections of the session are closed

    async def one(self, number: int) -> None:
        given = self.oracle.under_way[number] = input_of(self.seed, number)
        began = time.monotonic()
        try:
            status, body = await asyncio.wait_for(self._send(given), PATIENCE)
            self.oracle.judge(number, given, status, body)
            if found := re.search(rb'"continue": ?"([^"]+)"', body[-2000:] + body[:2000]):
                self._tokens = [*self._tokens[-7:], found[1].decode()]
        except TimeoutError:
            self.oracle.fault(f"no answer after {PATIENCE:.0f} s", number)
        except (aiohttp.ClientError, ConnectionError, ssl.SSLError) as error:
            await asyncio.sleep(0.3)
            if not self.oracle.alive():
                self.oracle.fault("the lab is gone")
            elif not given.may_be_cut_off:
                self.oracle.fault(f"a broken answer: {type(error).__name__} {error}", number)
        finally:
            self.times.append((number, began, time.monotonic()))
            del self.oracle.under_way[number]

    async def _send(self, given: Input) -> tuple[int, bytes]:
        """Status and body; of an answer that goes on, what comes at first."""
        if given.raw:
            return await self._send_raw(given)
        headers = {**given.headers, **self.lab.headers(given.account)}
        token = self._tokens[len(self.times) % len(self._tokens)]
        url = URL(self.lab.server + given.path.replace("@continue@", token), encoded=True)
        if given.frames:
            return await self._talk(url, headers, given.frames)
        sent, body = io.BytesIO(given.body) if given.body else None, b""
        async with self.session.request(given.method, url, data=sent, headers=headers, allow_redirects=False) as answer:
            if answer.content_length is not None or given.method == "HEAD":
                return answer.status, await answer.read()
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTENED):
                    while chunk := await answer.content.readany():
                        body += chunk
            return answer.status, body

    async def _talk(self, url: URL, headers: dict[str, str], frames: tuple[bytes, ...]) -> tuple[int, bytes]:
        """A WebSocket: all frames, then what comes back for a moment."""
        try:
            async with self.session.ws_connect(url, headers=headers, max_msg_size=0) as socket:
                for frame in frames:
                    await socket.send_bytes(frame)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LISTENED):
                        async for _ in socket:
                            pass
                return 200, b""
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status, b""

    async def _send_raw(self, given: Input) -> tuple[int, bytes]:
        url, body = URL(self.lab.server), b""
        reader, writer = await asyncio.open_connection(url.host, url.port, ssl=self._tls)
        writer.write(given.raw.replace(b"@token@", self.lab.tokens[given.account].encode()))
        try:
            async with asyncio.timeout(LISTENED):
                await writer.drain()
                body = await reader.read(4000)
        except (TimeoutError, ConnectionError):
            pass  # broken off, which is a case of its own
        finally:
            writer.transport.abort()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        found = re.match(rb"HTTP/1.. (\d+)", body)
        return int(found[1]) if found else 400, body
