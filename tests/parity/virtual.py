"""Our controller in virtual time: the lab's API server and its controllers, and pods that are only said to run.

The kubelet here starts nothing but Flagger, as a task with the container's own flags. Everything that Flagger does goes
through sockets, as on the lab; only the clock is another one (`clock`).
"""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import yaml
from aiohttp import web

from canary_tutorial.flagger import leader, metrics, startup
from canary_tutorial.flagger.flags import parse
from canary_tutorial.lab import kinds
from canary_tutorial.lab.api import make_app
from canary_tutorial.lab.api.access import default_roles
from canary_tutorial.lab.api.checks.admission import admit
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.controllers.manager import Manager
from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.events import Recorder as EventRecorder
from canary_tutorial.lab.kubelet.status import ContainerState, pod_status
from canary_tutorial.lab.machine.images import ImageError, find_image
from canary_tutorial.lab.machine.network import MOST_PODS, pod_address, service_addresses
from canary_tutorial.lab.objects import timestamp
from canary_tutorial.lab.store import Event, Store

Obj = dict[str, Any]
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
START = 0.5  # seconds until a container runs and is ready


class Pods:
    """A kubelet in name: a pod whose images exist is ready after a moment, and gone as soon as it is deleted."""

    def __init__(self, store: Store) -> None:
        self._store, self._addresses = store, (pod_address(16, number) for number in range(MOST_PODS))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.kubeconfig: Path | None = None
        store.subscribe(self._hear, kinds.PODS)

    def _hear(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "ADDED":
            self._tasks[uid] = asyncio.create_task(self._live(event.object))
        elif event.type == "DELETED" and uid in self._tasks:
            _end(self._tasks.pop(uid))

    async def _live(self, pod: Obj) -> None:
        address = next(self._addresses)
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        states = [ContainerState(each["name"], each["image"]) for each in pod["spec"]["containers"]]
        self._report(name, namespace, states, address)
        await asyncio.sleep(START)
        for container, state in zip(pod["spec"]["containers"], states, strict=True):
            try:
                find_image(container["image"])
            except ImageError as error:
                state.state = {"waiting": {"reason": "ErrImagePull", "message": str(error)}}
                continue
            state.state = {"running": {"startedAt": timestamp(self._store.now())}}
            state.ready, state.started, state.containerID = True, True, "virtual"
        self._report(name, namespace, states, address)
        for container in pod["spec"]["containers"]:
            if "/flagger:" in container["image"]:
                await startup.run(parse([*container["args"], f"-kubeconfig={self.kubeconfig}"]))

    def _report(self, name: str, namespace: str, states: list[ContainerState], address: str) -> None:
        def write(pod: Obj) -> None:
            pod["status"] = pod_status(pod, [], states, address, self._store.now())

        with suppress(ApiError):  # it is gone
            self._store.change(kinds.PODS, name, namespace, write, "status")

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            _end(task)
        await asyncio.gather(*tasks, return_exceptions=True)


def _end(task: asyncio.Task[None]) -> None:
    """By its signal if it asked for one: a program that is only cancelled would leave its own tasks at work."""
    told = asyncio.get_running_loop().ends.pop(task, None)  # type: ignore[attr-defined]
    told() if told else task.cancel()


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "users": [{"name": "admin", "user": {"token": "admin"}}],
    "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
    "current-context": "lab",
}


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[str]:
    """The address of an API server whose token is `admin`."""
    store = Store(KINDS)
    Manager(store, EventRecorder(store), admit, "", lambda: service_addresses(16))
    pods = Pods(store)
    for namespace in ("default", "kube-system"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
    default_roles.create(store)
    app = make_app(store, pods, lambda token: ADMIN)  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    pods.kubeconfig = directory / "kubeconfig"
    pods.kubeconfig.write_text(
        yaml.safe_dump({**KUBECONFIG, "clusters": [{"name": "lab", "cluster": {"server": url}}]})
    )
    log = io.StringIO()
    processes = SimpleNamespace(getpid=itertools.count(1).__next__)  # each Flagger takes itself for one of its own
    with (
        mock.patch.object(metrics, "serve"),  # its page would be a thread with a clock of its own
        mock.patch.object(leader, "os", processes),
        redirect_stderr(log),
    ):
        try:
            yield url
        finally:
            await pods.stop()
            (directory / "flagger.log").write_text(log.getvalue())
            await runner.cleanup()
