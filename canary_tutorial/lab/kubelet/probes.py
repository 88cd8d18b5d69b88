"""Startup, readiness and liveness probes. I/O: connections to the pod, commands in it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from canary_tutorial.lab.kubelet.reading import ConfigError, explained
from canary_tutorial.lab.objects import Obj

IMPATIENCE = 0.2  # seconds between probes of a fresh container: lessons should not wait for a period
MOST_REDIRECTS = 10
LONGEST = 10**8  # seconds
PATIENT_AFTER = 10.0  # seconds; then its own period will do

Exec = Callable[[list[str]], Awaitable[tuple[int, str]]]


class Prober:
    """Runs the probes of one container's run and says what they found."""

    def __init__(self, container: Obj, address: str, exec_: Exec, http: aiohttp.ClientSession) -> None:
        self._container, self._address, self._exec, self._http = container, address, exec_, http

    async def once(self, probe: Obj) -> str | None:
        """None if the probe succeeds, else why not, in the kubelet's words; a probe that cannot be run has failed."""
        timeout = number(probe, "timeoutSeconds", 1)
        try:
            async with asyncio.timeout(timeout):
                return await self._once(probe)
        except TimeoutError:
            return f"command timed out after {timeout:g}s" if "exec" in probe else "context deadline exceeded"
        except Exception as error:
            return explained(error)

    async def _once(self, probe: Obj) -> str | None:
        if "exec" in probe:
            code, output = await self._exec(probe["exec"].get("command") or [])
            return None if code == 0 else output
        if "tcpSocket" in probe:
            return await self._tcp(self._port(probe["tcpSocket"].get("port", "")))
        if "httpGet" in probe:
            return await self._get(probe["httpGet"])
        return "the lab's probes are exec, httpGet and tcpSocket"

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
        """GET; redirects are followed on the pod itself, and one that leads elsewhere has answered, as in Kubernetes."""
        port = self._port(action.get("port", ""))
        scheme = action.get("scheme", "HTTP").lower()
        if scheme not in ("http", "https"):
            return f'Get "{scheme}://{self._address}:{port}": unsupported protocol scheme "{scheme}"'
        base = URL.build(scheme=scheme, host=self._address, port=port)
        url = base.join(URL("/" + action.get("path", "").lstrip("/")))
        headers = {each.get("name", ""): each.get("value", "") for each in action.get("httpHeaders") or []}
        for _ in range(MOST_REDIRECTS):
            try:
                async with self._http.get(
                    url, headers={"User-Agent": "kube-probe/1.32", **headers}, ssl=False, allow_redirects=False
                ) as answer:
                    status, onward = answer.status, answer.headers.get("Location", "")
            except (aiohttp.ClientError, OSError) as error:
                return f'Get "{url}": dial tcp {self._address}:{port}: {_why(error)}'
            if 300 <= status < 400 and onward and (target := url.join(URL(onward))).host == self._address:
                url = target
                continue
            return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"
        return f'Get "{url}": stopped after {MOST_REDIRECTS} redirects'

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        named = (p.get("containerPort", 0) for p in self._container.get("ports") or [] if p.get("name") == port)
        found = next(named, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None)
        if found is None:
            raise ConfigError(f'couldn\'t find port "{port}" of container "{self._container.get("name", "")}"')
        return int(found)


def number(probe: Obj, field: str, default: int) -> float:
    """A number of seconds or times; 0 is Kubernetes' way to leave one out, and no clock takes more than a few years."""
    return float(min(max(probe.get(field) or default, 0), LONGEST))


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
    period = number(probe, "periodSeconds", 10)
    successes = failures = 0
    await asyncio.sleep(number(probe, "initialDelaySeconds", 0))
    began = counted = time.monotonic()
    while True:
        now = time.monotonic()
        hurry = impatient and now - began < PATIENT_AFTER
        why = await prober.once(probe)
        if why is None:
            successes, failures, impatient = successes + 1, 0, False
            if successes >= number(probe, "successThreshold", 1):
                yield Verdict(True)
        elif not hurry or now - counted >= period:
            successes, failures, counted = 0, failures + 1, now
            tell(why)
            if failures >= number(probe, "failureThreshold", 3):
                yield Verdict(False, why)
        pause = min(period, IMPATIENCE) if hurry and impatient else period
        await asyncio.sleep(max(0.0, pause - (time.monotonic() - now)))
