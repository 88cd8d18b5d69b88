"""The life of one pod: address, volumes, init containers, containers with restarts, and its end.

Whatever fails in a pod becomes an Event and is retried, with growing pauses; the pod ends when somebody deletes it.

One asyncio task per pod and one per container. Their results go into `ContainerState`s, from which the pod's status is
written (`status.py`), and into Events. I/O: processes, files, the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable

from canary_tutorial.lab.kubelet.container import SLOWEST_TRY, Container
from canary_tutorial.lab.kubelet.reading import as_pod
from canary_tutorial.lab.kubelet.sandbox import Host, Sandbox, in_thread
from canary_tutorial.lab.kubelet.volumes import MountError, write_volumes
from canary_tutorial.lab.machine import files
from canary_tutorial.lab.objects import Obj

SLOWEST_REFRESH = 60.0  # seconds between tries to bring a volume of a running pod up to date

log = logging.getLogger(__name__)


class Worker(Sandbox):
    """Runs one pod until it is deleted. Nothing that goes wrong with the pod ends it: it is said, and tried again."""

    def __init__(self, kubelet: Host, pod: Obj, ip: str) -> None:
        super().__init__(kubelet, pod, ip)
        self._init, self._main = (
            [Container(self, spec, state) for spec, state in zip(specs, states, strict=True)]
            for specs, states in zip(self.specs, (self.init, self.states), strict=True)
        )
        self._mounted = False
        self._refreshing: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._live())

    # -- what others ask

    def update(self, pod: Obj) -> None:
        """The pod's object has changed."""
        self.pod = as_pod(pod)
        if "deletionTimestamp" in self.pod["metadata"]:
            self.ending.set()
            if self.pod["metadata"].get("deletionGracePeriodSeconds") == 0:
                self.hurry.set()

    def refresh_volumes(self, again: float = 1.0) -> None:
        """A ConfigMap or Secret of the pod has changed; what cannot be written is tried again."""
        self.changed.set()
        if self._refreshing:
            self._refreshing.cancel()
            self._refreshing = None
        if not self._mounted or self.ending.is_set():
            return
        try:
            write_volumes(self.pod, self.place, self.kubelet)
        except MountError as error:
            self.tell("Warning", "FailedMount", str(error))
            later, again = min(again, SLOWEST_REFRESH), again * 2
            self._refreshing = asyncio.get_running_loop().call_later(later, self.refresh_volumes, again)

    # -- its life

    async def _live(self) -> None:
        try:
            text = f"Successfully assigned {self.key} to lab"
            self.tell("Normal", "Scheduled", text, component="default-scheduler")
            if await self._prepare_volumes():
                await self._until_ending(self._run_all())
            await self.ending.wait()  # a pod that ran to its end stays until somebody deletes it
            await self._stop_all()
        except Exception:  # only a fault of ours
            log.exception("pod %s", self.key)
            await self.ending.wait()
        finally:
            try:
                await self._leave_nothing()
            finally:
                self.kubelet.gone(self)

    async def _leave_nothing(self) -> None:
        if self._refreshing:
            self._refreshing.cancel()
        for run in list(self.runs.values()):
            await run.stop(0)
        try:
            await asyncio.to_thread(self._remove_directory)
        except OSError as error:
            log.warning("%s stays behind: %s", self.place.directory, error)

    def _remove_directory(self) -> None:
        with files.directory(self.kubelet.directory, "pods") as pods:
            files.remove(pods, self.place.directory.name)

    async def _until_ending(self, work: Awaitable[None]) -> None:
        """Do the work; leave it when the pod is to end, or the whole lab."""
        task, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:  # nothing may start again while the pod is being ended
            ending.cancel()
            if self.ending.is_set() or not task.done():
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _prepare_volumes(self) -> bool:
        """Make the volumes; try again until that works, or the pod is to end."""
        pause = 1.0
        while not self.ending.is_set():
            self.changed.clear()
            try:
                await in_thread(lambda: write_volumes(self.pod, self.place, self.kubelet))
            except Exception as error:
                text = str(error) if isinstance(error, MountError) else str(MountError("", error))
                self.tell("Warning", "FailedMount", text)
                self.report()
                await self.wait_for_change(pause)
                pause = min(pause * 2, SLOWEST_TRY)
            else:
                self._mounted = True
                if self.changed.is_set():
                    self.refresh_volumes()
                self.report()
                return True
        return False

    async def _run_all(self) -> None:
        for container in self._init:
            await container.run(init=True)
            if not (container.state.terminated and container.state.terminated["exitCode"] == 0):
                return
        async with asyncio.TaskGroup() as group:
            for container in self._main:
                group.create_task(container.run())

    # -- its end

    async def _stop_all(self) -> None:
        for state in self.states:
            if state.running:
                self.tell("Normal", "Killing", f"Stopping container {state.name}")
        running = [(c, self.runs[c.state.name]) for c in (*self._init, *self._main) if c.state.name in self.runs]
        await asyncio.gather(*(container.stop(run) for container, run in running))
