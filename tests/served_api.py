"""An API server over TLS with a fake node, as kubectl and the Python clients see it; `serve` runs one in a thread.

The fake node keeps the interface of `lab.node.Node`: "containers" are plain programs of this machine, logs are files
that a test writes, and every pod's address is 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from canary_tutorial.lab import kinds
from canary_tutorial.lab.api import make_app
from canary_tutorial.lab.api.access import default_roles
from canary_tutorial.lab.api.access.authorization import user_of
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import BadRequest
from canary_tutorial.lab.machine.certificates import make_ca_and_server_cert
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]
TOKEN = "a-token-of-this-test"
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: lab, cluster: {{server: "{server}", certificate-authority: "{ca}"}}}}]
users: [{{name: admin, user: {{token: {token}}}}}]
contexts: [{{name: lab, context: {{cluster: lab, user: admin}}}}]
current-context: lab
"""


class Program:
    """A `Session` around a subprocess."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.size: tuple[int, int] | None = None
        self._pieces: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._pump = asyncio.create_task(self._read_all())

    async def _read_all(self) -> None:
        async def copy(stream: asyncio.StreamReader | None, number: int) -> None:
            while stream and (data := await stream.read(65536)):
                await self._pieces.put((number, data))

        await asyncio.gather(copy(self.process.stdout, 1), copy(self.process.stderr, 2))
        await self._pieces.put(None)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._pieces.get()

    async def write(self, data: bytes) -> None:
        if self.process.stdin:
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    async def close_stdin(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()

    async def resize(self, width: int, height: int) -> None:
        self.size = width, height

    async def wait(self) -> int:
        return await self.process.wait()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@dataclass
class FakeNode:
    directory: Path
    running: set[str] = field(default_factory=set)

    def log_path(self, pod: Obj, container: str, previous: bool = False) -> Path:
        path = self.directory / f"{pod['metadata']['name']}_{container}{'_previous' if previous else ''}.log"
        if not path.exists():
            raise BadRequest(f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start')
        return path

    def container_running(self, pod: Obj, container: str) -> bool:
        return container in self.running

    async def exec(self, pod: Obj, container: str, command: list[str], stdin: bool, tty: bool) -> Program:
        pipe, stdin_pipe = asyncio.subprocess.PIPE, asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
        try:
            made = await asyncio.create_subprocess_exec(
                *command, stdin=stdin_pipe, stdout=pipe, stderr=pipe, cwd=self.directory
            )
        except OSError as exc:
            raise BadRequest(f'exec: "{command[0]}": {exc.strerror}') from None
        return Program(made)

    async def attach(self, pod: Obj, container: str, stdin: bool, tty: bool) -> Program:
        return await self.exec(pod, container, ["cat"], stdin, tty)

    def address(self, pod: Obj) -> str:
        return "127.0.0.1"


@dataclass
class Served:
    """A running API server: its address, its store (use `call` to touch it) and its node."""

    url: str
    directory: Path
    store: Store
    node: FakeNode
    loop: asyncio.AbstractEventLoop
    token: str = TOKEN

    def call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function in the server's thread, as the store belongs to it."""

        async def run() -> Any:
            return fn(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def http(self, method: str, path: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        """One plain request; header names are written with underscores."""
        given = {"Authorization": f"Bearer {self.token}"} | {
            key.replace("_", "-"): each for key, each in headers.items()
        }
        with httpx.Client(verify=ssl.create_default_context(cafile=self.ca), trust_env=False) as client:
            return client.request(method, self.url + path, content=body, headers=given, timeout=30)

    @property
    def ca(self) -> str:
        return str(self.directory / "ca.crt")

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def environment(self) -> dict[str, str]:
        """For kubectl: this server, and nothing kept outside the test's directory."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.directory), "KUBECONFIG": str(self.kubeconfig)}

    def pod(self, name: str, containers: tuple[str, ...] = ("app",), port: int = 9898, phase: str = "Running") -> Obj:
        """A pod as a kubelet would leave it."""
        spec = {"nodeName": "lab", "containers": [
            {"name": each, "image": "x", "ports": [{"containerPort": port, "name": "http"}]}
            for each in containers
        ]}  # fmt: skip
        ready = [{"type": each, "status": "True"} for each in ("ContainersReady", "Ready")]
        status = {"phase": phase, "podIP": "127.0.0.1", "conditions": ready,
                  "containerStatuses": [{"name": each, "ready": True, "restartCount": 0, "image": "x", "imageID": "",
                                         "state": {"running": {}}} for each in containers]}  # fmt: skip
        obj = {"metadata": {"name": name, "namespace": "test", "labels": {"app": name}}, "spec": spec, "status": status}
        return self.call(self.store.create, kinds.PODS, obj)


def user_behind(token: str) -> User | None:
    """The administrator's token, or a ServiceAccount's: `namespace/name`."""
    if token == TOKEN:
        return User("admin", groups=("system:masters", "system:authenticated"))
    namespace, slash, name = token.partition("/")
    return user_of(f"system:serviceaccount:{namespace}:{name}", []) if slash else None


class FakeAccounts:
    ALGORITHM = "none"

    def issue(self, namespace: str, account: str, *_: object) -> str:
        return f"{namespace}/{account}"

    def keys(self) -> dict[str, object]:
        return {"keys": []}


@contextmanager
def serve(directory: Path) -> Iterator[Served]:
    _, context = make_ca_and_server_cert(directory)
    ready = threading.Event()
    found: list[Served] = []

    async def run() -> None:
        store, node = Store(KINDS), FakeNode(directory)
        for namespace in ("default", "kube-system", "test"):
            store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
        default_roles.create(store)
        app = make_app(store, node, user_behind, accounts=FakeAccounts())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener, ssl_context=context).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        found.append(Served(url, directory, store, node, asyncio.get_running_loop()))
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    served = found[0]
    served.kubeconfig.write_text(KUBECONFIG.format(server=served.url, ca=served.ca, token=TOKEN))
    try:
        yield served
    finally:
        served.loop.call_soon_threadsafe(stop.set)
        thread.join(10)
