"""The control plane's process: `python -m canary_tutorial.lab.mesh`, in the pod `istiod`.

Watches the API, compiles, writes files, and keeps one Envoy running as its child. I/O: all of the mesh's starts here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from pathlib import Path

from lightkube import AsyncClient, KubeConfig

from canary_tutorial.lab.mesh.compile import Files, bootstrap, compile_world, resolver_of
from canary_tutorial.lab.mesh.files import Directory
from canary_tutorial.lab.mesh.watch import Watcher
from canary_tutorial.lab.mesh.world import World
from canary_tutorial.lab.processes import die_with_parent

log = logging.getLogger("mesh")

SETTLE = 0.02  # seconds to collect changes that come together


class ControlPlane:
    """Compiles the world for Envoy whenever it has changed."""

    def __init__(self, directory: Path, resolver_address: str) -> None:
        self.world = World()
        self._directory = Directory(directory)
        self._resolver = resolver_address
        self._dirty = asyncio.Event()

    def start(self) -> None:
        """Envoy starts with no clusters and no listeners but the resolver's."""
        self._write(compile_world(World(), self._directory.path, self._resolver))

    def changed(self) -> None:
        self._dirty.set()

    async def run(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(SETTLE)
            self._dirty.clear()
            try:
                self._write(compile_world(self.world, self._directory.path, self._resolver))
            except (KeyError, TypeError, ValueError, AttributeError):
                log.exception("an object cannot be compiled; Envoy keeps what it has")

    def _write(self, files: Files) -> None:
        began = time.monotonic()
        changed = self._directory.write(files)
        if changed:
            log.info("wrote %s in %.0f ms", ", ".join(changed), (time.monotonic() - began) * 1000)


async def keep_envoy(directory: Path) -> None:
    """Run Envoy; start it again whenever it ends."""
    command = ["envoy", "-c", str(directory / "bootstrap.json"), "--concurrency", "1", "--disable-hot-restart"]
    command += ["--drain-time-s", "2", "--log-level", "warning"]
    while True:
        began = time.monotonic()
        envoy = await asyncio.create_subprocess_exec(*command, cwd=directory, preexec_fn=die_with_parent())
        try:
            code = await envoy.wait()
        except asyncio.CancelledError:
            envoy.terminate()
            await envoy.wait()
            raise
        log.warning("Envoy exited with code %s after %.1f s; starting it again", code, time.monotonic() - began)
        await asyncio.sleep(0.1 if time.monotonic() - began > 2 else 1)


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    address = os.environ.get("LISTEN_ADDRESS", "127.0.0.1")
    directory = Path.cwd() / "envoy"
    plane = ControlPlane(directory, resolver_of(address))
    plane.start()
    (directory / "bootstrap.json").write_text(json.dumps(bootstrap(directory, address)))
    client = AsyncClient(config=KubeConfig.from_env(), trust_env=False)
    tasks = [
        asyncio.create_task(coroutine)
        for coroutine in (keep_envoy(directory), plane.run(), Watcher(client, plane.world, plane.changed).run())
    ]
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await asyncio.wait([*tasks, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    asyncio.run(main())
