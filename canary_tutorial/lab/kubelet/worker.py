"""The life of one pod: address, volumes, init containers, containers with restarts, and its end.

One asyncio task per pod and one per container. What they find goes into `ContainerState`s, from which the pod's status
is written (`status.py`); what people should know goes into Events. I/O: processes, files, the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.images import ImageError, find_image
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.kubelet.container import Run
from canary_tutorial.lab.kubelet.environment import ConfigError
from canary_tutorial.lab.kubelet.pods import SIDECAR, listen_address, program_for, write_volumes
from canary_tutorial.lab.kubelet.probes import Prober, watch
from canary_tutorial.lab.kubelet.status import ContainerState, back_off, pod_status, terminated
from canary_tutorial.lab.network import OUTBOUND_PORT
from canary_tutorial.lab.store import Obj, timestamp

if TYPE_CHECKING:
    from canary_tutorial.lab.kubelet.kubelet import Kubelet

PULL_BACK_OFF = 10.0  # seconds, doubled up to 300


@dataclass
class Place:
    """Where a pod lives."""

    ip: str
    directory: Path


class Worker:
    """Runs one pod until it has ended or is deleted."""

    def __init__(self, kubelet: Kubelet, pod: Obj, ip: str) -> None:
        meta = pod["metadata"]
        self.kubelet, self.pod, self.uid = kubelet, pod, meta["uid"]
        directory = kubelet.directory / "pods" / f"{meta['namespace']}_{meta['name']}_{self.uid}"
        self.place = Place(ip, directory)
        spec = pod["spec"]
        self.init = [ContainerState(c["name"], c["image"], _initial(spec)) for c in spec.get("initContainers") or []]
        self.states = [ContainerState(c["name"], c["image"], _initial(spec)) for c in spec["containers"]]
        self.runs: dict[str, Run] = {}
        self.ending = asyncio.Event()
        self._written = False
        self.task = asyncio.create_task(self._live())

    # -- what others ask

    def container(self, name: str) -> Obj | None:
        spec = self.pod["spec"]
        return next((c for c in [*spec["containers"], *(spec.get("initContainers") or [])] if c["name"] == name), None)

    def state(self, name: str) -> ContainerState | None:
        return next((state for state in [*self.states, *self.init] if state.name == name), None)

    def log_path(self, container: str, run: int) -> Path:
        return self.place.directory / "logs" / f"{container}-{run}.log"

    def update(self, pod: Obj) -> None:
        """The pod's object has changed."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self.ending.set()

    # -- its life

    async def _live(self) -> None:
        self._tell("Normal", "Scheduled", f"Successfully assigned {self._key} to lab", component="default-scheduler")
        self.place.directory.mkdir(parents=True, exist_ok=True)
        try:
            if await self._prepare_volumes():
                await self._until_ending(self._run_all())
            if not self.ending.is_set():
                await self.ending.wait()  # a pod that ran to its end stays until somebody deletes it
            await self._stop_all()
        except Exception:
            self.kubelet.log.exception("pod %s", self._key)
        finally:
            for run in self.runs.values():
                await run.stop(0)
            await asyncio.to_thread(shutil.rmtree, self.place.directory, True)
            self.kubelet.gone(self)

    async def _until_ending(self, work: Awaitable[None]) -> None:
        task, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
        for pending in (ending, *([task] if self.ending.is_set() else [])):
            pending.cancel()
        if task.done() and not task.cancelled() and task.exception():
            raise task.exception()  # type: ignore[misc]
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _prepare_volumes(self) -> bool:
        """Wait for ConfigMaps and Secrets that are not there yet."""
        pause = 1.0
        while not self.ending.is_set():
            try:
                write_volumes(self.pod, self.place, self.kubelet)
            except ConfigError as missing:
                self._tell("Warning", "FailedMount", f"MountVolume.SetUp failed for volume: {missing}")
                self.report()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), pause)
                pause = min(pause * 2, 15)
            else:
                self.report()
                return True
        return False

    async def _run_all(self) -> None:
        for container, state in zip(self.pod["spec"].get("initContainers") or [], self.init, strict=True):
            await self._run_container(container, state, init=True)
            if not (state.terminated and state.terminated["exitCode"] == 0):
                return
        pairs = zip(self.pod["spec"]["containers"], self.states, strict=True)
        async with asyncio.TaskGroup() as group:
            for container, state in pairs:
                group.create_task(self._run_container(container, state))

    async def _run_container(self, container: Obj, state: ContainerState, init: bool = False) -> None:
        if state.name == SIDECAR:
            await self._run_sidecar(container, state)
            return
        policy = self.pod["spec"].get("restartPolicy", "Always")
        policy = "OnFailure" if init and policy == "Always" else policy
        while True:
            code = await self._run_once(container, state)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            pause = back_off(state.restartCount)
            if pause:
                state.lastState, name = state.state, self._key.replace("/", "_")
                message = f"back-off {_seconds(pause)} restarting failed container={state.name} pod={name}({self.uid})"
                state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
                self.report()
                self._tell(
                    "Warning", "BackOff", f"Back-off restarting failed container {state.name} in pod {name}({self.uid})"
                )
                await asyncio.sleep(pause)
            else:
                state.lastState = state.state
            state.restartCount += 1

    async def _run_once(self, container: Obj, state: ContainerState) -> int:
        """Pull, start, watch, until the process ends."""
        await self._pull(container, state)
        run = await self._start(container, state)
        began = timestamp(self.kubelet.now())
        if isinstance(run, str):
            state.state = terminated(128, began, self.kubelet.now(), "", "StartError")
            state.state["terminated"]["message"] = run
            self._tell("Warning", "Failed", f"Error: {run}")
            self.report()
            return 128
        self.runs[state.name] = run
        state.state, state.containerID = {"running": {"startedAt": began}}, run.id
        self._tell("Normal", "Started", f"Started container {state.name}")
        watchers = self._probe(container, state, run)
        self.report()
        try:
            code = await run.wait()
        finally:
            for watcher in watchers:
                watcher.cancel()
        state.ready = state.started = False
        state.state = terminated(code, began, self.kubelet.now(), run.id)
        self.runs.pop(state.name, None)
        self.report()
        return code

    async def _pull(self, container: Obj, state: ContainerState) -> None:
        """An image of the table is there at once; for any other, Kubernetes' pull errors and back-off."""
        image, pause = container["image"], PULL_BACK_OFF
        while True:
            try:
                find_image(image)
            except ImageError as error:
                self._tell("Normal", "Pulling", f'Pulling image "{image}"')
                self._tell("Warning", "Failed", str(error))
                self._tell("Warning", "Failed", "Error: ErrImagePull")
                state.state = {"waiting": {"reason": "ErrImagePull", "message": str(error)}}
                self.report()
                await asyncio.sleep(1)
                text = f'Back-off pulling image "{image}"'
                state.state = {"waiting": {"reason": "ImagePullBackOff", "message": text}}
                self._tell("Normal", "BackOff", text)
                self._tell("Warning", "Failed", "Error: ImagePullBackOff")
                self.report()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 300)
            else:
                text = f'Container image "{image}" already present on machine'
                self._tell("Normal", "Pulled", text)
                return

    async def _start(self, container: Obj, state: ContainerState) -> Run | str:
        while True:
            try:
                program = program_for(self.pod, container, self.place, self.kubelet)
                self._tell("Normal", "Created", f"Created container: {state.name}")
                return await Run.start(program, self.log_path(state.name, state.restartCount))
            except ConfigError as missing:
                state.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(missing)}}
                self._tell("Warning", "Failed", f"Error: {missing}")
                self.report()
                await asyncio.sleep(2)
            except OSError as error:
                return f"failed to start container {state.name!r}: {error.strerror}: {error.filename}"

    def _probe(self, container: Obj, state: ContainerState, run: Run) -> list[asyncio.Task[None]]:
        """Start the probes: liveness and readiness wait for the startup probe."""

        async def in_container(command: list[str]) -> tuple[int, str]:
            return await self.kubelet.run_in(self, state.name, command)

        prober = Prober(container, listen_address(self.pod, self.place), in_container, self.kubelet.http)
        started = asyncio.Event()

        def on_startup(good: bool, why: str) -> None:
            if good:
                state.started = True
                started.set()
                set_ready(not container.get("readinessProbe"))
            else:
                restart("Startup", why)

        def set_ready(good: bool, why: str = "") -> None:
            if why:
                self._tell("Warning", "Unhealthy", f"Readiness probe failed: {why}")
            if state.ready != good:
                state.ready = good
                self.report()

        def restart(what: str, why: str) -> None:
            self._tell("Warning", "Unhealthy", f"{what} probe failed: {why}")
            text = f"Container {state.name} failed {what.lower()} probe, will be restarted"
            self._tell("Normal", "Killing", text)
            self._restarting = asyncio.create_task(run.stop(self._grace))

        async def after_startup(probe: Obj, report: Callable[[bool, str], None], impatient: bool) -> None:
            await started.wait()
            await watch(prober, probe, report, impatient=impatient)

        tasks = []
        if container.get("startupProbe"):
            tasks.append(watch(prober, container["startupProbe"], on_startup, until_success=True))
        else:
            on_startup(True, "")
        if container.get("readinessProbe"):
            tasks.append(after_startup(container["readinessProbe"], set_ready, True))
        if container.get("livenessProbe"):
            fail = lambda good, why: None if good else restart("Liveness", why)  # noqa: E731
            tasks.append(after_startup(container["livenessProbe"], fail, False))
        return [asyncio.create_task(task) for task in tasks]

    async def _run_sidecar(self, container: Obj, state: ContainerState) -> None:
        """The sidecar is the shared Envoy: running when its outbound listener for this pod accepts connections."""
        state.state = {"running": {"startedAt": timestamp(self.kubelet.now())}}
        state.started, state.containerID = True, f"lab://{self.uid}"
        probe = {"tcpSocket": {"port": OUTBOUND_PORT}, "periodSeconds": 2}
        prober = Prober(container, listen_address(self.pod, self.place), self._no_exec, self.kubelet.http)

        def report(good: bool, why: str) -> None:
            if state.ready != good:
                state.ready = good
                self.report()

        await watch(prober, probe, report, impatient=True)

    async def _no_exec(self, command: list[str]) -> tuple[int, str]:
        return 1, "the sidecar runs no commands"

    # -- its end

    @property
    def _grace(self) -> float:
        meta = self.pod["metadata"]
        asked = meta.get("deletionGracePeriodSeconds")
        return float(asked if asked is not None else self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def _stop_all(self) -> None:
        for state in self.states:
            if state.running:
                self._tell("Normal", "Killing", f"Stopping container {state.name}")
        await asyncio.gather(*(self._stop(name, run) for name, run in list(self.runs.items())))

    async def _stop(self, name: str, run: Run) -> None:
        grace = self._grace
        hook = ((self.container(name) or {}).get("lifecycle") or {}).get("preStop") or {}
        if "exec" in hook and grace:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.kubelet.run_in(self, name, hook["exec"]["command"]), grace)
        elif "sleep" in hook and grace:
            await asyncio.sleep(min(grace, hook["sleep"]["seconds"]))
        await run.stop(grace)

    # -- telling

    @property
    def _key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    def _tell(self, type_: str, reason: str, message: str, component: str = "kubelet") -> None:
        self.kubelet.recorder.record(self.pod, type_, reason, message, component)

    def report(self) -> None:
        """Write the pod's status."""
        name, namespace = self.pod["metadata"]["name"], self.pod["metadata"]["namespace"]

        def write(pod: Obj) -> None:
            if pod["metadata"]["uid"] == self.uid:
                pod["status"] = pod_status(pod, self.init, self.states, self.place.ip, self.kubelet.now())

        with contextlib.suppress(ApiError):
            self.kubelet.store.change(PODS, name, namespace, write, "status")


def _initial(spec: Obj) -> Obj:
    return {"waiting": {"reason": "PodInitializing" if spec.get("initContainers") else "ContainerCreating"}}


def _seconds(pause: float) -> str:
    minutes, seconds = divmod(int(pause), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


