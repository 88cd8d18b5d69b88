"""An API server that is busy, cut off or just starting: Flagger and the mesh ask again, as client-go does."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.kube import Kube, connection

Obj = dict[str, Any]
LIST = {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": []}


class Server:
    """Answers from a plan: a status with headers, or "cut" for a connection that is closed; then 200 for ever."""

    def __init__(self) -> None:
        self.plan: list[Any] = []
        self.asked: list[tuple[str, str]] = []
        self.events: list[Obj] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.asked.append((self.command, self.path))
                step = server.plan.pop(0) if server.plan else 200
                if step == "cut":
                    self.close_connection = True
                    return
                code, headers = step if isinstance(step, tuple) else (step, {})
                self.reply(code, headers, body)

            def reply(self, code: int, headers: dict[str, str], body: bytes) -> None:
                found: Any = LIST if self.command == "GET" else json.loads(body or b"{}")
                if "watch" in self.path and code == 200:
                    found = None
                if self.path.endswith("/flagger-leader-election"):
                    found = {**OBJECT, "spec": None}
                if self.path == "/version":
                    found = {"gitVersion": "v1.32.4"}
                if code >= 400:
                    found = {"kind": "Status", "status": "Failure", "code": code, "message": f"answered {code}"}
                lines = server.events if found is None else [found]
                data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                self.send_response(code)
                for name, value in {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(data)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.handle_error = lambda *_: None  # a client that went away is no news
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses take a thousandth of their time; the list has those that were asked for."""
    asked: list[float] = []
    sleep = asyncio.sleep

    async def shorter(seconds: float, *more: Any) -> None:
        asked.append(seconds)
        await sleep(seconds / 1000, *more)

    monkeypatch.setattr(asyncio, "sleep", shorter)
    return asked


BUSY = (429, {"Retry-After": "1"})
OBJECT = {"metadata": {"name": "a", "namespace": "b"}}
CALLS: dict[str, Callable[[Kube], Any]] = {
    "get": lambda kube: kube.get("Deployment", "a", "b"),
    "list": lambda kube: kube.list("Canary", ""),
    "create": lambda kube: kube.create("Event", {**OBJECT, "message": "x"}),
    "update": lambda kube: kube.update("Lease", dict(OBJECT)),
    "patch": lambda kube: kube.patch("Deployment", "a", "b", {"spec": {"replicas": 0}}),
    "version": lambda kube: kube.version(),
}


def ask(server: Server, call: Callable[[Kube], Any]) -> Any:
    async def work() -> Any:
        kube = Kube(connection(master=server.url))
        try:
            return await call(kube)
        finally:
            await kube._client.close()

    return asyncio.run(work())


@pytest.mark.parametrize("call", ["create", "update", "patch"])
def test_what_is_written_has_flagger_as_its_field_manager(server: Server, call: str):
    ask(server, CALLS[call])
    assert "fieldManager=flagger" in server.asked[-1][1]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "busy", [BUSY, (503, {"Retry-After": "2"}), (500, {"Retry-After": "0"})], ids=["429", "503", "500"]
)
def test_a_busy_server_is_asked_again_after_the_seconds_that_it_names(
    server: Server, short_pauses: list[float], call: Callable[[Kube], Any], busy: Any
):
    server.plan = [busy] * 10
    ask(server, call)
    assert len(server.asked) == 11
    assert [pause for pause in short_pauses if pause] == [float(busy[1]["Retry-After"])] * 10 * bool(
        int(busy[1]["Retry-After"])
    )


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_stays_busy_is_a_refusal_in_its_own_words(server: Server, call: Callable[[Kube], Any]):
    server.plan = [BUSY] * 11
    with pytest.raises(Refused):
        ask(server, call)
    assert len(server.asked) == 11


@pytest.mark.parametrize(
    "answer", [(429, {}), (500, {}), (429, {"Retry-After": "soon"}), (403, {"Retry-After": "1"})], ids=str
)
def test_what_names_no_time_is_final(server: Server, answer: Any):
    server.plan = [answer]
    with pytest.raises(Refused, match=f"answered {answer[0]}"):
        ask(server, CALLS["get"])
    assert len(server.asked) == 1


def test_a_cut_connection_is_tried_again_for_reads_and_never_for_writes(server: Server):
    server.plan = ["cut"] * 3
    ask(server, CALLS["get"])
    assert len(server.asked) == 4
    server.plan = ["cut"]
    with pytest.raises(Refused):
        ask(server, CALLS["create"])
    assert len(server.asked) == 5


def test_a_watch_that_begins_busy_goes_on_and_one_that_ends_with_an_error_is_a_refusal(server: Server):
    server.plan = [BUSY, BUSY]
    obj = {"kind": "Canary", "metadata": {"name": "a", "namespace": "b", "resourceVersion": "8"}}
    gone = {"kind": "Status", "status": "Failure", "code": 410, "message": "too old resource version"}
    server.events = [{"type": "ADDED", "object": obj}, {"type": "ERROR", "object": gone}]
    seen = []

    async def follow(kube: Kube) -> None:
        async for type_, found in kube.watch("Canary", "", "7"):
            seen.append((type_, found["metadata"]["name"]))

    with pytest.raises(Refused, match="too old resource version"):
        ask(server, follow)
    assert seen == [("ADDED", "a")]
    assert len(server.asked) == 3


ODD_LINES: list[Any] = [{"type": "ERROR", "object": {"code": 500}}, {"type": 5}, {"type": "ADDED", "object": "x"}, []]


@pytest.mark.parametrize("event", ODD_LINES, ids=str)
def test_a_watch_whose_lines_cannot_be_read_is_a_refusal(server: Server, event: Any):
    server.events = [event]

    async def follow(kube: Kube) -> None:
        async for _ in kube.watch("Canary", "", "7"):
            pass

    with pytest.raises(Refused):
        ask(server, follow)


PLANS: dict[str, list[Any]] = {
    "429": [BUSY] * 3,
    "500": [(500, {})] * 3,
    "cut": ["cut"] * 2,
    "all": [(503, {}), "cut", BUSY],
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_flagger_starts_with_a_server_that_is_just_starting(
    server: Server, plan: list[Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    from canary_tutorial.flagger import startup
    from canary_tutorial.flagger.flags import parse

    server.plan = list(plan)
    flags = parse(["-master", server.url, "-port=0", "-metrics-server=http://127.0.0.1:1", "-control-loop-interval=1s"])

    async def story() -> None:
        running = asyncio.create_task(startup.run(flags))
        deadline = time.monotonic() + 60
        while not any("watch" in path for _, path in server.asked) and not running.done():
            assert time.monotonic() < deadline
            await asyncio.sleep(10)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(story())
    assert "Started operator workers" in capfd.readouterr().err


def test_a_renewal_survives_a_busy_server(server: Server):
    from canary_tutorial.flagger.leader import Election

    server.plan = [BUSY] * 4

    async def renew(kube: Kube) -> bool:
        return await Election(kube, "b")._try()

    assert ask(server, renew) is True


def test_the_meshs_watcher_outlasts_a_busy_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mesh = importlib.import_module("canary_tutorial.lab.mesh.__main__")
    watch = importlib.import_module("canary_tutorial.lab.mesh.watch")
    world = importlib.import_module("canary_tutorial.lab.mesh.world")
    config = {
        "clusters": [{"name": "a", "cluster": {"server": server.url}}],
        "users": [{"name": "a", "user": {"token": "t"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    server.plan = [BUSY] * 30

    async def story() -> None:
        known = asyncio.Event()
        watcher = watch.Watcher(mesh.connection(), world.World(), known.set)
        running = asyncio.create_task(watcher.run())
        await asyncio.wait_for(known.wait(), 10)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(story())
