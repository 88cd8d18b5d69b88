"""The node of the lab: gives each new pod an address and a worker, and implements `Node` for the API server.

I/O: the store, processes (through its workers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import aiohttp

from canary_tutorial.lab.contracts import Session
from canary_tutorial.lab.errors import ApiError, BadRequest, InternalError
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import CONFIGMAPS, NODES, PODS, SECRETS, SERVICEACCOUNTS
from canary_tutorial.lab.kubelet import heartbeat
from canary_tutorial.lab.kubelet.environment import Find
from canary_tutorial.lab.kubelet.programs import exec_words, listen_address
from canary_tutorial.lab.kubelet.reading import explained, without_nulls
from canary_tutorial.lab.kubelet.sandbox import Sandbox
from canary_tutorial.lab.kubelet.scrape_targets import write_targets
from canary_tutorial.lab.kubelet.sessions import Attachment, ProcessSession
from canary_tutorial.lab.kubelet.worker import Worker
from canary_tutorial.lab.machine.network import MOST_PODS, pod_address, resolver
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Event, Store
from canary_tutorial.lab.tokens import Tokens

NODE = "lab"
MOST_OUTPUT = 10 * 1024  # bytes of what a probe or hook says that are kept, as in Kubernetes
LONGEST_SHOWN = 200  # characters of a program's name in a message
AGAIN = 5.0  # seconds until what could not be written is tried again

log = logging.getLogger(__name__)


class Kubelet:
    """Runs the pods of one lab. `kubeconfig` makes a kubeconfig for a token."""

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
        self._issued: dict[tuple[str, str, str], str] = {}  # the tokens of pods, by account
        self._addresses: dict[str, str] = {}  # address -> uid of the pod that has it
        self._next_address = 0  # the number of the one that is tried first
        self._ending = False
        self._writing_targets: asyncio.TimerHandle | None = None
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), auto_decompress=False
        )

    def start(self) -> None:
        """Register the node and look after the pods from now on."""
        write_targets(self.directory, ())
        node = self.store.create(NODES, heartbeat.node(NODE, self.now()))
        said = f"Node {NODE} event: Registered Node {NODE} in Controller"
        asyncio.get_running_loop().call_soon(  # there is no namespace yet
            self.recorder.record, node, "Normal", "RegisteredNode", said, "node-controller"
        )
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
        elif event.type != "DELETED" and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            asyncio.get_running_loop().call_soon(self._bind, pod)

    def _on_content(self, event: Event) -> None:
        """A ConfigMap or Secret is there, or other than it was, while the pods that mount it run or wait for it."""
        if event.type != "DELETED":  # what is mounted stays, as in Kubernetes
            meta = event.object["metadata"]
            for worker in list(self._workers.values()):
                if worker.pod["metadata"]["namespace"] == meta["namespace"] and meta["name"] in worker.names:
                    worker.refresh_volumes()

    def _write_targets(self) -> None:
        self._writing_targets = None
        try:
            write_targets(self.directory, self.store.list(PODS))
        except OSError as error:
            log.warning("what Prometheus may scrape cannot be written: %s", error)
            self._writing_targets = asyncio.get_running_loop().call_later(AGAIN, self._write_targets)

    def _bind(self, pod: Obj) -> None:
        """Schedule a pod onto this node, the only one."""
        meta = pod["metadata"]
        current = self.store.find(PODS, meta["name"], meta["namespace"])
        if current is None or current["metadata"]["uid"] != meta["uid"] or meta["uid"] in self._workers or self._ending:
            return
        if "deletionTimestamp" in current["metadata"]:  # nothing of it runs here
            self._let_go(current)
            return
        address = self._address(meta["uid"])
        if address is None:
            text = "0/1 nodes are available: 1 Too many pods."
            self.recorder.record(pod, "Warning", "FailedScheduling", text, "default-scheduler")
            asyncio.get_running_loop().call_later(AGAIN, self._bind, pod)
            return

        def bind(pod: Obj) -> None:
            pod["spec"] = (pod.get("spec") or {}) | {"nodeName": NODE}

        try:
            bound = self.store.change(PODS, meta["name"], meta["namespace"], bind)
            self._workers[meta["uid"]] = Worker(self, bound, address)
        except ApiError:  # gone meanwhile
            self._addresses.pop(address, None)

    def _address(self, uid: str) -> str | None:
        """The next free address after the last one given: a fresh pod rarely gets the address of one just gone."""
        for number in range(self._next_address, self._next_address + MOST_PODS):
            address = pod_address(self._network, number % MOST_PODS)
            if address not in self._addresses:
                self._addresses[address], self._next_address = uid, number % MOST_PODS + 1
                return address
        return None

    def gone(self, pod: Sandbox) -> None:
        """A worker has ended: the pod may go."""
        self._workers.pop(pod.uid, None)
        self._addresses.pop(pod.place.ip, None)
        self._let_go(pod.pod)

    def _let_go(self, pod: Obj) -> None:
        meta = pod["metadata"]
        with contextlib.suppress(ApiError):
            self.store.delete(PODS, meta["name"], meta["namespace"], grace=0, uid=meta["uid"])

    # -- what pods take from the machine (place.py: Machine)

    def find(self, namespace: str) -> Find:
        kinds = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS}
        return lambda kind, name: without_nulls(self.store.find(kinds[kind], name, namespace))

    def token(self, pod: Obj) -> str:
        account = pod["spec"].get("serviceAccountName") or "default"
        namespace = pod["metadata"]["namespace"]
        found = self.store.find(SERVICEACCOUNTS, account, namespace)
        key = namespace, account, found["metadata"]["uid"] if found else ""
        if key not in self._issued or self._tokens.user(self._issued[key]) is None:
            self._issued[key] = self._tokens.issue(*key)
        return self._issued[key]

    def kubeconfig(self, pod: Obj) -> str:
        return self._kubeconfig(self.token(pod))

    # -- what the API server asks (contracts.py: Node)

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
        if not self._is_log(path) and not previous:
            path = worker.log_path(container, last)  # waiting to start again: what the last run said
        if self._is_log(path):
            return path
        if previous:
            raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
        reason = state.state.get("waiting", {}).get("reason", "ContainerCreating")
        why = "trying and failing to pull image" if "Image" in reason else reason
        raise BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {why}')

    def _is_log(self, path: Path) -> bool:
        """Whether it is a log, and not a link or a pipe that the container has laid in its place."""
        try:
            inside = path.parent.resolve() == self.directory.resolve() / path.parent.relative_to(self.directory)
            return inside and stat.S_ISREG(path.lstat().st_mode)
        except (OSError, ValueError):
            return False

    def container_running(self, pod: Obj, container: str) -> bool:
        worker = self._workers.get(pod["metadata"]["uid"])
        state = worker.state(container) if worker else None
        return bool(state and state.running)

    async def exec(self, pod: Obj, container: str, command: list[str], stdin: bool, tty: bool) -> Session:
        run = self._worker(pod).runs.get(container)
        if run is None:
            raise BadRequest(f'container not found ("{container}")')
        program = run.program
        name = command[0] if command else ""
        try:
            words = exec_words(program, command, self.directory / "bin")
            return await ProcessSession.start(words, program, stdin, tty)
        except (OSError, ValueError) as error:  # ValueError: a NUL, or a half of a character
            raise BadRequest(
                f"OCI runtime exec failed: exec failed: unable to start container process: exec: "
                f'"{name[:LONGEST_SHOWN]}": {_why(error)}'
            ) from error
        except Exception as error:
            log.exception("exec in %s", pod["metadata"]["name"])
            raise InternalError(f"Internal error occurred: {explained(error)}") from error

    async def attach(self, pod: Obj, container: str, stdin: bool, tty: bool) -> Session:
        run = self._worker(pod).runs.get(container)
        if run is None:
            raise BadRequest(f'container not found ("{container}")')
        return Attachment(run)

    async def run_in(self, pod: Sandbox, container: str, command: list[str]) -> tuple[int, str]:
        """Run a probe's or hook's command to its end: exit code, output."""
        session = await self.exec(pod.pod, container, command, stdin=False, tty=False)
        output = b""
        try:
            while chunk := await session.read():
                output += chunk[1][: MOST_OUTPUT - len(output)]
            return await session.wait(), output.decode(errors="replace").strip()
        finally:
            await session.kill()

    def _worker(self, pod: Obj) -> Worker:
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None:
            raise BadRequest(f'pod "{pod["metadata"]["name"]}" is not running')
        return worker


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "").lower() if isinstance(error, OSError) else "invalid argument"
