"""Flagger's load tester: gates that people open, and tasks that webhooks ask for. Standard library only.

    /gate/{approve,halt,check,open,close}   /rollback/{check,open,close}   /healthz   everything else: a task

A gate is closed until it is opened; its key is the Canary's name and namespace. A task of type cmd is taken at once (202)
and run in the background, one of the same kind at a time; one of type bash is run to its end (200, or 500 with its
output). Listens on $LISTEN_ADDRESS (127.0.0.1 outside a pod).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
    """Commands that run, at most one of each kind; each is ended after `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: set[tuple[str, str]] = set()
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
            log("info", f"command started {command}", canary=canary)
            code, out, err = self.run(["sh", "-c", command])
            if code:
                log("error", f"command failed {command} {err} {out}", canary=canary)
            else:
                log("info", out if log_output and out else f"command finished {command}", canary=canary)
        finally:
            with self._lock:
                self._running.discard((canary, command))

    def run(self, words: list[str]) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
        ) as process:
            try:
                out, err = process.communicate(timeout=self._timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                return 1, out, "context deadline exceeded"
        return process.returncode, out, err


class LoadTester:
    """What the HTTP handler asks."""

    def __init__(self, timeout: float, namespaces: str = "") -> None:
        self._gates, self._tasks = Gates(), Tasks(timeout)
        self._namespaces = re.compile(namespaces) if namespaces else None

    def serve(self, path: str, body: bytes) -> tuple[int, str]:
        match path.strip("/").split("/"):
            case ["healthz"]:
                return 200, "OK"
            case ["gate", "approve"]:
                return 200, "OK"
            case ["gate", "halt"]:
                return 403, "Forbidden"
            case [("gate" | "rollback") as what, ("check" | "open" | "close") as action]:
                payload = self._payload(body)
                key = f"{payload.get('name', '')}.{payload.get('namespace', '')}"
                return self._gates.answer(action, key if what == "gate" else f"rollback.{key}")
        return self._task(self._payload(body))

    def _payload(self, body: bytes) -> dict[str, Any]:
        try:
            payload = json.loads(body or b"")
        except ValueError as error:
            raise Refusal(400, f"decoding the request body failed: {error}") from None
        if not isinstance(payload, dict):
            raise Refusal(400, "decoding the request body failed: it is no object")
        if self._namespaces and not self._namespaces.search(str(payload.get("namespace", ""))):
            raise Refusal(403, f"namespace {payload.get('namespace', '')} is not allowed")
        return payload

    def _task(self, payload: dict[str, Any]) -> tuple[int, str]:
        metadata = payload.get("metadata") or {}
        if not metadata:
            raise Refusal(400, "metadata not found in payload")
        kind, command = metadata.get("type") or "cmd", metadata.get("cmd")
        if not command:
            raise Refusal(400, "cmd not found in metadata")
        canary = f"{payload.get('name', '')}.{payload.get('namespace', '')}"
        if kind == "cmd":
            self._tasks.in_background(canary, command, metadata.get("logCmdOutput") == "true")
            return 202, ""
        if kind not in BLOCKING:
            raise Refusal(400, f"unknown task type {kind}: use cmd or bash")
        words = [*BLOCKING[kind], command] if kind == "bash" else [*BLOCKING[kind], *command.split()]
        code, out, err = self._tasks.run(words)
        if code:
            raise Refusal(500, f"command {command} failed: {out}: {err}")
        return 200, out if metadata.get("returnCmdOutput") == "true" else ""


def log(level: str, message: str, **more: str) -> None:
    ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"level": level, "ts": ts, "msg": message, **more}), file=sys.stderr, flush=True)


def handler(tester: LoadTester) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "0")
            body = self.rfile.read(int(length)) if length.isdigit() else b""
            try:
                status, text = tester.serve(self.path.split("?")[0], body)
            except Refusal as refusal:
                status, text = refusal.status, refusal.text
            except OSError as error:
                status, text = 500, str(error)
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Calls are no news; tasks tell of themselves."""

    return Handler


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("loadtester", allow_abbrev=False)
    for name, default, text in (
        ("port", "9090", "port to listen on"),
        ("log-level", "debug", "accepted for compatibility"),
        ("timeout", "1h", "how long a task may run"),
        ("namespace-regexp", "", "namespaces that may use it"),
    ):
        parser.add_argument(f"-{name}", f"--{name}", default=default, help=text)
    options = parser.parse_args(sys.argv[1:] if words is None else words)
    from canary_tutorial.flagger.spec import go_duration

    tester = LoadTester(go_duration(options.timeout) or 3600.0, options.namespace_regexp)
    address = os.environ.get("LISTEN_ADDRESS", "127.0.0.1")
    try:
        server = ThreadingHTTPServer((address, int(options.port)), handler(tester))
    except (OSError, ValueError) as error:
        log("fatal", f"cannot listen on {address}:{options.port}: {error}")
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=server.shutdown).start())
    log("info", f"Starting HTTP server on port {options.port}")
    server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
