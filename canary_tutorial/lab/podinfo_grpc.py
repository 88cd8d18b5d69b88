"""podinfo's health over gRPC (grpc.health.v1), for probes and for `grpc_health_probe`; plain HTTP/2, no TLS.

Loaded by a podinfo that was given `--grpc-port` and by no other, since it takes memory. `Check` answers once, `Watch` goes
on for as long as its client; the service is SERVING for as long as podinfo lives, as with the real one.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
from typing import Any

from h2 import config, connection, events, exceptions

HEALTH = "/grpc.health.v1.Health/"
SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}
NOT_FOUND, UNIMPLEMENTED = 5, 12
LARGEST = 4096  # bytes of a request, which is a service's name


def asked(message: bytes) -> str:
    """The service that a HealthCheckRequest names, after the five bytes that gRPC puts before each message."""
    field = message[5:]
    return field[2 : 2 + field[1]].decode(errors="replace") if field[:1] == b"\x0a" and len(field) > 1 else ""


class Handler(socketserver.BaseRequestHandler):
    """One client's connection."""

    request: socket.socket
    services: frozenset[str]

    def handle(self) -> None:
        self.http = connection.H2Connection(config.H2Configuration(client_side=False, header_encoding=None))
        self.calls: dict[int, tuple[str, bytearray]] = {}
        self.http.initiate_connection()
        with contextlib.suppress(OSError, exceptions.ProtocolError):
            self.request.sendall(self.http.data_to_send())
            while data := self.request.recv(65536):
                for event in self.http.receive_data(data):
                    self._take(event)
                self.request.sendall(self.http.data_to_send())

    def _take(self, event: Any) -> None:
        if isinstance(event, events.RequestReceived):
            self.calls[event.stream_id] = (dict(event.headers).get(b":path", b"").decode(errors="replace"), bytearray())
        elif isinstance(event, events.DataReceived):
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            message = self.calls[event.stream_id][1]
            message += event.data[: LARGEST - len(message)]
        elif isinstance(event, events.StreamReset):
            self.calls.pop(event.stream_id, None)
        elif isinstance(event, events.StreamEnded) and event.stream_id in self.calls:
            path, message = self.calls.pop(event.stream_id)
            self._answer(event.stream_id, path, asked(bytes(message)))

    def _answer(self, stream: int, path: str, service: str) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if path not in (HEALTH + "Check", HEALTH + "Watch"):
            why = [("grpc-status", str(UNIMPLEMENTED)), ("grpc-message", f"unknown method {path}")]
            self.http.send_headers(stream, head + why, end_stream=True)
        elif service not in self.services:
            why = [("grpc-status", str(NOT_FOUND)), ("grpc-message", "unknown service")]
            self.http.send_headers(stream, head + why, end_stream=True)
        else:
            self.http.send_headers(stream, head)
            self.http.send_data(stream, b"\0" + len(SERVING).to_bytes(4, "big") + SERVING)
            if path.endswith("Check"):
                self.http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


def listen(address: str, port: int, service: str) -> Server:
    """A server of the health of podinfo as a whole and under its service's name; OSError if the port is taken."""
    return Server((address, port), type("HealthHandler", (Handler,), {"services": frozenset(["", service])}))
