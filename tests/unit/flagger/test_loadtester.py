"""The load tester, through its own HTTP server on a free port."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from canary_tutorial.flagger.loadtester import LoadTester, handler, log

Ask = Any
TOKEN = "a token of this test"


@pytest.fixture
def tester() -> LoadTester:
    return LoadTester(timeout=2.0, token=TOKEN)


@pytest.fixture
def ask(tester: LoadTester) -> Iterator[Ask]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(tester))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def ask(
        path: str, metadata: Any = None, body: bytes | None = None, method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        if isinstance(metadata, dict) and metadata:
            metadata = {"token": TOKEN, **metadata}
        payload = {"name": "podinfo", "namespace": "test"} | ({"metadata": metadata} if metadata is not None else {})
        connection = http.client.HTTPConnection(*server.server_address[:2], timeout=5)
        with closing(connection):
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, json.dumps(payload).encode() if body is None else body, given)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    yield ask
    server.shutdown()
    server.server_close()
    tester.tasks.end()


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < deadline, f"{path} never said {text!r}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/healthz", (200, "OK")), ("/gate/approve", (200, "OK")), ("/gate/halt", (403, "Forbidden"))],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_answers_that_are_always_the_same(ask: Ask, path: str, expected: tuple[int, str], method: str):
    assert ask(path, body=b"not json", method=method) == expected


def test_a_scrape_is_no_task(ask: Ask):
    status, page = ask("/metrics", method="GET")
    assert status == 200
    assert "process_cpu_seconds_total" in page


@pytest.mark.parametrize("what", ["gate", "rollback"])
def test_a_gate_is_closed_until_opened_and_until_closed_again(ask: Ask, what: str):
    assert ask(f"/{what}/check") == (403, "Forbidden")
    assert ask(f"/{what}/open") == (202, "")
    assert ask(f"/{what}/check") == (200, "Approved")
    assert ask(f"/{what}/close") == (202, "")
    assert ask(f"/{what}/check") == (403, "Forbidden")


def test_gate_and_rollback_are_two_doors(ask: Ask):
    ask("/gate/open")
    assert ask("/rollback/check") == (403, "Forbidden")


def test_each_canary_has_a_gate_of_its_own(ask: Ask):
    ask("/gate/open")
    assert ask("/gate/check", body=b'{"name": "other", "namespace": "test"}') == (403, "Forbidden")


@pytest.mark.parametrize("path", ["/gate/check", "/rollback/open", "/"])
def test_bad_json_is_refused(ask: Ask, path: str):
    assert ask(path, body=b"{")[0] == 400
    assert ask(path, body=b'{"name": 1}')[0] == 400
    assert ask(path, metadata={"cmd": 1})[0] == 400
    assert ask(path, metadata="cmd")[0] == 400


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (None, "metadata not found in payload"),
        ({}, "metadata not found in payload"),
        ({"type": "cmd"}, "cmd not found in metadata"),
    ],
)
def test_tasks_without_a_command_are_refused(ask: Ask, metadata: Any, text: str):
    assert ask("/", metadata) == (400, text)


def test_a_command_is_taken_at_once_and_run_in_the_background(ask: Ask, tmp_path: Path):
    found = tmp_path / "found"
    assert ask("/any/path", {"cmd": f"printf done > {found}"}) == (202, "")
    wait_for(found, "done")


def test_the_same_command_runs_once_at_a_time(ask: Ask, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    found = tmp_path / "found"
    command = {"cmd": f"printf x >> {found}; sleep 1"}
    assert [ask("/", command)[0] for _ in range(3)] == [202] * 3
    wait_for(found, "x")
    assert capfd.readouterr().err.count("is already running") == 2


def test_output_is_logged_if_asked_for(ask: Ask, capfd: pytest.CaptureFixture[str]):
    ask("/", {"cmd": "echo spoken", "logCmdOutput": "true"})
    deadline, said = time.monotonic() + 60, ""
    while "command finished echo spoken" not in said:
        assert time.monotonic() < deadline
        said += capfd.readouterr().err
        time.sleep(0.01)
    lines = [json.loads(line)["msg"] for line in said.splitlines()]
    assert [line for line in lines if "spoken" in line] == [
        "task starting echo spoken",
        "spoken\n",
        "command finished echo spoken",
    ]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"type": "bash", "cmd": "echo a"}, (200, "")),
        ({"type": "bash", "cmd": "echo a", "returnCmdOutput": "true"}, (200, "a\n")),
        (
            {"type": "bash", "cmd": "echo a; echo b >&2; exit 3"},
            (500, "command echo a; echo b >&2; exit 3 failed: a\nb\n: exit status 3"),
        ),
    ],
    ids=["ok", "output", "failed"],
)
def test_bash_runs_to_its_end(ask: Ask, metadata: dict[str, str], expected: tuple[int, str]):
    assert ask("/", metadata) == expected


def test_lines_of_the_log_do_not_mix(monkeypatch: pytest.MonkeyPatch):
    written: list[str] = []
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append, flush=lambda: None))
    log("info", "a line")
    assert [json.loads(line)["msg"] for line in written] == ["a line"]
    assert written[0].endswith("\n")


def test_a_task_that_takes_too_long_is_killed_with_all_its_children(ask: Ask, tmp_path: Path):
    found = tmp_path / "found"
    status, text = ask("/", {"type": "bash", "cmd": f"(sleep 3; touch {found}) & sleep 60"})
    assert status == 500
    assert text.endswith(": signal: killed")
    time.sleep(1.2)
    assert not found.exists()


def test_an_unknown_type_drops_the_connection(ask: Ask):
    with pytest.raises(http.client.RemoteDisconnected):
        ask("/", {"type": "dance", "cmd": "x"})


def test_other_namespaces_can_be_shut_out():
    tester = LoadTester(1.0, "^prod-")
    body = json.dumps({"name": "podinfo", "namespace": "test"}).encode()
    from canary_tutorial.flagger.loadtester import Refusal

    with pytest.raises(Refusal) as refused:
        tester.serve("/gate/check", body)
    assert refused.value.status == 403
    assert tester.serve("/gate/check", body.replace(b"test", b"prod-1")) == (403, "Forbidden")


# -- who may not


@pytest.mark.parametrize("type_", ["cmd", "bash", "helm", "helmv3", "kubectl", "concord", "ngrinder", "dance", ""])
@pytest.mark.parametrize("token", ["", "x", TOKEN + " ", TOKEN[:-1], "\u00e4"])
def test_a_task_without_the_token_is_refused(ask: Ask, tmp_path: Path, type_: str, token: str):
    status, text = ask("/", {"type": type_, "cmd": f"touch {tmp_path}/run", "token": token})
    assert (status, text) == (
        403,
        "the token in the task's metadata is missing or wrong: it must be that of -tasks-token-file",
    )
    time.sleep(0.02)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("metadata", [{"type": "bash"}, {"type": "cmd"}, {}, {"token": ""}], ids=str)
def test_without_a_token_file_there_are_no_tasks_at_all(tmp_path: Path, metadata: dict[str, str]):
    from canary_tutorial.flagger.loadtester import Refusal

    payload = {"name": "a", "namespace": "b", "metadata": {"cmd": f"touch {tmp_path}/run", **metadata}}
    tester = LoadTester(1.0)
    for path in ("/", "/any", "/gate/open/x", "/rollback"):
        with pytest.raises(Refusal) as refused:
            tester.serve(path, json.dumps(payload).encode())
        assert refused.value.status == 403
        assert "started without -tasks-token-file" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://evil.example", "Host": "evil.example"},
    {"Origin": "http://evil.example:8080", "Host": "evil.example:8080"},
    {"Origin": "http://[", "Host": "["},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "Cross-Site", "Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    "path", ["/gate/open", "/gate/close", "/gate/approve", "/rollback/open", "/rollback/close", "/"]
)
def test_what_a_foreign_page_asks_for_is_refused(ask: Ask, path: str, headers: dict[str, str]):
    metadata = {"type": "bash", "cmd": "echo a"}
    assert ask(path, metadata, **headers)[0] == 403
    assert ask("/gate/check") == ask("/rollback/check") == (403, "Forbidden")


def test_the_same_origin_and_programs_are_served(ask: Ask):
    own = {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080", "Sec_Fetch_Site": "same-origin"}
    assert ask("/gate/open", **own) == (202, "")
    assert ask("/gate/check") == (200, "Approved")
    assert ask("/", {"type": "bash", "cmd": "echo a", "returnCmdOutput": "true"}) == (200, "a\n")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"name": null, "namespace": null, "metadata": null}', b"\xff"])
def test_odd_bodies_get_an_answer(ask: Ask, body: bytes):
    assert ask("/", body=body)[0] == 400


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        pytest.param(b'9\r\n{"name": \r\n7\r\n"gate"}\r\n0\r\n\r\n', 403, id="in two"),
        pytest.param(b"9;a=b\r\n" + b"         " + b"\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n", 403, id="with extras"),
        pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", 400, id="no size"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", 400, id="a size below zero"),
        pytest.param(b"100001\r\n" + b" " * (1 << 20) + b"{", 413, id="too large"),
        pytest.param((b"80000\r\n" + b" " * (1 << 19) + b"\r\n") * 2 + b"1\r\n1\r\n0\r\n\r\n", 413, id="too many"),
    ],
)
def test_a_body_in_chunks_is_read_to_its_end(tester: LoadTester, chunks: bytes, status: int):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(tester))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with socket.create_connection(server.server_address[:2], timeout=60) as connection:
        connection.sendall(b"POST /gate/check HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert connection.recv(12) == f"HTTP/1.1 {status}".encode()
    server.shutdown()
    server.server_close()


def test_what_no_system_runs_is_told_and_is_no_traceback(ask: Ask, capfd: pytest.CaptureFixture[str]):
    status, text = ask("/", {"type": "bash", "cmd": "echo \0"})
    assert (status, "embedded null byte" in text) == (500, True)
    assert ask("/", {"cmd": "echo \0"}) == (202, "")
    ask("/", {"type": "bash", "cmd": "true"})
    deadline, said = time.monotonic() + 60, ""
    while "command failed" not in said and time.monotonic() < deadline:
        said += capfd.readouterr().err
    assert "embedded null byte" in said
    assert "Traceback" not in said


def test_a_body_without_end_is_refused(ask: Ask):
    assert ask("/gate/open", body=b" " * 2_000_000)[0] == 413


def test_the_process_runs_no_commands_for_anybody_on_the_machine_and_with_a_token_for_who_has_it(tmp_path: Path):
    """As the pod of `gates` starts it; then with a token from a mounted Secret."""
    import os
    import socket
    import subprocess

    secret, found = tmp_path / "token", tmp_path / "found"
    secret.write_text("from-a-secret\n")

    def post(port: int, **metadata: str) -> tuple[int, str]:
        body = {"name": "a", "namespace": "b", "metadata": {"type": "bash", "cmd": f"touch {found}", **metadata}}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with closing(connection):
            connection.request("POST", "/", json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    for flags, given, expected in (
        ([], {}, 403),
        ([f"-tasks-token-file={secret}"], {}, 403),
        ([f"-tasks-token-file={secret}"], {"token": "from-a-secret"}, 200),
    ):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [sys.executable, "-m", "canary_tutorial.flagger.loadtester", f"-port={port}", *flags]
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env={**os.environ, "LISTEN_ADDRESS": "127.0.0.1"})
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    status, _ = post(port, **given)
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            assert status == expected
            assert found.exists() is (expected == 200)
        finally:
            process.terminate()
            process.wait(10)
