"""Probes: is a container started, ready, alive? I/O: connections to the pod, commands in it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import aiohttp

from canary_tutorial.lab.store import Obj

IMPATIENCE = 0.2  # seconds between readiness probes until the first success: lessons should not wait for a period

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
    return "connect: connection refused" if "refused" in str(error).lower() or "111" in str(error) else str(error)


async def watch(
    prober: Prober, probe: Obj, report: Callable[[bool, str], None], *, impatient: bool = False, until_success: bool = False
) -> None:
    """Probe again and again; report(True, "") after successThreshold successes, report(False, why) after failureThreshold failures."""
    period = probe.get("periodSeconds", 10)
    successes = failures = 0
    ever = False
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    while True:
        began = time.monotonic()
        why = await prober.once(probe)
        if why is None:
            successes, failures, ever = successes + 1, 0, True
            if successes >= probe.get("successThreshold", 1):
                report(True, "")
                if until_success:
                    return
        elif ever or not impatient:
            successes, failures = 0, failures + 1
            if failures >= probe.get("failureThreshold", 3):
                report(False, why)
        pause = min(period, IMPATIENCE) if impatient and not ever else period
        await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))
