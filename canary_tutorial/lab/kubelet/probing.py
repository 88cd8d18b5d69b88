"""Runs a container's probes during one run: whether it has started, is ready, or must be restarted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from canary_tutorial.lab.kubelet.probes import Prober, Verdict, watch
from canary_tutorial.lab.kubelet.status import ContainerState
from canary_tutorial.lab.objects import Obj


@dataclass
class Probing:
    """The probes of one run; `tell` records an Event, `report` writes the pod's status, `stop` ends the run."""

    container: Obj
    state: ContainerState
    prober: Prober
    tell: Callable[[str, str, str], None]
    report: Callable[[], None]
    stop: Callable[[], Awaitable[None]]

    def start(self) -> list[asyncio.Task[None]]:
        """Liveness and readiness wait for the startup probe."""
        self._started = asyncio.Event()
        tasks = [self._startup()]
        tasks += [self._readiness()] if self.container.get("readinessProbe") else []
        tasks += [self._liveness()] if self.container.get("livenessProbe") else []
        return [asyncio.create_task(task) for task in tasks]

    def set_ready(self, ready: bool) -> None:
        if self.state.ready != ready:
            self.state.ready = ready
            self.report()

    def _verdicts(self, what: str, impatient: bool = True) -> AsyncIterator[Verdict]:
        def tell(why: str) -> None:
            self.tell("Warning", "Unhealthy", f"{what.capitalize()} probe failed: {why}")

        return watch(self.prober, self.container[f"{what}Probe"], tell=tell, impatient=impatient)

    async def _startup(self) -> None:
        if self.container.get("startupProbe"):
            async for verdict in self._verdicts("startup"):
                if not verdict.good:
                    await self._restart("startup")
                    return
                break
        self.state.started = True
        self._started.set()
        self.set_ready(not self.container.get("readinessProbe"))

    async def _readiness(self) -> None:
        await self._started.wait()
        async for verdict in self._verdicts("readiness"):
            self.set_ready(verdict.good)

    async def _liveness(self) -> None:
        await self._started.wait()
        async for verdict in self._verdicts("liveness", impatient=False):
            if not verdict.good:
                await self._restart("liveness")
                return

    async def _restart(self, what: str) -> None:
        self.tell("Normal", "Killing", f"Container {self.state.name} failed {what} probe, will be restarted")
        await asyncio.shield(asyncio.ensure_future(self.stop()))
