"""Leader election by a Lease: of several replicas, only the leader runs the control loop. I/O: the API."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime

from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.golang import timestamp
from canary_tutorial.flagger.kube import Kube
from canary_tutorial.flagger.spec import mapping, whole

NAME, LEASE_SECONDS = "flagger-leader-election", 60
RETRY, RENEW_DEADLINE = 5.0, 15.0  # seconds


def may_take(lease: Obj, identity: str, now: datetime) -> bool:
    """Whether the lease is ours, free, or has run out. One that cannot be read is free: nobody could renew it."""
    spec = mapping(lease, "spec")
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or holder == identity or not renewed:
        return True
    try:
        age = (now - datetime.fromisoformat(str(renewed))).total_seconds()
        return age > int(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
    except (TypeError, ValueError):
        return True


class Election:
    """`won()` waits for the lease; `kept()` returns when it is lost: one failed renewal is none, 15s of them are."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"

    async def won(self) -> None:
        while not await self._try():
            await asyncio.sleep(RETRY)

    async def kept(self) -> None:
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while clock() - renewed < RENEW_DEADLINE:
            if await self._try():
                renewed = clock()
            await asyncio.sleep(RETRY)

    async def give_back(self) -> None:
        """Let another lead without waiting for the lease to run out; a lease that is lost stays the other's."""
        with suppress(Refused, TimeoutError):
            async with asyncio.timeout(RETRY):
                lease = await self._kube.get("Lease", NAME, self._namespace)
                held = mapping(lease, "spec")
                if held.get("holderIdentity") == self.identity:
                    stamp = timestamp(datetime.now(UTC), "microseconds")
                    free = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": stamp, "acquireTime": stamp}
                    await self._kube.update("Lease", {**lease, "spec": held | free})

    async def _try(self) -> bool:
        now = datetime.now(UTC)
        stamp = timestamp(now, "microseconds")
        spec: Obj = {"holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": stamp}
        try:
            lease = await self._kube.get("Lease", NAME, self._namespace)
        except Refused as refused:
            if not refused.missing:
                return False
            spec |= {"acquireTime": stamp, "leaseTransitions": 0}
            meta = {"name": NAME, "namespace": self._namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
            return await self._write(self._kube.create("Lease", {**lease, "spec": spec}))
        if not may_take(lease, self.identity, now):
            return False
        held = mapping(lease, "spec")
        if held.get("holderIdentity") != self.identity:
            spec |= {"acquireTime": stamp, "leaseTransitions": whole(held.get("leaseTransitions")) + 1}
        return await self._write(self._kube.update("Lease", {**lease, "spec": {**held, **spec}}))

    async def _write(self, call: Awaitable[Obj]) -> bool:
        try:
            await call
        except Refused:
            return False
        return True
