"""Probes: is a container started, ready, alive? I/O: connections to the pod, commands in it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from canary_tutorial.lab.store import Obj

IMPATIENCE = 0.2  # seconds between probes of a fresh container: lessons should not wait for a period
PATIENT_AFTER = 10.0  # seconds; then its own period will do

Exec = Callable[[list[str]], Awaitable[tuple[int, str]]]


class Prober:
    """Runs the probes of one container's run and says what they found."""

    def __init__(self, container: Obj, address: str, exec_: Exec, http: aiohttp.ClientSession) -> None:
        self._container, self._address, self._exec, self._http = container, address, exec_, http

    async def once(self, probe: Obj) -> str | None:
        """None if the probe succeeds, else why not, in the kubelet's words."""
        timeout = probe.get("timeoutSeconds", 1)
        try:
            async with asyncio.timeout(timeout):
                if "exec" in probe:
                    code, output = await self._exec(probe["exec"]["command"])
                    return None if code == 0 else output
                if "tcpSocket" in probe:
                    return await self._tcp(self._port(probe["tcpSocket"]["port"]))
                return await self._get(probe["httpGet"])
        except TimeoutError:
            return f"command timed out after {timeout}s" if "exec" in probe else "context deadline exceeded"

    async def _tcp(self, port: int) -> str | None:
        try:
            _, writer = await asyncio.open_connection(self._address, port)
        except OSError as error:
            return f"dial tcp {self._address}:{port}: {_why(error)}"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return None

    async def _get(self, action: Obj) -> str | None:
        port = self._port(action["port"])
        url = f"{action.get('scheme', 'HTTP').lower()}://{self._address}:{port}{action.get('path', '/')}"
        headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
        try:
            async with self._http.get(url, headers={"User-Agent": "kube-probe/1.32", **headers}, ssl=False) as answer:
                if 200 <= answer.status < 400:
                    return None
                return f"HTTP probe failed with statuscode: {answer.status}"
        except (aiohttp.ClientError, OSError) as error:
            return f'Get "{url}": dial tcp {self._address}:{port}: {_why(error)}'

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        named = (p["containerPort"] for p in self._container.get("ports") or [] if p.get("name") == port)
        return int(next(named, 0))


def _why(error: BaseException) -> str:
    """As Go says it."""
    refused = isinstance(error, OSError) and error.errno == errno.ECONNREFUSED
    return "connect: connection refused" if refused else str(error)


@dataclass(frozen=True)
class Verdict:
    """What a row of probes came to: `good` once there are enough successes, bad once there are enough failures."""

    good: bool
    why: str = ""


async def watch(
    prober: Prober, probe: Obj, *, tell: Callable[[str], None] = lambda why: None, impatient: bool = False
) -> AsyncIterator[Verdict]:
    """Probe again and again; `tell` hears of each failure, successThreshold and failureThreshold make a verdict.

    An impatient watch probes a fresh container more often until its first success, but counts failures at the probe's
    own pace, so that nothing fails earlier than it would elsewhere.
    """
    period = probe.get("periodSeconds", 10)
    successes = failures = 0
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    began = counted = time.monotonic()
    while True:
        now = time.monotonic()
        hurry = impatient and now - began < PATIENT_AFTER
        why = await prober.once(probe)
        if why is None:
            successes, failures, impatient = successes + 1, 0, False
            if successes >= probe.get("successThreshold", 1):
                yield Verdict(True)
        elif not hurry or now - counted >= period:
            successes, failures, counted = 0, failures + 1, now
            tell(why)
            if failures >= probe.get("failureThreshold", 3):
                yield Verdict(False, why)
        pause = min(period, IMPATIENCE) if hurry and impatient else period
        await asyncio.sleep(max(0.0, pause - (time.monotonic() - now)))
