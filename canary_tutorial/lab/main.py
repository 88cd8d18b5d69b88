"""The lab's main process: creates store, controllers, kubelet and API server, and connects them. I/O: all of it starts here."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml
from aiohttp import web

from canary_tutorial.lab.api import make_app
from canary_tutorial.lab.api.access import default_roles
from canary_tutorial.lab.api.checks.admission import admit
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.controllers.manager import Manager
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import NAMESPACES, SERVICEACCOUNTS, SERVICES
from canary_tutorial.lab.kubelet.kubelet import Kubelet
from canary_tutorial.lab.machine.certificates import make_ca_and_server_cert
from canary_tutorial.lab.machine.files import write_below
from canary_tutorial.lab.machine.guard import end_all_descendants
from canary_tutorial.lab.machine.images import write_programs
from canary_tutorial.lab.machine.network import NETWORKS, lock_address, service_addresses
from canary_tutorial.lab.machine.processes import no_inotify
from canary_tutorial.lab.machine.state import Lab, StateError, say_why, write
from canary_tutorial.lab.store import Event, Store
from canary_tutorial.lab.tokens import Tokens

VERSION = "v1.32.4"
NAMESPACES_AT_START = ("default", "kube-system", "kube-public", "kube-node-lease")


def claim_network() -> tuple[int, socket.socket]:
    """The first network that no other lab on this machine has; it is ours while the socket is open."""
    for network in NETWORKS:
        lock = socket.socket()
        try:
            lock.bind(lock_address(network))
            lock.listen(1)
        except OSError:
            lock.close()
        else:
            return network, lock
    raise StateError("Every loopback network is taken by another lab: end one of them with canary-tutorial down.")


def kubeconfig(server: str, ca: str, token: str, name: str) -> str:
    """A kubeconfig with one context."""
    encoded = base64.b64encode(ca.encode()).decode()
    context = f"canary-tutorial-{name}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority-data": encoded}}],
            "users": [{"name": context, "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": "default"}}],
            "current-context": context,
        }
    )


async def serve(name: str, directory: Path, port: int = 0) -> None:
    """Run the lab until a signal ends it, and this process with it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    network, lock = claim_network()
    tokens = Tokens()
    ca, context = make_ca_and_server_cert(directory)
    missing = write_programs(directory / "bin")
    listener = socket.create_server(("127.0.0.1", port), reuse_port=False, backlog=512)
    host, port = listener.getsockname()
    server = f"https://{host}:{port}"

    def config(token: str) -> str:
        return kubeconfig(server, ca, token, name)

    store = Store(KINDS)
    store.subscribe(revoking(tokens), SERVICEACCOUNTS)
    recorder = Recorder(store)
    kubelet = Kubelet(store, recorder, directory, network, tokens, (host, port), ca, config)
    Manager(store, recorder, admit, ca, lambda: service_addresses(network))
    kubelet.start()
    for namespace in NAMESPACES_AT_START:
        labels = {"kubernetes.io/metadata.name": namespace}
        store.create(NAMESPACES, {"metadata": {"name": namespace, "labels": labels}})
    default_roles.create(store)
    store.create(SERVICES, _api_service(port))
    app = make_app(store, kubelet, tokens.user, VERSION, tokens, lambda: service_addresses(network))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=context).start()
    write_below(directory, "kubeconfig", config(tokens.admin))
    guard = os.getppid()
    started = psutil.Process(guard).create_time()
    warnings = [*missing.values(), no_inotify()]
    write(directory, Lab(name, server, network, guard, os.getpid(), started, tuple(filter(None, warnings))))
    logging.info("lab %s is ready at %s, network 127.%s.0.0/16", name, server, network)
    await ending.wait()
    logging.info("ending")
    await asyncio.wait([asyncio.create_task(kubelet.stop())], timeout=5)
    # At once, whoever still watches or follows a log: their tasks and threads may not keep a lab alive, least of all
    # where the guard is gone, which would end what is left.
    end_all_descendants()
    lock.close()
    os._exit(0)


def revoking(tokens: Tokens) -> Callable[[Event], None]:
    """What takes an account's token away when the account goes."""

    def hear(event: Event) -> None:
        meta = event.object["metadata"]
        if event.type == "DELETED":
            tokens.revoke(meta["namespace"], meta["name"])

    return hear


def _api_service(port: int) -> dict[str, object]:
    return {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver"}},
        "spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
    }


def main(name: str, directory: str, port: int = 0) -> int:
    """The entry point of the main process (started by the guard)."""
    if sys.version_info < (3, 12):  # one thread per child is the default there; pidfd needs none
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        asyncio.run(serve(name, Path(directory), port))
    except (StateError, OSError) as error:
        say_why(Path(directory), str(error))
        logging.error("%s", error)
        return 1
    return 0
