"""Our controller in virtual time: the lab's API server and its controllers, and pods that are only said to run.

The kubelet here starts nothing but Flagger, as a task with the container's own flags. Everything that Flagger does goes
through sockets, as on the lab; only the clock is another one (`clock`).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, redirect_stderr, suppress
from contextvars import ContextVar
from functools import partialmethod
from pathlib import Path
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


class Program:
    """What runs in a pod; one that is killed does nothing more."""

    killed = False


PROGRAM: ContextVar[Program] = ContextVar("PROGRAM")


class Pods:
    """A kubelet in name: a pod whose images exist is ready after a moment, and gone as soon as it is deleted.

    A pod that may end gracefully ends by a signal, one that may not is killed.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._addresses = store, (pod_address(16, number) for number in range(MOST_PODS))
        self._tasks: dict[str, tuple[asyncio.Task[None], Program]] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self.kubeconfig: Path | None = None
        store.subscribe(self._hear, kinds.PODS)

    def _hear(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type == "ADDED":
            program = Program()
            self._tasks[uid] = asyncio.create_task(self._live(event.object, program)), program
        elif uid in self._tasks and event.object["metadata"].get("deletionTimestamp"):
            task, program = self._tasks.pop(uid)
            program.killed = event.type == "DELETED"
            _end(task)
            if not program.killed:
                self._ends.add(ending := asyncio.create_task(self._gone(event.object, task)))
                ending.add_done_callback(self._ends.discard)

    async def _gone(self, pod: Obj, task: asyncio.Task[None]) -> None:
        await asyncio.wait([task])
        with suppress(ApiError):
            self._store.delete(kinds.PODS, pod["metadata"]["name"], pod["metadata"]["namespace"], grace=0)

    async def _live(self, pod: Obj, program: Program) -> None:
        PROGRAM.set(program)
        address = next(self._addresses)
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        with suppress(ApiError):  # it is gone
            self._store.change(kinds.PODS, name, namespace, lambda obj: obj["spec"].update(nodeName="virtual"))
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
        tasks = [task for task, _ in self._tasks.values()]
        for task in tasks:
            _end(task)
        await asyncio.gather(*tasks, return_exceptions=True)


def _end(task: asyncio.Task[None]) -> None:
    """By its signal if it asked for one: a program that is only cancelled would leave its own tasks at work."""
    told = asyncio.get_running_loop().ends.pop(task, None)  # type: ignore[attr-defined]
    told() if told else task.cancel()


async def give_back(election: leader.Election, once: Callable[[leader.Election], Awaitable[None]]) -> None:
    if not PROGRAM.get().killed:
        await once(election)


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
    with (
        mock.patch.object(metrics, "serve"),  # its page would be a thread with a clock of its own
        mock.patch.object(leader.Election, "give_back", partialmethod(give_back, leader.Election.give_back)),
        redirect_stderr(log),
    ):
        try:
            yield url
        finally:
            await pods.stop()
            (directory / "flagger.log").write_text(log.getvalue())
            await runner.cleanup()
