"""Flagger's load tester: gates that people open, and tasks that webhooks request. I/O: HTTP, commands.

    /gate/{approve,halt,check,open,close}   /rollback/{check,open,close}   /healthz   /metrics   everything else: a task

A gate is closed until it is opened; its key is the Canary's name and namespace. A task of type cmd is accepted at once
(202) and runs in the background, the same one only once at a time; one of type bash runs to its end (200, or 500 with
its output). Listens on $LISTEN_ADDRESS (127.0.0.1 outside a pod).

Every account on this machine can reach that address, and so can a web page in one of its browsers. Therefore tasks are
refused unless -tasks-token-file names a file; then a task runs if its metadata has the file's text as `token`. Requests
from pages of another origin are refused, those for gates included (`origins.py`).
"""

from __future__ import annotations

import hmac
import html
import json
import os
import posixpath
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from prometheus_client import generate_latest

from canary_tutorial.flagger import payloads
from canary_tutorial.flagger.flags import NO_EFFECT, Known, parsed
from canary_tutorial.flagger.golang import go_bool, timestamp
from canary_tutorial.flagger.origins import is_foreign
from canary_tutorial.flagger.payloads import Payload

MOST = 1 << 20  # bytes of a request's body
NO_TASKS = "this load tester runs no tasks: it was started without -tasks-token-file"
NO_TOKEN = "the token in the task's metadata is missing or wrong: it must be that of -tasks-token-file"
FOREIGN = "requests of web pages from another origin are refused"
FLAGS: Known = {
    "port": (9090, "port to listen on"),
    "log-level": ("debug", NO_EFFECT),
    "timeout": ("1h", "how long a task may run"),
    "namespace-regexp": ("", "namespaces that may use it"),
    "tasks-token-file": ("", "file with the token that a task's metadata must have; without it there are no tasks"),
}
BLOCKING = {"bash": ["bash", "-c"], "helm": ["helm"], "helmv3": ["helm"], "kubectl": ["kubectl"]}


class Refusal(Exception):
    """A request that cannot be served: HTTP status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Gates:
    """Open gates by key, in memory: closed by default, and closed again after a restart."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def answer(self, action: str, key: str) -> tuple[int, str]:
        if action == "open":
            self._open.add(key)
            return 202, ""
        if action == "close":
            self._open.discard(key)
            return 202, ""
        return (200, "Approved") if key in self._open else (403, "Forbidden")


class Tasks:
    """Commands that run, each one at most once at a time; each is ended after `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: set[tuple[str, str]] = set()
        self._processes: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def in_background(self, canary: str, command: str, log_output: bool) -> None:
        with self._lock:
            if (canary, command) in self._running:
                log("info", f"command skipped {command} is already running", canary=canary)
                return
            self._running.add((canary, command))
        threading.Thread(target=self._run, args=(canary, command, log_output), daemon=True).start()

    def _run(self, canary: str, command: str, log_output: bool) -> None:
        try:
            log("info", f"task starting {command}", canary=canary)
            out, error = self.run(["sh", "-c", command])
            if error:
                log("error", f"command failed {command} {error} {out}", canary=canary)
            else:
                if log_output:
                    log("info", out, canary=canary)
                log("info", f"command finished {command}", canary=canary)
        finally:
            with self._lock:
                self._running.discard((canary, command))

    def run(self, words: list[str]) -> tuple[str, str]:
        """What it printed, and why it failed ("" if it did not). Bytes that are no UTF-8 are kept as surrogates."""
        try:
            process = subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="surrogateescape",
                start_new_session=True,
            )
        except FileNotFoundError:
            return "", f'exec: "{words[0]}": executable file not found in $PATH'
        except (OSError, ValueError) as error:  # a word with a NUL, or more words than the system takes
            return "", f"exec: {error}"
        self._processes.add(process)
        try:
            with process:
                try:
                    out, _ = process.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    kill(process)
                    out, _ = process.communicate()
        finally:
            self._processes.discard(process)
        code = process.returncode
        if code < 0:
            return out, f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"
        return out, f"exit status {code}" if code else ""

    def end(self) -> None:
        for process in list(self._processes):
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """The whole group: a shell's children too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class LoadTester:
    """What the HTTP handler asks."""

    def __init__(self, timeout: float, namespaces: str = "", token: str = "") -> None:
        self._gates, self.tasks, self._token = Gates(), Tasks(timeout), token
        self._namespaces = re.compile(namespaces) if namespaces else None

    def serve(self, path: str, body: bytes) -> tuple[int, str] | None:
        """Status and text; None if there is no answer at all."""
        match path.split("/")[1:]:
            case ["healthz"]:
                return 200, "OK"
            case ["metrics"]:
                return 200, generate_latest().decode()
            case ["gate", "approve"]:
                return 200, "OK"
            case ["gate", "halt"]:
                return 403, "Forbidden"
            case [("gate" | "rollback") as what, ("check" | "open" | "close") as action]:
                key = self._payload(body).key
                status, text = self._gates.answer(action, key if what == "gate" else f"rollback.{key}")
                log("info", f"{key} {what} {SAID[action].format('true' if status == 200 else 'false')}")
                return status, text
        return self._task(self._payload(body))

    def _payload(self, body: bytes) -> Payload:
        try:
            payload = payloads.read(body)
        except ValueError as error:
            log("error", f"decoding the request body failed: {error}")
            raise Refusal(400, "") from None
        if self._namespaces and not self._namespaces.search(payload.namespace):
            log("info", f"namespace {payload.namespace} is not allowed by -namespace-regexp")
            raise Refusal(403, "Forbidden")
        return payload

    def _task(self, payload: Payload) -> tuple[int, str] | None:
        metadata = payload.metadata
        if not metadata:
            raise Refusal(400, "metadata not found in payload")
        if not self._token:
            raise Refusal(403, NO_TASKS)
        if not hmac.compare_digest(metadata.get("token", "").encode(), self._token.encode()):
            raise Refusal(403, NO_TOKEN)
        kind = metadata.get("type", "cmd")
        if kind in BLOCKING:
            return self._blocking(kind, metadata)
        if kind != "cmd":
            log("error", f"there is no task of type {kind} here: use cmd or bash")
            return None  # Flagger's own drops the connection too
        if "cmd" not in metadata:
            raise Refusal(400, "cmd not found in metadata")
        self.tasks.in_background(payload.key, metadata["cmd"], bool(go_bool(metadata.get("logCmdOutput", ""))))
        return 202, ""

    def _blocking(self, kind: str, metadata: dict[str, str]) -> tuple[int, str]:
        command = metadata.get("cmd", "")
        words = [*BLOCKING[kind], *([command] if kind == "bash" else command.split())]
        out, error = self.tasks.run(words)
        if error:
            raise Refusal(500, f"command {command} failed: {out}: {error}")
        return 200, out if go_bool(metadata.get("returnCmdOutput", "")) else ""


SAID = {"check": "check: approved {}", "open": "opened", "close": "closed"}


def log(level: str, message: str, **more: str) -> None:
    """One write a line: tasks on threads of their own tell of themselves at the same time."""
    ts = timestamp(datetime.now(UTC), "milliseconds")
    sys.stderr.write(json.dumps({"level": level, "ts": ts, "msg": message, **more}) + "\n")
    sys.stderr.flush()


def handler(tester: LoadTester) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Any:
            """Any method is answered alike: `do_GET`, `do_POST` and so on are one."""
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def answer(self) -> None:
            try:
                body = self.body()
                if is_foreign(self.headers):
                    raise Refusal(403, FOREIGN)
                path = self.requestline.split()[1].split("?")[0]  # `self.path` has lost the first of two slashes
                if path != (clean := cleaned(path)):
                    return self.reply(
                        307, f'<a href="{html.escape(clean)}">Temporary Redirect</a>.\n\n', Location=clean
                    )
                answer = tester.serve(unquote(path), body)
            except Refusal as refusal:
                answer = refusal.status, refusal.text
            if answer is None:
                self.close_connection = True
                return None
            return self.reply(*answer)

        def body(self) -> bytes:
            """At most MOST bytes. Raises Refusal for more, after which the connection ends."""
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                return self.chunks()
            length = self.headers.get("Content-Length", "0")
            size = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0
            return self.part(size)

        def chunks(self) -> bytes:
            body = bytearray()  # grows in place, however small the chunks are
            while size := self.chunk_size():
                body += self.part(size, len(body))
                self.rfile.readline(MOST)
            while self.rfile.readline(MOST).strip():
                pass  # trailers, to the empty line
            return bytes(body)

        def chunk_size(self) -> int:
            size = self.rfile.readline(MOST).split(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
                self.close_connection = True
                raise Refusal(400, "")
            return int(size, 16)

        def part(self, size: int, before: int = 0) -> bytes:
            if before + size > MOST:
                self.rfile.read(MOST - before)
                self.close_connection = True
                raise Refusal(413, "the body is too large")
            return self.rfile.read(size)

        def reply(self, status: int, text: str, **headers: str) -> None:
            data = text.encode(errors="surrogateescape")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if data:
                self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Calls are no news; tasks tell of themselves."""

    return Handler


def cleaned(path: str) -> str:
    """The path that is meant: without steps back and empty parts; a slash at the end stays."""
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def main(words: list[str] | None = None) -> int:
    flags = parsed(words, "loadtester", FLAGS)
    if isinstance(flags, int):
        return flags
    token, path = "", flags.text("tasks-token-file")
    if path:
        try:
            token = Path(path).read_text().strip()
        except (OSError, ValueError) as error:
            log("fatal", f"cannot read the token: {error}")
            return 1
        if not token:
            log("fatal", f"there is no token in {path}")
            return 1
    tester = LoadTester(flags.seconds("timeout") or 3600.0, flags.text("namespace-regexp"), token)
    address, port = os.environ.get("LISTEN_ADDRESS", "127.0.0.1"), flags.number("port")
    try:
        server = ThreadingHTTPServer((address, port), handler(tester))
    except (OSError, OverflowError) as error:
        log("fatal", f"cannot listen on {address}:{port}: {error}")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    log("info", f"Starting HTTP server on port {port}")
    server.serve_forever(poll_interval=0.2)
    tester.tasks.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
