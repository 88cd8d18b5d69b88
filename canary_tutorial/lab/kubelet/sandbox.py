"""What the containers of one pod share: its address and directory, their states, and how these become status and Events.

I/O: the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import aiohttp

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.kubelet.place import Machine, Place
from canary_tutorial.lab.kubelet.reading import as_pod, names_in, shortened
from canary_tutorial.lab.kubelet.run import Run
from canary_tutorial.lab.kubelet.status import ContainerState, pod_status
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Store

BREATH = 0.1  # seconds at least between two tries, however often ConfigMaps change
LONGEST_GRACE = 1e9  # seconds; more is for ever as well, and no clock overflows
LONGEST_NAME = 200  # characters of a directory's name that the pod's own name may take
Made = TypeVar("Made")


class Host(Machine, Protocol):
    """What a pod asks of the kubelet."""

    store: Store
    recorder: Recorder
    http: aiohttp.ClientSession

    def now(self) -> datetime: ...

    def gone(self, pod: Sandbox) -> None:
        """The pod and all that it had are gone."""

    async def run_in(self, pod: Sandbox, container: str, command: list[str]) -> tuple[int, str]: ...


class Sandbox:
    """One pod, as its containers see it."""

    def __init__(self, kubelet: Host, pod: Obj, ip: str) -> None:
        self.kubelet, self.pod, self.uid = kubelet, as_pod(pod), pod["metadata"]["uid"]
        meta, spec = self.pod["metadata"], self.pod["spec"]
        name = f"{meta['namespace']}_{meta['name']}"[:LONGEST_NAME].replace("/", "-")
        self.place = Place(ip, kubelet.directory / "pods" / f"{name}_{self.uid}")
        self.specs: tuple[list[Obj], list[Obj]] = spec.get("initContainers") or [], spec["containers"]
        self.init, self.states = ([_state(c, spec) for c in some] for some in self.specs)
        self.names = frozenset(names_in(spec))  # its ConfigMaps and Secrets are among them
        self.runs: dict[str, Run] = {}
        self.ending = asyncio.Event()
        self.hurry = asyncio.Event()  # no grace any more: `kubectl delete --force`
        self.changed = asyncio.Event()  # a ConfigMap or Secret is other than it was: what failed may work now

    def container(self, name: str) -> Obj | None:
        return next((c for some in self.specs for c in some if c.get("name") == name), None)

    def state(self, name: str) -> ContainerState | None:
        return next((state for state in [*self.states, *self.init] if state.name == name), None)

    def log_path(self, container: str, run: int) -> Path:
        return self.place.directory / "logs" / f"{container}-{run}.log"

    @property
    def key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    @property
    def full_name(self) -> str:
        meta = self.pod["metadata"]
        return f"{meta['name']}_{meta['namespace']}({self.uid})"

    def tell(self, type_: str, reason: str, message: str, component: str = "kubelet") -> None:
        self.kubelet.recorder.record(self.pod, type_, reason, shortened(message), component)

    def report(self) -> None:
        """Write the pod's status."""
        name, namespace = self.pod["metadata"]["name"], self.pod["metadata"]["namespace"]

        def write(pod: Obj) -> None:
            if pod["metadata"]["uid"] == self.uid:
                pod["status"] = pod_status(as_pod(pod), self.init, self.states, self.place.ip, self.kubelet.now())

        with contextlib.suppress(ApiError):
            self.kubelet.store.change(PODS, name, namespace, write, "status")

    @property
    def grace(self) -> float:
        meta = self.pod["metadata"]
        asked = meta.get("deletionGracePeriodSeconds")
        wanted = asked if asked is not None else self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return min(max(float(wanted), 0.0), LONGEST_GRACE)

    async def wait_for_change(self, seconds: float) -> None:
        """Until what the pod needs may be there, or the pod is to end."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.changed, self.ending)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self.changed.is_set():
            await asyncio.sleep(BREATH)


def _state(container: Obj, spec: Obj) -> ContainerState:
    reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    return ContainerState(container.get("name", ""), container.get("image", ""), {"waiting": {"reason": reason}})


async def in_thread(make: Callable[[], Made]) -> Made:
    """Make something where it holds nobody up; who is cancelled meanwhile waits until that thread writes no more."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await asyncio.wait([making])
        making.exception()  # nobody is left to hear of it, and asyncio would write it to the log
        raise
