"""Leader election with a Lease: of several replicas one acts. I/O: the API."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime

from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.kube import Kube

NAME, LEASE_SECONDS, RETRY = "flagger-leader-election", 60, 5.0


def may_take(lease: Obj, identity: str, now: datetime) -> bool:
    """Whether the lease is ours, free, or has run out."""
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or holder == identity or not renewed:
        return True
    age = (now - datetime.fromisoformat(renewed.replace("Z", "+00:00"))).total_seconds()
    return age > int(spec.get("leaseDurationSeconds") or LEASE_SECONDS)


class Election:
    """`won()` waits for the lease; `kept()` returns when it is lost."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self.identity = f"{socket.gethostname()}_{os.getpid()}"

    async def won(self) -> None:
        while not await self._try():
            await asyncio.sleep(RETRY)

    async def kept(self) -> None:
        while await self._try():
            await asyncio.sleep(RETRY)

    async def _try(self) -> bool:
        now = datetime.now(UTC)
        stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": stamp}
        try:
            lease = await self._kube.get("Lease", NAME, self._namespace)
        except Refused as refused:
            if not refused.missing:
                return False
            meta = {"name": NAME, "namespace": self._namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
            return await self._write(self._kube.create("Lease", {**lease, "spec": {**spec, "acquireTime": stamp}}))
        if not may_take(lease, self.identity, now):
            return False
        return await self._write(self._kube.update("Lease", {**lease, "spec": {**(lease.get("spec") or {}), **spec}}))

    async def _write(self, call: object) -> bool:
        try:
            await call  # type: ignore[misc]
        except Refused:
            return False
        return True
