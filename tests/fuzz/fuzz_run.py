"""The run: inputs to the lab, several at a time, and what must hold whatever they are.

After each: an answer in time, none of 500 and more, nothing of the vault in it. All the while: the server answers
somebody else, the victim is served, main's log has no traceback, Flagger and the mesh are the processes that they were,
no ReplicaSet makes pods without end. What did not hold is kept in `faults`, each kind once.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from fuzz_grammar import WORDS
from fuzz_inputs import ADMIN, LIMITED, NOBODY, Input, input_of
from fuzz_lab import SECRET, Lab
from yarl import URL

AT_ONCE = 8
PATIENCE = 10.0  # seconds within which everything is answered
STREAMED = 0.2  # seconds that one listens to an answer that does not end
PODS_OF_ONE = 100  # more of one ReplicaSet are a storm
LEAKS = (SECRET.encode(), base64.b64encode(SECRET.encode()))


class Run:
    def __init__(self, lab: Lab, seed: int, outside: str, at_once: int = AT_ONCE) -> None:
        self.lab, self.seed, self.at_once = lab, seed, at_once
        WORDS["outside"] = outside.lstrip("/")
        self.server = lab.told["server"]
        self.tls = ssl.create_default_context(cafile=str(lab.directory / "ca.crt"))
        self.faults: dict[str, str] = {}
        self.answers: Counter[int] = Counter()
        self.pods: Counter[str] = Counter()
        self.tokens = ["x"]  # of lists that somebody has not read to their end
        self.under_way: dict[int, Input] = {}
        self.slowest: tuple[float, int] = (0.0, 0)
        self.times: list[tuple[int, float, float]] = []  # number, begin and end of each input

    # -- the inputs

    async def all(self, numbers: Iterable[int], seconds: float = 1e9, pause: float = 0) -> None:
        """Send the inputs of these numbers, until they or the seconds are over, or the lab is gone.

        A pause after each leaves a small machine time for the tests that run beside this one.
        """
        left, end = iter(numbers), time.monotonic() + seconds
        async with self._session() as self.session:
            watchers = [
                asyncio.create_task(each())
                for each in (self._version, self._victim, self._vault, self._log, self._pods)
            ]

            async def send() -> None:
                for number in left:
                    if time.monotonic() > end or not self.alive():
                        return
                    await self.one(number)
                    await asyncio.sleep(pause)

            async with asyncio.TaskGroup() as group:
                for _ in range(self.at_once):
                    group.create_task(send())
            for task in watchers:
                task.cancel()
            for ended in await asyncio.gather(*watchers, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def one(self, number: int) -> None:
        given = self.under_way[number] = input_of(self.seed, number)
        began = time.monotonic()
        try:
            status, body = await asyncio.wait_for(self._send(given), PATIENCE)
            self._judge(number, given, status, body)
        except TimeoutError:
            self.fault(f"no answer after {PATIENCE:.0f} s", number)
        except (aiohttp.ClientError, ConnectionError, ssl.SSLError) as error:
            await asyncio.sleep(0.3)
            if not self.alive():
                self.fault("the lab is gone")
            large = len(given.body) > 1_000_000 or len(given.path) > 8000  # may be refused while it is sent
            if self.alive() and not (large or given.raw or given.frames):
                self.fault(f"a broken answer: {type(error).__name__} {error}", number)
        finally:
            ended = time.monotonic()
            self.slowest = max(self.slowest, (ended - began, number))
            self.times.append((number, began, ended))
            del self.under_way[number]

    async def _send(self, given: Input) -> tuple[int, bytes]:
        if given.raw:
            return await self._send_raw(given)
        headers = {**given.headers, "Authorization": f"Bearer {self.lab.tokens[given.account]}"}
        url = URL(
            self.server + given.path.replace("@continue@", self.tokens[len(self.times) % len(self.tokens)]),
            encoded=True,
        )
        if given.frames:
            return await self._talk(url, headers, given.frames)
        async with self.session.request(
            given.method,
            url,
            data=io.BytesIO(given.body) if given.body else None,
            headers=headers,
            allow_redirects=False,
        ) as answer:
            if answer.content_length is not None or given.method == "HEAD":
                return answer.status, await answer.read()
            body = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(STREAMED):
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
                    async with asyncio.timeout(STREAMED):
                        async for _ in socket:
                            pass
                return 200, b""
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status, b""

    async def _send_raw(self, given: Input) -> tuple[int, bytes]:
        url = URL(self.server)
        reader, writer = await asyncio.open_connection(url.host, url.port, ssl=self.tls)
        writer.write(given.raw.replace(b"@token@", self.lab.tokens[given.account].encode()))
        body = b""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(STREAMED):
                await writer.drain()
                body = await reader.read(4000)
        writer.transport.abort()
        found = re.match(rb"HTTP/1.. (\d+)", body)
        return int(found[1]) if found else 400, body

    def _judge(self, number: int, given: Input, status: int, body: bytes) -> None:
        self.answers[status] += 1
        beyond = "/proxy" in given.path and status in (502, 503, 504)  # the pod's own answer, or that it has none
        if status >= 500 and not beyond:
            self.fault(f"{status} {body[:300].decode(errors='replace')}", number)
        if given.account != ADMIN and any(leak in body for leak in LEAKS):
            self.fault(f"{given.account} reads what is in the vault", number)
        if found := re.search(rb'"continue": ?"([^"]+)"', body[-2000:] + body[:2000]):
            self.tokens = [*self.tokens[-7:], found[1].decode()]

    # -- what holds all the while

    async def _version(self) -> None:
        while True:
            await self._must_answer("/version", 200, "the server does not answer others")
            await asyncio.sleep(0.05)

    async def _victim(self) -> None:
        """Through Envoy, as another pod's request; a request that met a busy machine is asked again once."""
        while True:
            for attempt in range(2):
                try:
                    async with self.session.get(self.lab.mesh, headers={"Host": "podinfo.victim:9898"}) as answer:
                        said = f"{answer.status} {await answer.text()}"[:100]
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    said = repr(error)
                if said.startswith("200"):
                    break
                if attempt:
                    self.fault(f"the victim is not served: {said}")
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.5)

    async def _vault(self) -> None:
        while True:
            for account in (LIMITED, NOBODY):
                for path in (
                    "/api/v1/namespaces/vault/secrets/gold",
                    "/api/v1/secrets",
                    "/api/v1/namespaces/vault/configmaps",
                ):
                    await self._must_answer(path, 403, f"{account} gets {path}", account)
                await self._must_answer(
                    "/api/v1/namespaces/vault/configmaps", 403, f"{account} writes into the vault", account, "POST"
                )
            await asyncio.sleep(1)

    async def _must_answer(self, path: str, status: int, what: str, account: str = ADMIN, method: str = "GET") -> None:
        headers = {"Authorization": f"Bearer {self.lab.tokens[account]}"}
        sent = {"metadata": {"generateName": "x"}} if method == "POST" else None
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self.session.request(method, self.server + path, headers=headers, json=sent) as answer,
            ):
                await answer.read()
                if answer.status != status:
                    self.fault(f"{what}: {answer.status}")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if self.alive():
                self.fault(f"{what}: {type(error).__name__}")

    async def _log(self) -> None:
        """Tracebacks of main, as they come."""
        with (self.lab.directory / "logs" / "main.log").open(errors="replace") as file:
            while True:
                text = file.read()
                for error in tracebacks(text):
                    self.fault(f"main: {error}")
                await asyncio.sleep(0.25)

    async def _pods(self) -> None:
        """Each pod that ever was, by its ReplicaSet; and those of Flagger, mesh and Prometheus, which may not change."""
        parts: dict[str, Any] = {}
        headers = {"Authorization": f"Bearer {self.lab.tokens[ADMIN]}"}
        while True:
            with suppress(aiohttp.ClientError, OSError):
                async with self.session.get(f"{self.server}/api/v1/pods?watch=1", headers=headers) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] != "ERROR":
                            self._pod(event, parts)
            await asyncio.sleep(0.1)

    def _pod(self, event: dict[str, Any], parts: dict[str, Any]) -> None:
        meta, status = event["object"]["metadata"], event["object"].get("status", {})
        if event["type"] == "ADDED":
            owner = next((each["uid"] for each in meta.get("ownerReferences") or []), meta["uid"])
            self.pods[owner] += 1
            if self.pods[owner] > PODS_OF_ONE:
                self.fault(f"{PODS_OF_ONE} pods of one ReplicaSet, such as {meta['namespace']}/{meta['name']}")
        if meta["namespace"] in ("istio-system", "victim"):
            counts = {each["name"]: each.get("restartCount") for each in status.get("containerStatuses") or []}
            if event["type"] == "DELETED" and meta["namespace"] == "istio-system":
                self.fault(f"the pod {meta['name']} is gone")
            for name, count in counts.items():
                if count and count > parts.get((meta["uid"], name), 0):
                    why = json.dumps(status["containerStatuses"])[:600]
                    self.fault(f"restarted: {meta['namespace']}/{meta['name']} {name} {why}")
                    parts[meta["uid"], name] = count

    # -- what is kept

    def alive(self) -> bool:
        with suppress(Exception):
            return bool(self.lab.main.is_running() and self.lab.main.status() != "zombie")
        return False

    def fault(self, what: str, number: int | None = None) -> None:
        """Keep a fault with the input, or with those that were under way."""
        kind = re.sub(r"[0-9a-f]{8,}|\d+|n\d|'[^']*'|\"[^\"]*\"", "", what)[:160]
        if kind in self.faults or len(self.faults) > 40:
            return
        guilty = {number: self.under_way[number]} if number is not None else dict(self.under_way)
        again = f"--fuzz-seed {self.seed} --fuzz-only {','.join(map(str, sorted(guilty)))}"
        shown = [f"  {key}: {each}" for key, each in sorted(guilty.items())] if len(guilty) == 1 else []
        self.faults[kind] = "\n".join((what, f"  {again}", *shown))

    def report(self) -> str:
        sent = sum(self.answers.values())
        slowest, number = self.slowest
        shares = (
            f"{self.accepted:.0%} accepted, slowest {slowest:.2f} s (number {number}), {sum(self.pods.values())} pods"
        )
        return f"{sent} inputs of seed {self.seed}, {shares}"

    @property
    def accepted(self) -> float:
        good = sum(count for status, count in self.answers.items() if status < 300)
        return good / max(1, sum(self.answers.values()))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**22, max_line_size=2**16
        ) as session:
            yield session


def tracebacks(text: str) -> list[str]:
    """The last line and place of each traceback."""
    found = re.findall(r"^Traceback .*?\n((?:[ \t].*\n|\n)+)(\S.*)$(?!\n\n(?:During|The above))", text, re.MULTILINE)
    return [
        f"{error} at {' '.join(re.findall(r'canary_tutorial/[^ ]*, line [0-9]+', place)[-1:])}"
        for place, error in found
    ]
