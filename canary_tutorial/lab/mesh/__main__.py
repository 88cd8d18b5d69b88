"""The control plane's process: `python -m canary_tutorial.lab.mesh`, in the pod `istiod`.

Watches the API, compiles, writes files, and keeps one Envoy running as its child. I/O: all of the mesh's starts here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from pathlib import Path

from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ConfigError

from canary_tutorial.lab.mesh import security
from canary_tutorial.lab.mesh.bootstrap import bootstrap
from canary_tutorial.lab.mesh.compile import compile_world, resolver_of
from canary_tutorial.lab.mesh.envoy import keep_envoy
from canary_tutorial.lab.mesh.files import Directory
from canary_tutorial.lab.mesh.patience import Patient
from canary_tutorial.lab.mesh.sieve import Sieve
from canary_tutorial.lab.mesh.watch import Watcher
from canary_tutorial.lab.mesh.world import World

log = logging.getLogger("mesh")

LATER = 1.0  # seconds until the next attempt where one has failed
SETTLE = 0.02  # seconds to collect changes that come together, at least; a busy machine takes longer, and collects more


class ControlPlane:
    """Compiles the world for Envoy whenever it has changed."""

    def __init__(self, directory: Directory, resolver_address: str) -> None:
        self.world, self._sieve = World(), Sieve()
        self._directory = directory
        self._resolver = resolver_address
        self._dirty = asyncio.Event()
        self._problems: dict[str, str] = {}

    def changed(self) -> None:
        self._dirty.set()

    async def run(self) -> None:
        pause = SETTLE
        while True:
            await self._dirty.wait()
            await asyncio.sleep(pause)
            self._dirty.clear()
            try:
                pause = max(SETTLE, self.write())
            except Exception as error:  # a mistake of ours, or a full disk: Envoy keeps what it has, and we try again
                log.error("Envoy's configuration stays as it was: %r", error)
                self._dirty.set()
                pause = LATER

    def write(self) -> float:
        """Once, as things are now; returns the seconds that it took."""
        began = time.monotonic()
        files = compile_world(self.world, self._directory.path, self._resolver, self._sieve)
        for name, reason in files.problems.items():
            if self._problems.get(name) != reason:
                log.warning("%s is left out: %s", name, reason)
        self._problems = files.problems
        changed = self._directory.write(files)
        took = time.monotonic() - began
        if changed:
            log.info("wrote %s in %.0f ms", ", ".join(changed), took * 1000)
        return took


def connection() -> AsyncClient:
    """A client for the API server that KUBECONFIG names."""
    config = KubeConfig.from_env().get()
    if config is None:
        raise ConfigError("the kubeconfig has no current context")
    return AsyncClient(config=config, trust_env=False, transport=Patient(config))


async def serve(address: str, path: Path) -> None:
    """Until cancelled, or until one of the parts fails."""
    directory = Directory(path)
    await security.prepare(path)
    plane = ControlPlane(directory, resolver_of(address))
    plane.write()  # Envoy begins with the resolver alone
    (path / "bootstrap.json").write_text(json.dumps(bootstrap(path, address)))
    client = connection()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_envoy(path))
        tasks.create_task(plane.run())
        tasks.create_task(Watcher(client, plane.world, plane.changed).run())


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    serving = asyncio.create_task(serve(os.environ.get("LISTEN_ADDRESS", "127.0.0.1"), Path.cwd() / "envoy"))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()  # a part failed: say why, exit with 1, and let the kubelet start us again


if __name__ == "__main__":
    asyncio.run(main())
