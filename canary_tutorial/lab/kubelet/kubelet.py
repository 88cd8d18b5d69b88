"""The node of the lab: gives each new pod an address and a worker, and answers the API server's questions (`Node`).

I/O: the store, processes (through its workers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import aiohttp

from canary_tutorial.lab.controllers.events import Recorder
from canary_tutorial.lab.errors import ApiError, BadRequest
from canary_tutorial.lab.kinds import CONFIGMAPS, NODES, PODS, SECRETS
from canary_tutorial.lab.kubelet import heartbeat
from canary_tutorial.lab.kubelet.discovery import write_targets
from canary_tutorial.lab.kubelet.environment import Find, mounts, relocate
from canary_tutorial.lab.kubelet.pods import container_environment, find_in, listen_address
from canary_tutorial.lab.kubelet.sessions import Attachment, ProcessSession
from canary_tutorial.lab.kubelet.worker import Worker
from canary_tutorial.lab.network import pod_addresses, resolver
from canary_tutorial.lab.node import Session
from canary_tutorial.lab.store import Event, Obj, Store
from canary_tutorial.lab.tokens import Tokens

NODE = "lab"


class Kubelet:
    """Runs the pods of one lab. `kubeconfig` makes a kubeconfig for a token."""

    log = logging.getLogger(__name__)

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        directory: Path,
        network: int,
        tokens: Tokens,
        server: tuple[str, int],
        ca: str,
        kubeconfig: Callable[[str], str],
    ) -> None:
        self.store, self.recorder, self.directory = store, recorder, directory
        self.resolver, self.server, self.ca = resolver(network), server, ca
        self._network, self._tokens, self._kubeconfig = network, tokens, kubeconfig
        self._workers: dict[str, Worker] = {}
        self._addresses: dict[str, str] = {}  # address -> uid of the pod that has it
        self._last_address = ""
        self._ending = False
        self._writing_targets: asyncio.TimerHandle | None = None
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), auto_decompress=False
        )

    def start(self) -> None:
        """Register the node and look after the pods from now on."""
        write_targets(self.directory, ())
        self.store.create(NODES, heartbeat.node(NODE, self.now()))
        self.store.subscribe(self._on_pod, PODS)
        self.store.subscribe(self._on_content, CONFIGMAPS)
        self.store.subscribe(self._on_content, SECRETS)
        self._beating = asyncio.get_running_loop().create_task(heartbeat.beat(self.store, NODE))

    async def stop(self) -> None:
        """End every pod, at once. The controllers will want new ones: those do not start any more."""
        self._ending = True
        self._beating.cancel()
        for worker in list(self._workers.values()):
            worker.task.cancel()
        await asyncio.gather(*(w.task for w in list(self._workers.values())), return_exceptions=True)
        await self.http.close()

    def now(self) -> datetime:
        return self.store.now()

    # -- pods

    def _on_pod(self, event: Event) -> None:
        pod = event.object
        uid = pod["metadata"]["uid"]
        if not self._writing_targets:
            self._writing_targets = asyncio.get_running_loop().call_later(0.1, self._write_targets)
        worker = self._workers.get(uid)
        if worker:
            worker.update(pod)
            if event.type == "DELETED":
                worker.ending.set()
        elif event.type != "DELETED" and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            asyncio.get_running_loop().call_soon(self._bind, pod)

    def _on_content(self, event: Event) -> None:
        """A mounted ConfigMap or Secret changes while its pods run."""
        if event.type == "MODIFIED":
            for worker in self._workers.values():
                if worker.pod["metadata"]["namespace"] == event.object["metadata"]["namespace"]:
                    worker.refresh_volumes()

    def _write_targets(self) -> None:
        self._writing_targets = None
        write_targets(self.directory, self.store.list(PODS))

    def _bind(self, pod: Obj) -> None:
        """Schedule a pod onto this node, the only one."""
        meta = pod["metadata"]
        current = self.store.find(PODS, meta["name"], meta["namespace"])
        if current is None or current["metadata"]["uid"] != meta["uid"] or meta["uid"] in self._workers or self._ending:
            return
        address = self._address(meta["uid"])
        with contextlib.suppress(ApiError):
            bound = self.store.change(
                PODS, meta["name"], meta["namespace"], lambda p: p["spec"].__setitem__("nodeName", NODE)
            )
            self._workers[meta["uid"]] = Worker(self, bound, address)

    def _address(self, uid: str) -> str:
        """The next free address after the last one given: a fresh pod rarely gets the address of one just gone."""
        addresses = list(pod_addresses(self._network))
        start = addresses.index(self._last_address) + 1 if self._last_address else 0
        free = next(a for a in addresses[start:] + addresses[:start] if a not in self._addresses)
        self._addresses[free], self._last_address = uid, free
        return free

    def gone(self, worker: Worker) -> None:
        """A worker has ended: the pod may go."""
        self._workers.pop(worker.uid, None)
        self._addresses.pop(worker.place.ip, None)
        meta = worker.pod["metadata"]
        with contextlib.suppress(ApiError):
            self.store.delete(PODS, meta["name"], meta["namespace"], grace=0, uid=worker.uid)

    # -- what pods take from the machine (kubelet/pods.py: Machine)

    def find(self, namespace: str) -> Find:
        kinds = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS}
        return lambda kind, name: self.store.find(kinds[kind], name, namespace)

    def token(self, pod: Obj) -> str:
        account = pod["spec"].get("serviceAccountName") or "default"
        return self._tokens.issue(pod["metadata"]["namespace"], account)

    def kubeconfig(self, pod: Obj) -> str:
        return self._kubeconfig(self.token(pod))

    # -- what the API server asks (node.py: Node)

    def address(self, pod: Obj) -> str:
        worker = self._worker(pod)
        return listen_address(worker.pod, worker.place)

    def log_path(self, pod: Obj, container: str, previous: bool = False) -> Path:
        name = pod["metadata"]["name"]
        worker = self._workers.get(pod["metadata"]["uid"])
        state = worker.state(container) if worker else None
        if worker is None or state is None:
            raise BadRequest(f'container "{container}" in pod "{name}" is not available')
        last = state.restartCount - (0 if "waiting" in state.state and state.lastState else 1)
        run = last if previous else state.restartCount
        path = worker.log_path(container, run)
        if not path.exists() and not previous:
            path = worker.log_path(container, last)  # waiting to start again: what the last run said
        if path.exists():
            return path
        if previous:
            raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
        reason = state.state.get("waiting", {}).get("reason", "ContainerCreating")
        why = "trying and failing to pull image" if "Image" in reason else reason
        raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {why}')

    def container_running(self, pod: Obj, container: str) -> bool:
        worker = self._workers.get(pod["metadata"]["uid"])
        state = worker.state(container) if worker else None
        return bool(state and state.running)

    async def exec(self, pod: Obj, container: str, command: list[str], stdin: bool, tty: bool) -> Session:
        worker = self._worker(pod)
        spec = worker.container(container)
        if spec is None or container not in worker.runs:
            raise BadRequest(f'container not found ("{container}")')
        environment = container_environment(worker.pod, spec, worker.place, self)
        where = mounts(spec, worker.place.directory / "volumes")
        words = [find_in(self.directory / "bin", command[0]), *(relocate(word, where) for word in command[1:])]
        directory = worker.runs[container].program.directory
        try:
            return await ProcessSession.start(words, environment, directory, stdin, tty)
        except OSError as error:
            raise BadRequest(
                f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{command[0]}": '
                f"{(error.strerror or '').lower()}"
            ) from error

    async def attach(self, pod: Obj, container: str, stdin: bool, tty: bool) -> Session:
        run = self._worker(pod).runs.get(container)
        if run is None:
            raise BadRequest(f'container not found ("{container}")')
        return Attachment(run)

    async def run_in(self, worker: Worker, container: str, command: list[str]) -> tuple[int, str]:
        """Run a probe's or hook's command to its end: exit code, output."""
        session = await self.exec(worker.pod, container, command, stdin=False, tty=False)
        output = b""
        try:
            while chunk := await session.read():
                output += chunk[1]
            return await session.wait(), output.decode(errors="replace").strip()
        finally:
            await session.kill()

    def _worker(self, pod: Obj) -> Worker:
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None:
            raise BadRequest(f'pod "{pod["metadata"]["name"]}" is not running')
        return worker
