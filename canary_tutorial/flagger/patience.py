"""Retries each request of a client as client-go does, whatever its verb. I/O: HTTP.

After an answer of 429 or 5xx with `Retry-After` (for example, just after a CustomResourceDefinition changed), the request
is sent again after that many seconds; so is a GET whose connection breaks before the answer is complete. Ten times at most.
(The mesh has the same module: the lab and Flagger share no code.)
"""

from __future__ import annotations

import asyncio

import httpx2
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User

MOST = 10  # client-go's maxRetries
CUT = (httpx2.ReadError, httpx2.RemoteProtocolError)  # reset, or closed before the answer


class Patient(httpx2.AsyncBaseTransport):
    """A transport that waits and tries again; `inner` is the one that speaks to the server."""

    def __init__(self, config: SingleConfig, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        if inner is None:
            verify = verify_cluster(config.cluster, config.user or User(), config.abs_file, trust_env=False)
            inner = httpx2.AsyncHTTPTransport(verify=verify, trust_env=False)
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for left in range(MOST, -1, -1):
            try:
                answer = await self._inner.handle_async_request(request)
            except CUT:
                if not left or request.method != "GET":
                    raise
                await asyncio.sleep(1)
                continue
            pause = seconds_to_wait(answer)
            if pause is None or not left:
                return answer
            await answer.aclose()
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def aclose(self) -> None:
        await self._inner.aclose()


def seconds_to_wait(answer: httpx2.Response) -> int | None:
    """What a server that is busy asks for, as whole seconds; None if it does not, or if the answer is final."""
    text = str(answer.headers.get("Retry-After") or "")
    busy = answer.status_code == 429 or 500 <= answer.status_code <= 599
    return int(text) if busy and text.isascii() and text.isdigit() else None
