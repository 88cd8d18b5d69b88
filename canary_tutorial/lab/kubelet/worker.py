"""The life of one pod: address, volumes, init containers, containers with restarts, and its end.

Whatever is wrong with a pod is told as an Event and tried again, ever less often; the pod ends when somebody deletes it.

One asyncio task per pod and one per container. What they find goes into `ContainerState`s, from which the pod's status
is written (`status.py`); what people should know goes into Events. I/O: processes, files, the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import aiohttp

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.kubelet.logs import Log
from canary_tutorial.lab.kubelet.place import Machine, Place
from canary_tutorial.lab.kubelet.probes import Prober, watch
from canary_tutorial.lab.kubelet.probing import Probing
from canary_tutorial.lab.kubelet.programs import SIDECAR, listen_address, program_for
from canary_tutorial.lab.kubelet.reading import as_pod, explained, names_in, shortened
from canary_tutorial.lab.kubelet.run import Program, Run
from canary_tutorial.lab.kubelet.status import ContainerState, back_off, pod_status, terminated
from canary_tutorial.lab.kubelet.volumes import MountError, write_volumes
from canary_tutorial.lab.machine import files
from canary_tutorial.lab.machine.images import ImageError, find_image
from canary_tutorial.lab.machine.network import OUTBOUND_PORT
from canary_tutorial.lab.objects import Obj, timestamp
from canary_tutorial.lab.store import Store

PULL_BACK_OFF = 10.0  # seconds, doubled up to 300
FORGIVEN = 600.0  # seconds of running after which earlier crashes do not count any more
SLOWEST_TRY = 15.0  # seconds between tries to make what a container needs; a changed ConfigMap or Secret is one at once
SLOWEST_REFRESH = 60.0  # seconds between tries to bring a volume of a running pod up to date
BREATH = 0.1  # seconds at least between two tries, however often ConfigMaps change
LONGEST_GRACE = 1e9  # seconds; more is for ever as well, and no clock overflows
LONGEST_NAME = 200  # characters of a directory's name that the pod's own name may take
SIDECAR_SAYS = b"One Envoy serves all pods of the lab; its log: kubectl logs -n istio-system deployment/istiod"
Made = TypeVar("Made")

log = logging.getLogger(__name__)


class Host(Machine, Protocol):
    """What a worker asks of the kubelet."""

    store: Store
    recorder: Recorder
    http: aiohttp.ClientSession

    def now(self) -> datetime: ...

    def gone(self, worker: Worker) -> None:
        """The pod and all that it had are gone."""

    async def run_in(self, worker: Worker, container: str, command: list[str]) -> tuple[int, str]: ...


class Worker:
    """Runs one pod until it is deleted. Nothing that goes wrong with the pod ends it: it is said, and tried again."""

    def __init__(self, kubelet: Host, pod: Obj, ip: str) -> None:
        self.kubelet, self.pod, self.uid = kubelet, as_pod(pod), pod["metadata"]["uid"]
        meta, spec = self.pod["metadata"], self.pod["spec"]
        name = f"{meta['namespace']}_{meta['name']}"[:LONGEST_NAME].replace("/", "-")
        self.place = Place(ip, kubelet.directory / "pods" / f"{name}_{self.uid}")
        self._specs: tuple[list[Obj], list[Obj]] = spec.get("initContainers") or [], spec["containers"]
        self.init, self.states = ([_state(c, spec) for c in some] for some in self._specs)
        self.names = frozenset(names_in(spec))  # its ConfigMaps and Secrets are among them
        self.runs: dict[str, Run] = {}
        self.ending = asyncio.Event()
        self.hurry = asyncio.Event()  # no grace any more: `kubectl delete --force`
        self._mounted = False
        self._refreshing: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()  # a ConfigMap or Secret is other than it was: what failed may work now
        self.task = asyncio.create_task(self._live())

    # -- what others ask

    def container(self, name: str) -> Obj | None:
        return next((c for some in self._specs for c in some if c.get("name") == name), None)

    def state(self, name: str) -> ContainerState | None:
        return next((state for state in [*self.states, *self.init] if state.name == name), None)

    def log_path(self, container: str, run: int) -> Path:
        return self.place.directory / "logs" / f"{container}-{run}.log"

    def update(self, pod: Obj) -> None:
        """The pod's object has changed."""
        self.pod = as_pod(pod)
        if "deletionTimestamp" in self.pod["metadata"]:
            self.ending.set()
            if self.pod["metadata"].get("deletionGracePeriodSeconds") == 0:
                self.hurry.set()

    def refresh_volumes(self, again: float = 1.0) -> None:
        """A ConfigMap or Secret of the pod has changed; what cannot be written is tried again."""
        self._changed.set()
        if self._refreshing:
            self._refreshing.cancel()
            self._refreshing = None
        if not self._mounted or self.ending.is_set():
            return
        try:
            write_volumes(self.pod, self.place, self.kubelet)
        except MountError as error:
            self._tell("Warning", "FailedMount", str(error))
            later, again = min(again, SLOWEST_REFRESH), again * 2
            self._refreshing = asyncio.get_running_loop().call_later(later, self.refresh_volumes, again)

    # -- its life

    async def _live(self) -> None:
        try:
            text = f"Successfully assigned {self._key} to lab"
            self._tell("Normal", "Scheduled", text, component="default-scheduler")
            if await self._prepare_volumes():
                await self._until_ending(self._run_all())
            await self.ending.wait()  # a pod that ran to its end stays until somebody deletes it
            await self._stop_all()
        except Exception:  # only a fault of ours
            log.exception("pod %s", self._key)
            await self.ending.wait()
        finally:
            try:
                await self._leave_nothing()
            finally:
                self.kubelet.gone(self)

    async def _leave_nothing(self) -> None:
        if self._refreshing:
            self._refreshing.cancel()
        for run in list(self.runs.values()):
            await run.stop(0)
        try:
            await asyncio.to_thread(self._remove_directory)
        except OSError as error:
            log.warning("%s stays behind: %s", self.place.directory, error)

    def _remove_directory(self) -> None:
        with files.directory(self.kubelet.directory, "pods") as pods:
            files.remove(pods, self.place.directory.name)

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
        """Make the volumes; try again until that works, or the pod is to end."""
        pause = 1.0
        while not self.ending.is_set():
            self._changed.clear()
            try:
                await in_thread(lambda: write_volumes(self.pod, self.place, self.kubelet))
            except Exception as error:
                text = str(error) if isinstance(error, MountError) else str(MountError("", error))
                self._tell("Warning", "FailedMount", text)
                self.report()
                await self._wait_for_change(pause)
                pause = min(pause * 2, SLOWEST_TRY)
            else:
                self._mounted = True
                if self._changed.is_set():
                    self.refresh_volumes()
                self.report()
                return True
        return False

    async def _wait_for_change(self, seconds: float) -> None:
        """Until what the pod needs may be there, or the pod is to end."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._changed, self.ending)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._changed.is_set():
            await asyncio.sleep(BREATH)

    async def _run_all(self) -> None:
        init, containers = self._specs
        for container, state in zip(init, self.init, strict=True):
            await self._run_container(container, state, init=True)
            if not (state.terminated and state.terminated["exitCode"] == 0):
                return
        async with asyncio.TaskGroup() as group:
            for container, state in zip(containers, self.states, strict=True):
                group.create_task(self._run_container(container, state))

    async def _run_container(self, container: Obj, state: ContainerState, init: bool = False) -> None:
        run = self._run_sidecar if state.name == SIDECAR else self._run_once
        policy = self.pod["spec"].get("restartPolicy", "Always")
        policy = "OnFailure" if init and policy == "Always" else policy
        crashes = 0
        while True:
            began = time.monotonic()
            try:
                code = await run(container, state)
            except Exception as error:  # whatever it is: a crash like any other
                log.exception("container %s of pod %s", state.name, self._key)
                code = self._never_ran(state, error)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            crashes = 0 if time.monotonic() - began > FORGIVEN else crashes
            await self._back_off(state, back_off(crashes))
            crashes += 1
            state.restartCount += 1

    def _never_ran(self, state: ContainerState, error: Exception) -> int:
        """Say why a container did not start; its exit code."""
        why = f"failed to start container {state.name!r}: {explained(error)}"
        state.ready = state.started = False
        state.state = terminated(128, timestamp(self.kubelet.now()), self.kubelet.now(), "", "StartError")
        state.state["terminated"]["message"] = why
        self._tell("Warning", "Failed", f"Error: {why}")
        self.report()
        return 128

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
        program = await self._prepare(container, state)
        self._tell("Normal", "Created", f"Created container: {state.name}")
        began = timestamp(self.kubelet.now())
        try:
            run = await Run.start(program, self.log_path(state.name, state.restartCount), self.kubelet.directory)
        except Exception as error:
            return self._never_ran(state, error)
        self.runs[state.name] = run
        watchers: list[asyncio.Task[None]] = []
        try:
            state.state, state.containerID = {"running": {"startedAt": began}}, run.id
            self._tell("Normal", "Started", f"Started container {state.name}")
            watchers = self._probe(container, state, run)
            self.report()
            code = await run.wait()
        except Exception:
            await run.stop(0)  # it starts again, and two of it would be one too many
            raise
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
        image, pause = container.get("image", ""), PULL_BACK_OFF
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

    async def _prepare(self, container: Obj, state: ContainerState) -> Program:
        """What to run; while that cannot be said, why, and another try."""
        for attempt in itertools.count():
            self._changed.clear()
            try:
                return await in_thread(lambda: program_for(self.pod, container, self.place, self.kubelet))
            except Exception as error:
                text = explained(error)
                state.state = {"waiting": {"reason": "CreateContainerConfigError", "message": text}}
                self._tell("Warning", "Failed", f"Error: {text}")
                self.report()
                await self._wait_for_change(min(2.0 * 2 ** min(attempt, 9), SLOWEST_TRY))
        raise AssertionError  # one counts for ever

    def _probe(self, container: Obj, state: ContainerState, run: Run) -> list[asyncio.Task[None]]:
        """Start the probes of a run."""

        async def in_container(command: list[str]) -> tuple[int, str]:
            return await self.kubelet.run_in(self, state.name, command)

        async def stop() -> None:
            await self._stop(state.name, run)

        prober = Prober(container, listen_address(self.pod, self.place), in_container, self.kubelet.http)
        return Probing(container, state, prober, self._tell, self.report, stop).start()

    async def _run_sidecar(self, container: Obj, state: ContainerState) -> int:
        """The sidecar is the shared Envoy: running when its outbound listener for this pod accepts connections."""
        state.state = {"running": {"startedAt": timestamp(self.kubelet.now())}}
        state.started, state.containerID = True, f"lab://{self.uid}"
        written = Log(self.log_path(state.name, 0), self.kubelet.directory)
        written.write("stdout", SIDECAR_SAYS)
        written.close()
        probe = {"tcpSocket": {"port": OUTBOUND_PORT}, "periodSeconds": 2}
        prober = Prober(container, listen_address(self.pod, self.place), self._no_exec, self.kubelet.http)
        async for verdict in watch(prober, probe, impatient=True):
            if state.ready != verdict.good:
                state.ready = verdict.good
                self.report()
        return 0

    async def _no_exec(self, command: list[str]) -> tuple[int, str]:
        return 1, "the sidecar runs no commands"

    # -- its end

    @property
    def _grace(self) -> float:
        meta = self.pod["metadata"]
        asked = meta.get("deletionGracePeriodSeconds")
        wanted = asked if asked is not None else self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return min(max(float(wanted), 0.0), LONGEST_GRACE)

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
            try:
                await asyncio.wait_for(self._pre_stop(name, hook), grace)
            except TimeoutError:
                pass
            except Exception as error:  # the hook's fault is no reason not to stop
                self._tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {explained(error)}")
        stopping = asyncio.ensure_future(run.stop(max(0.0, grace - (time.monotonic() - began))))
        hurried = asyncio.ensure_future(self.hurry.wait())
        await asyncio.wait([stopping, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopping.done():
            await run.stop(0)
        await stopping

    async def _pre_stop(self, name: str, hook: Obj) -> None:
        if "exec" in hook:
            code, output = await self.kubelet.run_in(self, name, hook["exec"].get("command") or [])
            why = f"command exited with {code}: {output}" if code else None
        elif "httpGet" in hook:
            container = self.container(name) or {}
            prober = Prober(container, listen_address(self.pod, self.place), self._no_exec, self.kubelet.http)
            why = await prober.once(hook | {"timeoutSeconds": self._grace})
        else:
            await asyncio.sleep((hook.get("sleep") or {}).get("seconds") or 0)
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
        self.kubelet.recorder.record(self.pod, type_, reason, shortened(message), component)

    def report(self) -> None:
        """Write the pod's status."""
        name, namespace = self.pod["metadata"]["name"], self.pod["metadata"]["namespace"]

        def write(pod: Obj) -> None:
            if pod["metadata"]["uid"] == self.uid:
                pod["status"] = pod_status(as_pod(pod), self.init, self.states, self.place.ip, self.kubelet.now())

        with contextlib.suppress(ApiError):
            self.kubelet.store.change(PODS, name, namespace, write, "status")


def _state(container: Obj, spec: Obj) -> ContainerState:
    reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    return ContainerState(container.get("name", ""), container.get("image", ""), {"waiting": {"reason": reason}})


async def in_thread(make: Callable[[], Made]) -> Made:
    """Make something where it holds nobody up; who is cancelled meanwhile waits until that thread writes no more."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await asyncio.wait([making])
        making.exception()  # nobody is left to be told, and asyncio would tell the log
        raise


def _seconds(pause: float) -> str:
    minutes, seconds = divmod(int(pause), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
