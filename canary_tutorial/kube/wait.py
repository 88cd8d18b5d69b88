"""Waits until a condition holds, reports progress meanwhile, and raises TookTooLong at the timeout."""

from __future__ import annotations

import time
from collections.abc import Callable

from canary_tutorial.errors import TookTooLong
from canary_tutorial.screen.progress import StatusLine


def wait_until(
    check: Callable[[], tuple[bool, str]],
    what: str,
    timeout: float = 60,
    *,
    next_step: str = "",
    line: StatusLine | None = None,
) -> None:
    """Ask `check()` again and again; it answers (done, how far it is). Raises TookTooLong after `timeout` seconds."""
    line = line or StatusLine(f"Waiting for {what}")
    pause = 0.01  # and twice as long each time: much is done in a moment
    with line:
        while True:
            done, text = check()
            if done:
                return
            line.say(text)
            if line.elapsed > timeout:
                raise TookTooLong(f"Timed out after {timeout:.0f} s waiting for {what}: {text}", next_step)
            time.sleep(pause)
            pause = min(2 * pause, 0.1 if line.elapsed < 2 else 0.4)
