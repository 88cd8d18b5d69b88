"""The life of one pod: address, volumes, init containers, containers with restarts, and its end.

One asyncio task per pod and one per container. What they find goes into `ContainerState`s, from which the pod's status
is written (`status.py`); what people should know goes into Events. I/O: processes, files, the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.images import ImageError, find_image
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.kubelet.container import Run
from canary_tutorial.lab.kubelet.environment import ConfigError
from canary_tutorial.lab.kubelet.logs import Log
from canary_tutorial.lab.kubelet.pods import SIDECAR, listen_address, program_for, write_volumes
from canary_tutorial.lab.kubelet.probes import Prober, Verdict, watch
from canary_tutorial.lab.kubelet.status import ContainerState, back_off, pod_status, terminated
from canary_tutorial.lab.network import OUTBOUND_PORT
from canary_tutorial.lab.store import Obj, timestamp

if TYPE_CHECKING:
    from canary_tutorial.lab.kubelet.kubelet import Kubelet

PULL_BACK_OFF = 10.0  # seconds, doubled up to 300
FORGIVEN = 600.0  # seconds of running after which earlier crashes do not count any more
SIDECAR_SAYS = b"One Envoy serves all pods of the lab; its log: kubectl logs -n istio-system deployment/istiod"


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
        self.hurry = asyncio.Event()  # no grace any more: `kubectl delete --force`
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
            if pod["metadata"].get("deletionGracePeriodSeconds") == 0:
                self.hurry.set()

    def refresh_volumes(self) -> None:
        """A ConfigMap or Secret of the namespace has changed."""
        if self.runs:
            with contextlib.suppress(ConfigError, OSError):
                write_volumes(self.pod, self.place, self.kubelet)

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
        """Do the work; leave it when the pod is to end, or the whole lab."""
        task, ending = asyncio.ensure_future(work), asyncio.ensure_future(self.ending.wait())
        try:
            await asyncio.wait([task, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:  # nothing may start again while the pod is being ended
            ending.cancel()
            if self.ending.is_set() or not task.done():
                task.cancel()
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
        crashes = 0
        while True:
            began = time.monotonic()
            code = await self._run_once(container, state)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            crashes = 0 if time.monotonic() - began > FORGIVEN else crashes
            await self._back_off(state, back_off(crashes))
            crashes += 1
            state.restartCount += 1

    async def _back_off(self, state: ContainerState, pause: float) -> None:
        """Wait before a container starts again, and say so."""
        state.lastState = state.state
        if not pause:
            return
        which = f"container={state.name} pod={self._full_name}"
        message = f"back-off {_seconds(pause)} restarting failed {which}"
        state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self.report()
        text = f"Back-off restarting failed container {state.name} in pod {self._full_name}"
        self._tell("Warning", "BackOff", text)
        await asyncio.sleep(pause)

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

        def probing(what: str, impatient: bool = True) -> AsyncIterator[Verdict]:
            def tell(why: str) -> None:
                self._tell("Warning", "Unhealthy", f"{what.capitalize()} probe failed: {why}")

            return watch(prober, container[f"{what}Probe"], tell=tell, impatient=impatient)

        async def startup() -> None:
            if container.get("startupProbe"):
                async for verdict in probing("startup"):
                    if not verdict.good:
                        await restart("startup")
                        return
                    break
            state.started = True
            started.set()
            self._set_ready(state, not container.get("readinessProbe"))

        async def readiness() -> None:
            await started.wait()
            async for verdict in probing("readiness"):
                self._set_ready(state, verdict.good)

        async def liveness() -> None:
            await started.wait()
            async for verdict in probing("liveness", impatient=False):
                if not verdict.good:
                    await restart("liveness")
                    return

        async def restart(what: str) -> None:
            self._tell("Normal", "Killing", f"Container {state.name} failed {what} probe, will be restarted")
            await asyncio.shield(asyncio.ensure_future(self._stop(state.name, run)))

        tasks = [startup()]
        tasks += [readiness()] if container.get("readinessProbe") else []
        tasks += [liveness()] if container.get("livenessProbe") else []
        return [asyncio.create_task(task) for task in tasks]

    def _set_ready(self, state: ContainerState, ready: bool) -> None:
        if state.ready != ready:
            state.ready = ready
            self.report()

    async def _run_sidecar(self, container: Obj, state: ContainerState) -> None:
        """The sidecar is the shared Envoy: running when its outbound listener for this pod accepts connections."""
        state.state = {"running": {"startedAt": timestamp(self.kubelet.now())}}
        state.started, state.containerID = True, f"lab://{self.uid}"
        log = Log(self.log_path(state.name, 0))
        log.write("stdout", SIDECAR_SAYS)
        log.close()
        probe = {"tcpSocket": {"port": OUTBOUND_PORT}, "periodSeconds": 2}
        prober = Prober(container, listen_address(self.pod, self.place), self._no_exec, self.kubelet.http)
        async for verdict in watch(prober, probe, impatient=True):
            self._set_ready(state, verdict.good)

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
        """The preStop hook, SIGTERM, SIGKILL: all within the pod's grace period, or at once if it was cut short."""
        hook = ((self.container(name) or {}).get("lifecycle") or {}).get("preStop") or {}
        began, grace = time.monotonic(), self._grace
        if hook and grace:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pre_stop(name, hook), grace)
        stopping = asyncio.ensure_future(run.stop(max(0.0, grace - (time.monotonic() - began))))
        hurried = asyncio.ensure_future(self.hurry.wait())
        await asyncio.wait([stopping, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopping.done():
            await run.stop(0)
        await stopping

    async def _pre_stop(self, name: str, hook: Obj) -> None:
        if "exec" in hook:
            code, output = await self.kubelet.run_in(self, name, hook["exec"]["command"])
            why = f"command exited with {code}: {output}" if code else None
        elif "httpGet" in hook:
            container = self.container(name) or {}
            prober = Prober(container, listen_address(self.pod, self.place), self._no_exec, self.kubelet.http)
            why = await prober.once(hook | {"timeoutSeconds": self._grace})
        else:
            await asyncio.sleep((hook.get("sleep") or {}).get("seconds", 0))
            why = None
        if why:
            self._tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {why}")

    # -- telling

    @property
    def _key(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    @property
    def _full_name(self) -> str:
        meta = self.pod["metadata"]
        return f"{meta['name']}_{meta['namespace']}({self.uid})"

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
