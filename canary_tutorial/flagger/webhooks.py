"""Calls webhooks: payloads, retries, and which answers approve. `payload` and `event_payload` are pure. I/O: HTTP.

200, 201 and 202 approve. A time-out, a connection that fails, 429 and 5xx (but 501) are retried `retries` times, after 1, 2,
4 ... 30 s.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import NamedTuple

import httpx2

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import parsed_duration, quoted, url_fault
from canary_tutorial.flagger.spec import mapping
from canary_tutorial.flagger.status import revision_hash
from canary_tutorial.flagger.trouble import why

DEFAULT_TIMEOUT = 10.0  # seconds
GOOD = (200, 201, 202)


def payload(canary: Obj, phase: str, metadata: Obj | None) -> Obj:
    """The body of every call; metadata only if there is some."""
    meta, status = canary["metadata"], mapping(canary, "status")
    body = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "phase": phase,
        "checksum": revision_hash([status.get("trackedConfigs"), status.get("lastAppliedSpec") or ""]),
    }
    return body | ({"metadata": dict(metadata)} if metadata else {})


def event_payload(canary: Obj, hook_metadata: Obj | None, type_: str, message: str, phase: str, now: datetime) -> Obj:
    """The body for an event; its own three metadata keys cannot be overridden."""
    own = {"eventMessage": message, "eventType": type_, "timestamp": str(int(now.timestamp() * 1000))}
    return payload(canary, phase, {**(hook_metadata or {}), **own})


def timeout_of(hook: Obj) -> float | None:
    """Seconds for each attempt, None for ever; raises ValueError in Go's words."""
    text = str(hook.get("timeout") or "")
    seconds = DEFAULT_TIMEOUT if len(text) < 2 else parsed_duration(text)
    return seconds if seconds > 0 else None


async def call(clients: Clients, hook: Obj, body: Obj) -> str | None:
    """None if the hook says yes, else the text that events show. The timeout is for each attempt."""
    url = str(hook.get("url") or "")
    if fault := url_fault(url):
        return f"parse {quoted(url)}: {fault}"
    try:
        timeout = timeout_of(hook)
    except ValueError as fault:
        return str(fault)
    tries = int(hook.get("retries") or 0) + 1
    for attempt in range(1, tries + 1):
        answer = await _attempt(clients.for_hook(hook), url, body, timeout)
        if answer.final:
            return answer.error
        if attempt == tries or answer.hopeless:
            break
        await asyncio.sleep(min(30.0, 2.0 ** (attempt - 1)))
    return f"POST {url} giving up after {attempt} attempt(s)" + (f": {answer.error}" if answer.error else "")


class _Answer(NamedTuple):
    """What an attempt brought: `final` is the hook's own answer; without one, another attempt may be `hopeless`."""

    error: str | None
    final: bool = False
    hopeless: bool = False


async def _attempt(http: httpx2.AsyncClient, url: str, body: Obj, timeout: float | None) -> _Answer:
    """An answer that is to be tried again keeps its body to itself."""
    failed = f'Post "{url}": '
    scheme = url.partition(":")[0].lower() if ":" in url.partition("/")[0] else ""
    if scheme not in ("http", "https"):
        return _Answer(f"{failed}unsupported protocol scheme {quoted(scheme)}", hopeless=True)
    if not httpx2.URL(url).host:
        return _Answer(f"{failed}http: no Host in request URL")
    try:
        async with asyncio.timeout(timeout):
            answer = await http.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
    except TimeoutError:
        return _Answer(f"{failed}context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
    except httpx2.TooManyRedirects:
        return _Answer(f"{failed}stopped after 10 redirects", hopeless=True)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return _Answer(f"{failed}{why(error, url)}")
    if answer.status_code in GOOD:
        return _Answer(None, final=True)
    if answer.status_code == 429 or (answer.status_code >= 500 and answer.status_code != 501):
        return _Answer(None)
    return _Answer(answer.text, final=True)


class Clients:
    """HTTP clients for hooks, with and without certificate checks. Names resolve by the environment's proxy."""

    def __init__(self) -> None:
        self.checked = httpx2.AsyncClient(follow_redirects=True, max_redirects=10, timeout=None)
        self._unchecked: httpx2.AsyncClient | None = None

    def for_hook(self, hook: Obj) -> httpx2.AsyncClient:
        if not hook.get("disableTLS"):
            return self.checked
        if self._unchecked is None:
            self._unchecked = httpx2.AsyncClient(verify=False, follow_redirects=True, max_redirects=10, timeout=None)
        return self._unchecked

    async def close(self) -> None:
        await self.checked.aclose()
        if self._unchecked:
            await self._unchecked.aclose()
