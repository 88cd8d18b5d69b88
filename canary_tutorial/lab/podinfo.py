"""podinfo: the small web service that the lessons release. Standard library only, since up to three run at once.

Its answers contain its version, flags known from podinfo make it fail or slow, and it counts what is written to it, so
that a lesson can show what mirroring does to a write. Versions differ only in the version that they report and in their
color. It listens on $LISTEN_ADDRESS (127.0.0.1 outside a pod); $IMAGE_TAG is its version.

Unlike with the real one, the faults spare /healthz, /readyz and /metrics, so that a faulty release is judged by its
traffic. On SIGTERM it reports not ready, serves for another moment while the mesh moves requests to other pods, and
completes the requests that it has begun.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import html
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

FAREWELL = 2.5  # seconds of answering after SIGTERM
PATIENCE = 25.0  # seconds to finish requests, a little less than Kubernetes waits before it kills
COLOURS = ("#34577c", "#c06f1d", "#2e7d6b", "#8a4f9e", "#9a3b3b", "#5b6d1e")
ERRORS = (500, 400, 409)
TOKEN_SECONDS = 60  # how long a token of /token holds
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, Prometheus' defaults
IGNORED = ("host", "secure-port", "backend-url", "cache-server", "config-path")
PAGE = """<!doctype html><title>podinfo {version}</title>
<body style="margin:0;background:{color};color:white;font:2em sans-serif;display:grid;place-items:center;height:100vh">
<main style="text-align:center"><h1>{version}</h1><p>{message}</p><p><small>{hostname}</small></p></main>
"""


def flag(text: str) -> bool:
    """Go's boolean: --random-error, --random-error=true, --random-error=false."""
    return {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}[text.lower()]


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("podinfo", description="A small web service to release.", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=9898, help="HTTP port")
    parser.add_argument("--port-metrics", type=int, default=0, help="a second port, for /metrics")
    parser.add_argument("--grpc-port", type=int, default=0, help="a port for grpc.health.v1, without TLS")
    parser.add_argument("--grpc-service-name", default="podinfo", help="the service whose health it tells")
    parser.add_argument("--level", default="info", help="log level; debug logs each request")
    for name, text in (
        ("random-error", "answer a third of the requests with 500, 400 or 409"),
        ("random-delay", "wait before each answer"),
        ("unhealthy", "never be healthy"),
        ("unready", "never be ready"),
    ):
        parser.add_argument(f"--{name}", type=flag, nargs="?", const=True, default=False, help=text)
    parser.add_argument("--random-delay-min", type=int, default=0, help="least delay")
    parser.add_argument("--random-delay-max", type=int, default=5, help="largest delay")
    parser.add_argument("--random-delay-unit", choices=("s", "ms"), default="s", help="unit of the two")
    parser.add_argument("--ui-message", default=os.environ.get("PODINFO_UI_MESSAGE", ""), help="greeting")
    parser.add_argument("--ui-color", default=os.environ.get("PODINFO_UI_COLOR", ""), help="color of the page")
    for name in IGNORED:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)  # podinfo's own manifests set these
    return parser.parse_args(words)


class Podinfo:
    """What one instance knows and counts."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.version = os.environ.get("IMAGE_TAG", "6.14.1")
        self.hostname = os.environ.get("HOSTNAME", "podinfo")
        self.colour = options.ui_color or COLOURS[sum(map(ord, self.version)) % len(COLOURS)]
        self.ready = not options.unready
        self.cache: dict[str, str] = {}
        self.writes = 0
        self.secret = os.environ.get("PODINFO_JWT_SECRET", "").encode() or os.urandom(32)
        self.busy = 0
        self.answers: Counter[int] = Counter()
        self.durations: Counter[float] = Counter()
        self.seconds = 0.0
        self.lock = threading.Lock()

    def info(self) -> dict[str, Any]:
        return {
            "hostname": self.hostname,
            "version": self.version,
            "revision": "lab",
            "color": self.colour,
            "message": self.options.ui_message or f"greetings from podinfo v{self.version}",
            "goos": sys.platform,
            "writes": self.writes,
        }

    def write(self, key: str, value: str) -> int:
        """Not idempotent: each call counts, also the copy that a mirror makes."""
        with self.lock:
            self.cache[key] = value
            self.writes += 1
            return self.writes

    def token(self, user: str) -> dict[str, str]:
        """A JSON Web Token for whoever asks, signed with this instance's secret."""
        expires = int(time.time()) + TOKEN_SECONDS
        claims = {"name": user, "iss": "podinfo", "exp": expires}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        return {"token": ".".join([*parts, self._signature(parts)]), "expires_at": _moment(expires)}

    def validated(self, authorization: str) -> dict[str, str] | None:
        """Whom a token of `token` was made for, and until when it holds; None if it is not one, or no more."""
        *parts, signature = authorization.removeprefix("Bearer ").split(".")
        if len(parts) != 2 or not hmac.compare_digest(signature.encode(), self._signature(parts).encode()):
            return None
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==="))
        return (
            {"token_name": claims["name"], "expires_at": _moment(claims["exp"])}
            if claims["exp"] > time.time()
            else None
        )

    def _signature(self, parts: list[str]) -> str:
        return _base64(hmac.digest(self.secret, ".".join(parts).encode(), hashlib.sha256))

    def fault(self) -> int | None:
        """Wait and fail as the flags say; the status of the error, or None."""
        options = self.options
        if options.random_delay:
            delay = random.uniform(options.random_delay_min, max(options.random_delay_min, options.random_delay_max))
            time.sleep(delay / (1000 if options.random_delay_unit == "ms" else 1))
        return random.choice(ERRORS) if options.random_error and random.random() < 1 / 3 else None

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        began = time.perf_counter()
        with self.lock:
            self.busy += 1
        try:
            yield
        finally:
            took = time.perf_counter() - began
            with self.lock:
                self.busy -= 1
                self.seconds += took
                self.durations[next((limit for limit in BUCKETS if took <= limit), float("inf"))] += 1

    def metrics(self) -> str:
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{status="{status}"}} {n}' for status, n in sorted(self.answers.items())]
        lines.append("# TYPE http_request_duration_seconds histogram")
        below = 0
        for limit in (*BUCKETS, float("inf")):
            below += self.durations[limit]
            edge = "+Inf" if limit == float("inf") else limit
            lines.append(f'http_request_duration_seconds_bucket{{le="{edge}"}} {below}')
        lines += [f"http_request_duration_seconds_sum {self.seconds}", f"http_request_duration_seconds_count {below}"]
        return "\n".join([*lines, "# TYPE podinfo_writes_total counter", f"podinfo_writes_total {self.writes}", ""])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "podinfo", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together, and neither waits for an ACK
    app: Podinfo

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        body = self._body()
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["healthz"]:
                self._answer(503 if self.app.options.unhealthy else 200, {"status": "OK"})
            case ["readyz"]:
                self._answer(200 if self.app.ready else 503, {"status": "OK" if self.app.ready else "not ready"})
            case ["readyz", ("enable" | "disable") as word]:
                self.app.ready = word == "enable"
                self._answer(202, {"status": "OK"})
            case ["metrics"]:
                self._answer(200, self.app.metrics(), "text/plain; version=0.0.4")
            case _:
                with self.app.answering():
                    error = self.app.fault()
                    if error:
                        self._answer(error, {"code": error, "message": "a random error, as --random-error asks"})
                    else:
                        self._serve(parts, body)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def _serve(self, parts: list[str], body: bytes) -> None:
        match parts:
            case [""] if self.headers.get("User-Agent", "").startswith("Mozilla"):
                words = {key: html.escape(str(value)) for key, value in self.app.info().items()}
                self._answer(200, PAGE.format(**words), "text/html; charset=utf-8")
            case [""] | ["api", "info"]:
                self._answer(200, self.app.info())
            case ["version"]:
                self._answer(200, {"version": self.app.version, "commit": "lab"})
            case ["env"]:
                self._answer(
                    200, [f"{k}={v}" for k, v in sorted(os.environ.items()) if "TOKEN" not in k and "SECRET" not in k]
                )
            case ["headers"]:
                self._answer(200, {key: self.headers.get_all(key) for key in self.headers})
            case ["echo"] | ["api", "echo"]:
                self._answer(202, body.decode(errors="replace"), "text/plain")
            case ["token"]:
                self._answer(200, self.app.token(body.decode(errors="replace") or "anonymous"))
            case ["token", "validate"]:
                found = self.app.validated(self.headers.get("Authorization", ""))
                self._answer(200 if found else 401, found or {"code": 401, "message": "the token is not valid"})
            case ["panic"]:
                log("panic", "asked to end")
                os._exit(255)
            case ["status", code] if code.isdigit() and 200 <= int(code) < 600:
                self._answer(int(code), {"status": int(code)})
            case ["delay", seconds] if seconds.replace(".", "", 1).isdigit():
                time.sleep(min(float(seconds), 60))
                self._answer(200, {"delay": float(seconds)})
            case ["cache", key] if self.command in ("POST", "PUT"):
                self._answer(202, {"key": key, "writes": self.app.write(key, body.decode(errors="replace"))})
            case ["cache", key] if self.command == "DELETE":
                self._answer(202, {"key": key, "found": self.app.cache.pop(key, None) is not None})
            case ["cache", key] if key in self.app.cache:
                self._answer(200, self.app.cache[key], "text/plain")
            case _:
                self._answer(404, {"code": 404, "message": "nothing is here"})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        return self.rfile.read(int(length)) if length.isdigit() else b""

    def _answer(self, status: int, content: Any, content_type: str = "application/json; charset=utf-8") -> None:
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        data = text.encode()
        empty = status in (204, 304)  # HTTP allows these no body
        with self.app.lock:
            self.app.answers[status] += 1
        self.send_response(status)
        if not empty:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Podinfo-Version", self.app.version)
        if not self.app.ready:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not empty:
            self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        if self.app.options.level == "debug":
            log("debug", "request", remote=self.client_address[0], line=format % args)


def log(level: str, message: str, **more: Any) -> None:
    print(
        json.dumps({"level": level, "ts": round(time.time(), 3), "msg": message, **more}), file=sys.stderr, flush=True
    )


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def listen(address: str, port: int, app: Podinfo) -> Server:
    try:
        return Server((address, port), type("PodinfoHandler", (Handler,), {"app": app}))
    except OSError as error:
        log("fatal", f"cannot listen on {address}:{port}: {error.strerror}")
        sys.exit(1)


def main(words: list[str] | None = None) -> None:
    threading.stack_size(256 * 1024)  # many connections, small handlers
    app = Podinfo(arguments(sys.argv[1:] if words is None else words))
    address = os.environ.get("LISTEN_ADDRESS", "127.0.0.1")
    server = listen(address, app.options.port, app)
    if app.options.port_metrics:
        metrics = listen(address, app.options.port_metrics, app)
        threading.Thread(target=metrics.serve_forever, daemon=True).start()

    if app.options.grpc_port:
        from canary_tutorial.lab import podinfo_grpc  # its memory is not for podinfos without

        try:
            health = podinfo_grpc.listen(address, app.options.grpc_port, app.options.grpc_service_name)
        except OSError as error:
            log("fatal", f"cannot listen on {address}:{app.options.grpc_port}: {error.strerror}")
            sys.exit(1)
        threading.Thread(target=health.serve_forever, daemon=True).start()

    def farewell(number: int, frame: object) -> None:
        app.ready = False
        log("info", "shutting down", signal=signal.Signals(number).name)
        threading.Timer(FAREWELL, server.shutdown).start()

    signal.signal(signal.SIGTERM, farewell)
    signal.signal(signal.SIGINT, farewell)
    log("info", "starting podinfo", version=app.version, port=app.options.port)
    server.serve_forever(poll_interval=0.2)
    server.server_close()
    end = time.monotonic() + PATIENCE
    while app.busy and time.monotonic() < end:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
