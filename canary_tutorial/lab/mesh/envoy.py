"""Runs Envoy as a child process, and restarts it whenever it ends. I/O: a process."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from canary_tutorial.lab.machine.processes import die_with_parent

log = logging.getLogger(__name__)

COMMAND = ["envoy", "-c", "bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "2"]
COMMAND += ["--log-level", "warning"]
SOON, LATER = 0.05, 1.0  # seconds before the next start, after a run that worked and after one that never began
WORKED = 2.0  # seconds


async def keep_envoy(directory: Path) -> None:
    """Run Envoy until this task is cancelled; it ends with it, and also if this process is killed."""
    while True:
        began = time.monotonic()
        envoy = await asyncio.create_subprocess_exec(*COMMAND, cwd=directory, preexec_fn=die_with_parent())
        try:
            code = await envoy.wait()
        except asyncio.CancelledError:
            envoy.terminate()
            await envoy.wait()
            raise
        lasted = time.monotonic() - began
        log.warning("Envoy exited with code %s after %.1f s; starting it again", code, lasted)
        await asyncio.sleep(SOON if lasted > WORKED else LATER)
