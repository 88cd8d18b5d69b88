"""Keeps the world up to date: list, then watch, each kind on its own. I/O: the Kubernetes API (lightkube).

A watch that ends is resumed at its last resourceVersion; where that fails (410 Gone), or the server does not answer, the
kind is listed again after a growing pause. Nothing is reported before every kind has been listed: a control plane that
starts in the middle of a release must not send a single request past its rules.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource

from canary_tutorial.lab.mesh.world import Key, World, key_of

log = logging.getLogger(__name__)

ISTIO = ("networking.istio.io", "v1beta1")
WATCHED: dict[str, Any] = {
    "pods": create_namespaced_resource("", "v1", "Pod", "pods"),
    "services": create_namespaced_resource("", "v1", "Service", "services"),
    "endpoints": create_namespaced_resource("", "v1", "Endpoints", "endpoints"),
    "virtualservices": create_namespaced_resource(*ISTIO, "VirtualService", "virtualservices"),
    "destinationrules": create_namespaced_resource(*ISTIO, "DestinationRule", "destinationrules"),
    "gateways": create_namespaced_resource(*ISTIO, "Gateway", "gateways"),
}
SHORTEST, LONGEST = 0.1, 5.0  # seconds between attempts


class Watcher:
    """Fills a World and calls `changed` after each change, once every kind has been listed."""

    def __init__(self, client: AsyncClient, world: World, changed: Callable[[], None]) -> None:
        self._client, self._world, self._changed = client, world, changed
        self._known: set[str] = set()

    async def run(self) -> None:
        await asyncio.gather(*(self._follow(name, resource) for name, resource in WATCHED.items()))

    async def _follow(self, name: str, resource: Any) -> None:
        pause = SHORTEST
        while True:
            try:
                version = await self._list(name, resource)
                pause = SHORTEST
                await self._watch(name, resource, version)
            except Exception as error:  # also an answer that cannot be read: whatever it is, we list again
                if isinstance(error, ApiError) and error.status.code == 404:
                    self._tell(name)  # the cluster has no such kind, so there are none
                log.info("%s: %s; listing again in %.1f s", name, str(error) or repr(error), pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST)

    async def _list(self, name: str, resource: Any) -> str:
        answer = self._client.list(resource, namespace="*")
        found = {key_of(obj): dict(obj) async for obj in answer}
        setattr(self._world, name, found)
        self._tell(name)
        return str(answer.resourceVersion)

    async def _watch(self, name: str, resource: Any, version: str) -> None:
        objects: dict[Key, Any] = getattr(self._world, name)
        async for type_, obj in self._client.watch(resource, namespace="*", resource_version=version):
            if type_ == "DELETED":
                objects.pop(key_of(obj), None)
            else:
                objects[key_of(obj)] = dict(obj)
            self._tell(name)

    def _tell(self, name: str) -> None:
        self._known.add(name)
        if self._known >= WATCHED.keys():
            self._changed()
