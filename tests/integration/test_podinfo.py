"""podinfo over HTTP: versions, faults, health, writes that count, and a graceful end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import h2.connection
import h2.events
import psutil
import pytest
from mesh_bench import Answer, request, wait_until

from canary_tutorial.lab import podcli, podinfo, podinfo_grpc

Ask = Callable[..., Answer]


@pytest.fixture
def started() -> Iterator[Callable[..., Ask]]:
    """`started("--unready")` runs a podinfo in this process and returns what asks it."""
    servers: list[podinfo.Server] = []

    def start(*flags: str) -> Ask:
        app = podinfo.Podinfo(podinfo.arguments(list(flags)))
        server = podinfo.listen("127.0.0.1", 0, app)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

        def ask(path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
            return request("127.0.0.1", server.server_address[1], method, path, body, **headers)

        ask.port = server.server_address[1]  # type: ignore[attr-defined]
        return ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_version_is_the_images_tag(started: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    colours = set()
    for tag in ("2.0.0", "2.1.2", "2.1.3"):
        monkeypatch.setenv("IMAGE_TAG", tag)
        ask = started()
        assert ask("/version").json["version"] == tag
        assert ask().json["message"] == f"greetings from podinfo v{tag}"
        colours.add(ask().json["color"])
    assert len(colours) == 3


def test_a_browser_gets_a_page_in_the_versions_colour(started: Callable[..., Ask]) -> None:
    answer = started("--ui-color=#123456", "--ui-message=<hello>")(user_agent="Mozilla/5.0")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "background:#123456" in answer.body
    assert "&lt;hello&gt;" in answer.body


def test_random_errors_are_a_third_of_the_answers_and_spare_the_health(started: Callable[..., Ask]) -> None:
    ask = started("--random-error=true")
    found = Counter(ask().status for _ in range(600))
    assert found.keys() <= {200, 500, 400, 409}
    assert 120 < 600 - found[200] < 280  # a third is 200; this misses by chance once in many millions of runs
    assert {ask("/readyz").status for _ in range(30)} == {200}


def test_random_delays_stay_between_their_bounds(started: Callable[..., Ask]) -> None:
    ask = started("--random-delay", "--random-delay-min=60", "--random-delay-max=90", "--random-delay-unit=ms")
    began = time.monotonic()
    assert ask().status == 200
    assert time.monotonic() - began >= 0.06


@pytest.mark.parametrize(
    ("flags", "healthz", "readyz"),
    [((), 200, 200), (("--unhealthy",), 503, 200), (("--unready=true",), 200, 503), (("--unready=false",), 200, 200)],
)
def test_health_as_the_flags_say(
    started: Callable[..., Ask], flags: tuple[str, ...], healthz: int, readyz: int
) -> None:
    ask = started(*flags)
    assert (ask("/healthz").status, ask("/readyz").status) == (healthz, readyz)


def test_readiness_is_turned_off_and_on(started: Callable[..., Ask]) -> None:
    ask = started()
    assert ask("/readyz/disable", "POST").status == 202
    assert ask("/readyz").status == 503
    ask("/readyz/enable", "POST")
    assert ask("/readyz").status == 200


def test_a_token_is_made_for_whoever_asks_and_is_known_again(started: Callable[..., Ask]) -> None:
    ask, other = started(), started()
    made = ask("/token", "POST", b"test").json
    bearer = f"Bearer {made['token']}"

    assert ask("/token/validate", authorization=bearer).json == {
        "token_name": "test", "expires_at": made["expires_at"],
    }  # fmt: skip
    assert other("/token/validate", authorization=bearer).status == 401  # another instance's secret
    for wrong in ("", "Bearer x", "Bearer a.b.c", bearer[:-2]):
        assert ask("/token/validate", authorization=wrong).status == 401


@pytest.mark.parametrize(
    ("path", "service", "status", "message"),
    [
        ("/grpc.health.v1.Health/Check", "", "0", b"\0\0\0\0\2\x08\1"),
        ("/grpc.health.v1.Health/Check", "podinfo", "0", b"\0\0\0\0\2\x08\1"),
        ("/grpc.health.v1.Health/Check", "nobody", "5", b""),
        ("/grpc.health.v1.Health/Nonsense", "", "12", b""),
    ],
)
def test_health_is_told_over_grpc(path: str, service: str, status: str, message: bytes) -> None:
    with podinfo_grpc.listen("127.0.0.1", 0, "podinfo") as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        for _ in range(2):  # on connections of their own
            assert call(server.server_address[1], path, service) == (status, message)
        server.shutdown()


def test_a_podinfo_tells_its_health_on_the_port_that_it_is_given_for_grpc() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "canary_tutorial.lab.podinfo", "--port=0", f"--grpc-port={port}"]
    with subprocess.Popen(
        command, env=os.environ | {"LISTEN_ADDRESS": "127.0.0.1"}, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: listens(port))
            assert call(port, "/grpc.health.v1.Health/Check", "podinfo") == ("0", b"\0\0\0\0\2\x08\1")
        finally:
            process.kill()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def call(port: int, path: str, service: str) -> tuple[str, bytes]:
    """A gRPC call with a HealthCheckRequest: grpc-status, message."""
    name = service.encode()
    body = b"\x0a" + bytes([len(name)]) + name if name else b""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    head = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "podinfo", "te": "trailers"}
    client.send_headers(1, list({**head, "content-type": "application/grpc"}.items()))
    client.send_data(1, b"\0" + len(body).to_bytes(4, "big") + body, end_stream=True)
    headers: dict[bytes, bytes] = {}
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        while True:
            connection.sendall(client.data_to_send())
            for event in client.receive_data(connection.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    headers |= dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    answer += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    assert headers[b":status"] == b"200"
                    return headers[b"grpc-status"].decode(), answer


@pytest.mark.parametrize(("flags", "path", "code"), [((), "healthz", 0), (("--unhealthy",), "healthz", 1)])
def test_podcli_checks_a_podinfo(
    started: Callable[..., Ask], flags: tuple[str, ...], path: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    port = started(*flags).port  # type: ignore[attr-defined]
    assert podcli.main(["check", "http", f"127.0.0.1:{port}/{path}"]) == code
    assert podcli.main(["check", "tcp", f"127.0.0.1:{port}"]) == 0
    assert ("got status 503" in capsys.readouterr().err) is bool(code)


def test_each_write_counts_and_reading_does_not(started: Callable[..., Ask]) -> None:
    ask = started()
    assert ask("/cache/order", "POST", b"one").json["writes"] == 1
    assert ask("/cache/order", "PUT", b"one").json["writes"] == 2
    assert ask("/cache/order").body == "one"
    assert ask().json["writes"] == 2
    assert ask("/cache/order", "DELETE").json["found"] is True
    assert ask("/cache/order").status == 404


@pytest.mark.parametrize("code", [200, 204, 304, 404, 503])
def test_any_status_can_be_asked_for(started: Callable[..., Ask], code: int) -> None:
    assert started()(f"/status/{code}").status == code


@pytest.mark.parametrize("path", ["/status/99", "/status/x", "/delay/x", "/nothing", "/../etc/passwd", "/%00"])
def test_what_is_not_there_is_404(started: Callable[..., Ask], path: str) -> None:
    assert started()(path).status == 404


def test_echo_headers_and_environment_tell_what_they_got(
    started: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "hello")
    monkeypatch.setenv("SOME_TOKEN", "a secret")
    ask = started()
    assert ask("/echo", "POST", b"twice").body == "twice"
    assert ask("/headers", x_a="1").json["x-a"] == ["1"]
    assert "GREETING=hello" in ask("/env").body
    assert "a secret" not in ask("/env").body


def test_metrics_count_answers_durations_and_writes(started: Callable[..., Ask]) -> None:
    ask = started()
    ask()
    ask("/status/500")
    ask("/cache/a", "POST")
    text = ask("/metrics").body
    assert 'http_requests_total{status="500"} 1' in text
    assert 'http_request_duration_seconds_bucket{le="+Inf"} 3' in text
    assert "podinfo_writes_total 1" in text


def test_the_flags_of_podinfos_own_manifests_are_understood() -> None:
    words = "--port=9898 --port-metrics=9797 --grpc-port=9999 --grpc-service-name=podinfo --level=info"
    options = podinfo.arguments([*words.split(), "--random-delay=false", "--random-error=false"])
    assert (options.port, options.port_metrics, options.random_error) == (9898, 9797, False)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "canary_tutorial.lab.podinfo", "--port=0"]
    environment = os.environ | {"LISTEN_ADDRESS": "127.0.0.1"}
    made = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    yield made
    made.kill()
    made.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    seen = psutil.Process(process.pid)
    wait_until(lambda: any(each.status == psutil.CONN_LISTEN for each in seen.net_connections()))
    return int(seen.net_connections()[0].laddr.port)


def test_after_sigterm_it_is_not_ready_finishes_what_it_began_and_ends_with_zero(
    process: subprocess.Popen[str],
) -> None:
    port = port_of(process)
    answers: list[Answer] = []
    slow = threading.Thread(target=lambda: answers.append(request("127.0.0.1", port, "GET", "/delay/2")))
    slow.start()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: request("127.0.0.1", port, "GET", "/readyz").status == 503)
    late = request("127.0.0.1", port, "GET", "/")
    assert (late.status, late.headers["Connection"]) == (200, "close")
    slow.join()
    assert answers[0].status == 200
    assert process.wait(10) == 0


def test_a_port_that_is_taken_ends_it_with_one_line(process: subprocess.Popen[str]) -> None:
    port = port_of(process)
    command = [sys.executable, "-m", "canary_tutorial.lab.podinfo", f"--port={port}"]
    second = subprocess.run(command, env=os.environ | {"LISTEN_ADDRESS": "127.0.0.1"}, capture_output=True, text=True)
    assert second.returncode == 1
    assert "cannot listen on 127.0.0.1" in second.stderr
