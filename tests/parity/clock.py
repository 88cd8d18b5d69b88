"""A clock that stands still while anything happens, and jumps to the next timer when nothing does.

Requests between a client and a server of the same loop are answered in no time; a minute of waiting takes none.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
IN_FLIGHT = 0.003  # real seconds that a message between two sockets of this process may take


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time, and `datetime.now()`, go on only when every task waits."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        super().__init__()
        self._now, self._traveller = 0.0, traveller
        self.ends: dict[asyncio.Task[Any] | None, Callable[[], Any]] = {}

    def time(self) -> float:
        return self._now

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        """Several programs share this process: whoever ends the task of one calls this, as its signal."""
        self.ends[asyncio.current_task(self)] = callback

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """At once: a thread's work would take time that the clock cannot see."""
        done: Future[Any] = Future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return asyncio.wrap_future(done, loop=self)

    def _run_once(self) -> None:
        timers = self._scheduled  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():  # asyncio drops these as well, but only after it read the clock
            heapq.heappop(timers)._scheduled = False
            self._timer_cancelled_count -= 1
        if not self._ready and timers:  # type: ignore[attr-defined]
            if events := self._selector.select(IN_FLIGHT):  # type: ignore[attr-defined]
                self._process_events(events)  # type: ignore[attr-defined]
            else:
                ahead = max(0.0, timers[0]._when - self._now)
                self._now += ahead
                self._traveller.shift(timedelta(seconds=ahead))
        super()._run_once()  # type: ignore[misc]


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run it with a virtual clock, and end what it left behind."""
    with (
        time_machine.travel(BEGINNING, tick=False) as traveller,
        asyncio.Runner(loop_factory=lambda: VirtualLoop(traveller)) as runner,
        warnings.catch_warnings(),
    ):
        # A program that ends closes its sockets by that; here they are swept up, before somebody else finds them.
        warnings.simplefilter("ignore", ResourceWarning)
        found = runner.run(work())
        runner.close()
        gc.collect()
        return found
