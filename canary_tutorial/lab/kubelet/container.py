"""One container of a pod: pulls, starts, probes, restarts (CrashLoopBackOff) and stops it. I/O: processes, files."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time

from canary_tutorial.lab.kubelet.logs import Log
from canary_tutorial.lab.kubelet.probes import Exec, Prober, watch
from canary_tutorial.lab.kubelet.probing import Probing
from canary_tutorial.lab.kubelet.programs import listen_address, program_for
from canary_tutorial.lab.kubelet.reading import explained
from canary_tutorial.lab.kubelet.run import Program, Run
from canary_tutorial.lab.kubelet.sandbox import Sandbox, in_thread
from canary_tutorial.lab.kubelet.status import ContainerState, back_off, terminated
from canary_tutorial.lab.machine.images import ImageError, find_image
from canary_tutorial.lab.machine.network import OUTBOUND_PORT
from canary_tutorial.lab.objects import SIDECAR, Obj, timestamp

PULL_BACK_OFF = 10.0  # seconds, doubled up to 300
FORGIVEN = 600.0  # seconds of running after which earlier crashes do not count any more
SLOWEST_TRY = 15.0  # seconds between tries to make what a container needs; a changed ConfigMap or Secret is one at once
SIDECAR_SAYS = b"One Envoy serves all pods of the lab; its log: kubectl logs -n istio-system deployment/istiod"

log = logging.getLogger(__name__)


class Container:
    """Runs one container of a pod until it is done, or for as long as the pod lives."""

    def __init__(self, sandbox: Sandbox, spec: Obj, state: ContainerState) -> None:
        self.sandbox, self.spec, self.state = sandbox, spec, state
        self.kubelet, self.tell, self.report = sandbox.kubelet, sandbox.tell, sandbox.report

    async def run(self, init: bool = False) -> None:
        run = self._run_sidecar if self.state.name == SIDECAR else self._run_once
        policy = self.sandbox.pod["spec"].get("restartPolicy", "Always")
        policy = "OnFailure" if init and policy == "Always" else policy
        crashes = 0
        while True:
            began = time.monotonic()
            try:
                code = await run()
            except Exception as error:  # whatever it is: a crash like any other
                log.exception("container %s of pod %s", self.state.name, self.sandbox.key)
                code = self._never_ran(error)
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            crashes = 0 if time.monotonic() - began > FORGIVEN else crashes
            await self._back_off(back_off(crashes))
            crashes += 1
            self.state.restartCount += 1

    def _never_ran(self, error: Exception) -> int:
        """Say why a container did not start; its exit code."""
        why = f"failed to start container {self.state.name!r}: {explained(error)}"
        self.state.ready = self.state.started = False
        self.state.state = terminated(128, timestamp(self.kubelet.now()), self.kubelet.now(), "", "StartError")
        self.state.state["terminated"]["message"] = why
        self.tell("Warning", "Failed", f"Error: {why}")
        self.report()
        return 128

    async def _back_off(self, pause: float) -> None:
        """Wait before a container starts again, and say so."""
        self.state.lastState = self.state.state
        if not pause:
            return
        which = f"container={self.state.name} pod={self.sandbox.full_name}"
        message = f"back-off {_seconds(pause)} restarting failed {which}"
        self.state.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self.report()
        text = f"Back-off restarting failed container {self.state.name} in pod {self.sandbox.full_name}"
        self.tell("Warning", "BackOff", text)
        await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        """Pull, start, watch, until the process ends."""
        await self._pull()
        program = await self._prepare()
        self.tell("Normal", "Created", f"Created container: {self.state.name}")
        began = timestamp(self.kubelet.now())
        path = self.sandbox.log_path(self.state.name, self.state.restartCount)
        try:
            run = await Run.start(program, path, self.kubelet.directory)
        except Exception as error:
            return self._never_ran(error)
        self.sandbox.runs[self.state.name] = run
        watchers: list[asyncio.Task[None]] = []
        try:
            self.state.state, self.state.containerID = {"running": {"startedAt": began}}, run.id
            self.tell("Normal", "Started", f"Started container {self.state.name}")
            watchers = self._probe(run)
            self.report()
            code = await run.wait()
        except Exception:
            await run.stop(0)  # it starts again, and two of it would be one too many
            raise
        finally:
            for watcher in watchers:
                watcher.cancel()
        self.state.ready = self.state.started = False
        self.state.state = terminated(code, began, self.kubelet.now(), run.id)
        self.sandbox.runs.pop(self.state.name, None)
        self.report()
        return code

    async def _pull(self) -> None:
        """An image of the table is there at once; for any other, Kubernetes' pull errors and back-off."""
        image, pause = self.spec.get("image", ""), PULL_BACK_OFF
        while True:
            try:
                find_image(image)
            except ImageError as error:
                self.tell("Normal", "Pulling", f'Pulling image "{image}"')
                self.tell("Warning", "Failed", str(error))
                self.tell("Warning", "Failed", "Error: ErrImagePull")
                self.state.state = {"waiting": {"reason": "ErrImagePull", "message": str(error)}}
                self.report()
                await asyncio.sleep(1)
                text = f'Back-off pulling image "{image}"'
                self.state.state = {"waiting": {"reason": "ImagePullBackOff", "message": text}}
                self.tell("Normal", "BackOff", text)
                self.tell("Warning", "Failed", "Error: ImagePullBackOff")
                self.report()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 300)
            else:
                text = f'Container image "{image}" already present on machine'
                self.tell("Normal", "Pulled", text)
                return

    async def _prepare(self) -> Program:
        """What to run; while that cannot be said, why, and another try."""
        for attempt in itertools.count():
            self.sandbox.changed.clear()
            try:
                return await in_thread(
                    lambda: program_for(self.sandbox.pod, self.spec, self.sandbox.place, self.kubelet)
                )
            except Exception as error:
                text = explained(error)
                self.state.state = {"waiting": {"reason": "CreateContainerConfigError", "message": text}}
                self.tell("Warning", "Failed", f"Error: {text}")
                self.report()
                await self.sandbox.wait_for_change(min(2.0 * 2 ** min(attempt, 9), SLOWEST_TRY))
        raise AssertionError  # one counts for ever

    def _probe(self, run: Run) -> list[asyncio.Task[None]]:
        """Start the probes of a run."""

        async def in_container(command: list[str]) -> tuple[int, str]:
            return await self.kubelet.run_in(self.sandbox, self.state.name, command)

        async def stop() -> None:
            await self.stop(run)

        prober = self._prober(in_container)
        return Probing(self.spec, self.state, prober, self.tell, self.report, stop).start()

    async def _run_sidecar(self) -> int:
        """The sidecar is the shared Envoy: running when its outbound listener for this pod accepts connections."""
        self.state.state = {"running": {"startedAt": timestamp(self.kubelet.now())}}
        self.state.started, self.state.containerID = True, f"lab://{self.sandbox.uid}"
        written = Log(self.sandbox.log_path(self.state.name, 0), self.kubelet.directory)
        written.write("stdout", SIDECAR_SAYS)
        written.close()
        probe = {"tcpSocket": {"port": OUTBOUND_PORT}, "periodSeconds": 2}
        prober = self._prober(self._no_exec)
        async for verdict in watch(prober, probe, impatient=True):
            if self.state.ready != verdict.good:
                self.state.ready = verdict.good
                self.report()
        return 0

    def _prober(self, run_command: Exec) -> Prober:
        address = listen_address(self.sandbox.pod, self.sandbox.place)
        return Prober(self.spec, address, run_command, self.kubelet.http)

    async def _no_exec(self, command: list[str]) -> tuple[int, str]:
        return 1, "the sidecar runs no commands"

    async def stop(self, run: Run) -> None:
        """The preStop hook, SIGTERM, SIGKILL: all within the pod's grace period, or at once if it was cut short."""
        hook = (self.spec.get("lifecycle") or {}).get("preStop") or {}
        began, grace = time.monotonic(), self.sandbox.grace
        if hook and grace:
            try:
                await asyncio.wait_for(self._pre_stop(hook), grace)
            except TimeoutError:
                pass
            except Exception as error:  # the hook's fault is no reason not to stop
                self.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {explained(error)}")
        stopping = asyncio.ensure_future(run.stop(max(0.0, grace - (time.monotonic() - began))))
        hurried = asyncio.ensure_future(self.sandbox.hurry.wait())
        await asyncio.wait([stopping, hurried], return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not stopping.done():
            await run.stop(0)
        await stopping

    async def _pre_stop(self, hook: Obj) -> None:
        if "exec" in hook:
            code, output = await self.kubelet.run_in(self.sandbox, self.state.name, hook["exec"].get("command") or [])
            why = f"command exited with {code}: {output}" if code else None
        elif "httpGet" in hook:
            prober = self._prober(self._no_exec)
            why = await prober.once(hook | {"timeoutSeconds": self.sandbox.grace})
        else:
            await asyncio.sleep((hook.get("sleep") or {}).get("seconds") or 0)
            why = None
        if why:
            self.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {why}")


def _seconds(pause: float) -> str:
    minutes, seconds = divmod(int(pause), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
