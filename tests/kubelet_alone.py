"""A kubelet with its store and the controllers, and no API server that would refuse a pod before the kubelet sees it.

Objects go straight into the store, as if an older API server had let them in. Runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary_tutorial.lab import kinds
from canary_tutorial.lab.api.checks.admission import admit
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.controllers.manager import Manager
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kubelet.kubelet import Kubelet
from canary_tutorial.lab.machine.images import write_programs
from canary_tutorial.lab.main import claim_network
from canary_tutorial.lab.store import Event, Store
from canary_tutorial.lab.tokens import Tokens

Obj = dict[str, Any]


@dataclass
class Alone:
    """The running kubelet; its store belongs to its own thread, so use `call` to touch it."""

    directory: Path
    loop: asyncio.AbstractEventLoop
    store: Store
    kubelet: Kubelet
    born: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # owner -> uids of its pods

    def call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def run() -> Any:
            return fn(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)

    def put(self, kind: kinds.Kind, name: str, **content: Any) -> Obj:
        """Create an object in the namespace test."""
        obj = {"metadata": {"name": name, "namespace": "test"}, **content}
        return self.call(self.store.create, kind, obj)  # type: ignore[no-any-return]

    def put_all(self, *objects: tuple[kinds.Kind, str, Obj]) -> None:
        """Create many at once: kind, name, content."""
        made = [(kind, {"metadata": {"name": name, "namespace": "test"}, **content}) for kind, name, content in objects]
        self.call(lambda: [self.store.create(kind, obj) for kind, obj in made])

    def change(self, kind: kinds.Kind, name: str, fn: Callable[[Obj], None]) -> None:
        self.call(self.store.change, kind, name, "test", fn)

    def delete(self, kind: kinds.Kind, name: str, **how: Any) -> None:
        self.call(self.store.delete, kind, name, "test", **how)

    def pod(self, name: str, spec: Obj) -> Obj:
        """A pod of its own."""
        return self.put(kinds.PODS, name, spec={"terminationGracePeriodSeconds": 0, **spec})

    def replicaset(self, name: str, spec: Obj) -> Obj:
        """A ReplicaSet that wants one pod."""
        return self.put(kinds.REPLICASETS, name, spec=wanting_one(name, spec))

    def pods_of(self, name: str) -> list[Obj]:
        return self.call(self.store.list, kinds.PODS, "test", {"app": name})  # type: ignore[no-any-return]

    def find(self, name: str) -> Obj | None:
        return self.call(self.store.find, kinds.PODS, name, "test")  # type: ignore[no-any-return]

    def ready(self, name: str) -> bool:
        conditions = ((self.find(name) or {}).get("status") or {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def events(self, uid: str) -> dict[str, str]:
        """reason -> message of the Warnings about an object."""
        found = self.call(self.store.list, kinds.EVENTS, "test")
        about = [e for e in found if e["involvedObject"].get("uid") == uid and e["type"] == "Warning"]
        return {event["reason"]: event["message"] for event in about}


def wanting_one(name: str, spec: Obj) -> Obj:
    """The spec of a ReplicaSet that wants one pod."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, **spec}}
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}


def eventually(check: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until `check` returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


@contextmanager
def alone(directory: Path) -> Iterator[Alone]:
    (directory / "lab").mkdir(mode=0o700)
    network, lock = claim_network()
    started, ending = threading.Event(), asyncio.Event()
    made: list[Alone] = []

    async def run() -> None:
        store = Store(KINDS)
        recorder = Recorder(store)
        write_programs(directory / "lab" / "bin")
        kubelet = Kubelet(
            store,
            recorder,
            directory / "lab",
            network,
            Tokens(),
            ("127.0.0.1", 1),
            "a-ca",
            lambda token: "a-kubeconfig",
        )
        Manager(store, recorder, admit)
        one = Alone(directory / "lab", asyncio.get_running_loop(), store, kubelet)
        store.subscribe(lambda event: note(one, event), kinds.PODS)
        kubelet.start()
        for namespace in ("test", "kube-node-lease"):
            store.create(kinds.NAMESPACES, {"metadata": {"name": namespace}})
        made.append(one)
        started.set()
        await ending.wait()
        await kubelet.stop()

    def note(one: Alone, event: Event) -> None:
        meta = event.object["metadata"]
        if event.type == "ADDED":
            one.born[next((o["name"] for o in meta.get("ownerReferences") or []), meta["name"])].append(meta["uid"])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield made[0]
    finally:
        made[0].loop.call_soon_threadsafe(ending.set)
        thread.join(30)
        lock.close()
    assert not thread.is_alive()
