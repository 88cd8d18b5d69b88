"""/portforward as the Python client speaks it: `v4.channel.k8s.io`, two channels for each port.

Channel 2i carries the bytes of the i-th port, channel 2i+1 its errors; both begin with a message that repeats the port
(two bytes, little endian). kubectl tunnels SPDY through its WebSocket instead: see `spdy`.
"""

from __future__ import annotations

import asyncio
import struct

from aiohttp import WSMsgType, web
from multidict import MultiMapping

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.connect import spdy
from canary_tutorial.lab.api.connect.streams import upgrade
from canary_tutorial.lab.errors import BadRequest

CHANNELS = ("v4.channel.k8s.io", "portforward.k8s.io")
BLOCK = 64 * 1024
MAX_PORTS = 128  # a channel is one byte, and each port has two


async def serve(api: Api, call: Call) -> web.StreamResponse:
    pod = api.get(call.target)
    phase = pod.get("status", {}).get("phase")
    if phase != "Running":
        raise BadRequest(f"unable to forward port because pod is not running. Current status={phase}")
    address = api.node.address(pod)
    # What can be refused is refused before the connection is a WebSocket, which knows no status.
    tunnel = spdy.PROTOCOL in call.request.headers.get("Sec-WebSocket-Protocol", "")
    ports = [] if tunnel else _ports(call.request.query)
    socket = await upgrade(call.request, (spdy.PROTOCOL,) if tunnel else CHANNELS)
    await (spdy.Tunnel(socket, address) if tunnel else Channels(socket, address, ports)).run()
    return socket


def _ports(query: MultiMapping[str]) -> list[int]:
    texts = [text for each in query.getall("ports", []) for text in each.split(",")]
    ports = [int(text) for text in texts if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536]
    if not ports or len(ports) != len(texts):
        raise BadRequest('query parameter "ports" must name at least one port, each between 1 and 65535')
    if len(ports) > MAX_PORTS:
        raise BadRequest(f'query parameter "ports" may name at most {MAX_PORTS} ports')
    return ports


class Channels:
    """One WebSocket with a connection behind each pair of channels."""

    def __init__(self, socket: web.WebSocketResponse, address: str, ports: list[int]) -> None:
        self.socket, self.address, self.ports = socket, address, ports
        self.writers: dict[int, asyncio.StreamWriter] = {}

    async def run(self) -> None:
        for i, port in enumerate(self.ports):
            await self.socket.send_bytes(bytes([2 * i]) + struct.pack("<H", port))
            await self.socket.send_bytes(bytes([2 * i + 1]) + struct.pack("<H", port))
        readers = [asyncio.create_task(self._read(i, port)) for i, port in enumerate(self.ports)]
        try:
            async for message in self.socket:
                if message.type is WSMsgType.BINARY and message.data:
                    await self._write(message.data[0], message.data[1:])
        finally:
            for task in readers:
                task.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read(self, i: int, port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(self.address, port)
        except OSError as exc:
            text = f"error forwarding port {port} to pod: {exc.strerror or exc}"
            await self.socket.send_bytes(bytes([2 * i + 1]) + text.encode())
            await self.socket.close()
            return
        self.writers[2 * i] = writer
        try:
            while data := await reader.read(BLOCK):
                await self.socket.send_bytes(bytes([2 * i]) + data)
            await self.socket.close()  # the only way in this protocol to say that a port has no more
        finally:
            writer.close()

    async def _write(self, channel: int, data: bytes) -> None:
        for _ in range(100):  # the client may write before the connection stands
            if channel in self.writers or not data:
                break
            await asyncio.sleep(0.01)
        writer = self.writers.get(channel)
        if writer and data and not writer.is_closing():
            writer.write(data)
            await writer.drain()
