"""Runs the ticks of one Canary as Go's ticker does: at once, then at each interval. I/O: asyncio's clock.

Late ticks are merged into one. Ticks never overlap: not with each other, nor with those of a job that is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Job:
    """`interval` in seconds. `after` is the job that this one replaces: its last tick is waited for."""

    def __init__(self, tick: Callable[[], Awaitable[None]], interval: float, after: Job | None = None) -> None:
        self.interval = interval
        self._tick, self._after = tick, after
        self._stopped = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        if self._after:
            await self._after.ended()
            self._after = None
        clock = asyncio.get_running_loop().time
        began, beat = clock(), 0
        while not self._stopped.is_set():
            await self._tick()
            beat = max(beat + 1, int((clock() - began) / self.interval))
            await self._pause(began + beat * self.interval - clock())

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def stop(self) -> None:
        """No further tick; one under way goes to its end."""
        self._stopped.set()

    async def ended(self) -> None:
        await asyncio.wait([self._task])

    def abort(self) -> None:
        """The process ends."""
        self._task.cancel()
