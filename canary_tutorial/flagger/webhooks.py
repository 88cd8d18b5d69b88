"""Calls webhooks: payloads, retries, and which answers approve. `payload` and `event_payload` are pure. I/O: HTTP.

200, 201 and 202 approve. Connection errors, 429 and 5xx (but 501) are retried `retries` times, after 1, 2, 4 ... 30s.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import httpx2

from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.golang import go_duration
from canary_tutorial.flagger.spec import mapping
from canary_tutorial.flagger.status import revision_hash

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
    """Seconds; None if the text is not a duration."""
    text = str(hook.get("timeout") or "")
    return DEFAULT_TIMEOUT if len(text) < 2 else go_duration(text)


async def call(clients: Clients, hook: Obj, body: Obj) -> str | None:
    """None if the hook says yes, else the text that events show. The timeout is for all attempts together."""
    timeout = timeout_of(hook)
    if timeout is None:
        return f'time: invalid duration "{hook["timeout"]}"'
    url = str(hook.get("url") or "")
    began = f"POST {url} giving up after"
    attempt = 0
    try:
        async with asyncio.timeout(timeout):
            for attempt in range(1, int(hook.get("retries") or 0) + 2):
                if attempt > 1:
                    await asyncio.sleep(min(30.0, 2.0 ** (attempt - 2)))
                done, error = await _attempt(clients.for_hook(hook), url, body)
                if done:
                    return error
    except TimeoutError:
        error = f'Post "{url}": context deadline exceeded'
    return f"{began} {attempt} attempt(s){': ' if error else ''}{error or ''}"


async def _attempt(http: httpx2.AsyncClient, url: str, body: Obj) -> tuple[bool, str | None]:
    """(whether that is the answer, why not). An answer to be tried again keeps its body to itself."""
    try:
        answer = await http.post(url, content=json.dumps(body), headers={"Content-Type": "application/json"})
    except httpx2.HTTPError as error:
        return False, f'Post "{url}": {_why(error, url)}'
    except (httpx2.InvalidURL, ValueError) as error:  # an address of odd form
        return False, f'Post "{url}": {error}'
    if answer.status_code in GOOD:
        return True, None
    if answer.status_code == 429 or (answer.status_code >= 500 and answer.status_code != 501):
        return False, None
    return True, answer.text


class Clients:
    """HTTP clients for hooks, with and without certificate checks. Names resolve by the environment's proxy."""

    def __init__(self) -> None:
        self.checked = httpx2.AsyncClient(follow_redirects=True, timeout=None)
        self._unchecked: httpx2.AsyncClient | None = None

    def for_hook(self, hook: Obj) -> httpx2.AsyncClient:
        if not hook.get("disableTLS"):
            return self.checked
        if self._unchecked is None:
            self._unchecked = httpx2.AsyncClient(verify=False, follow_redirects=True, timeout=None)
        return self._unchecked

    async def close(self) -> None:
        await self.checked.aclose()
        if self._unchecked:
            await self._unchecked.aclose()


def _why(error: Exception, url: str) -> str:
    text = str(error).lower()
    if "refused" in text or "connection attempts failed" in text:
        return f"dial tcp {httpx2.URL(url).netloc.decode()}: connect: connection refused"
    return str(error) or type(error).__name__
