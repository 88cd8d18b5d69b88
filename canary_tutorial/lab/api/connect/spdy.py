"""`kubectl port-forward`: SPDY/3.1 frames inside a WebSocket, as kubectl 1.30 and later speak.

For every connection to the forwarded port the client opens two streams with the same request id: `error`, which it only
reads, and `data`. Here each pair becomes one TCP connection to the pod. Only the needed part of SPDY is implemented:
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, DATA and the compressed header block; neither side uses its flow
control.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from dataclasses import dataclass

from aiohttp import WSMsgType, web

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
SYN_STREAM, SYN_REPLY, RST_STREAM, PING = 1, 2, 3, 6
FIN = 1
BLOCK = 32 * 1024
MAX_FRAME = 1 << 20
MAX_HEADERS = 1 << 16
MAX_STREAMS = 4096  # open at the same time in one tunnel
AT_ONCE = 64  # frames of one message between which others of the lab get their turn
BEHIND, PATIENCE = 256, 60  # frames that a pod may lag behind; seconds after which it has stopped reading

# The protocol's compression dictionary: its words, each after its length, and then a run of text.
WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200-OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
TEXT = (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    b"Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    b"Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    b"00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    b"application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    b"charset=iso-8859-1,utf-,*,enq=0."
)


def dictionary() -> bytes:
    words = [word.replace("200-OK", "200 OK").encode() for word in WORDS.split(" ")]
    return b"".join(struct.pack(">I", len(word)) + word for word in words) + TEXT


@dataclass
class Stream:
    """One stream of the client; `inbox` holds what it sent (b"" at its end)."""

    id: int
    headers: dict[str, str]
    inbox: asyncio.Queue[bytes]


class Refused(Exception):
    """The client sends what no client of Kubernetes sends: its tunnel ends."""


async def _put(stream: Stream, data: bytes) -> None:
    """Hand on what came for a stream; `TimeoutError` if the other end has stopped reading."""
    await asyncio.wait_for(stream.inbox.put(data), PATIENCE)


class Tunnel:
    """All port-forward connections of one kubectl."""

    def __init__(self, socket: web.WebSocketResponse, address: str) -> None:
        self.socket, self.address = socket, address
        self.streams: dict[int, Stream] = {}
        self.waiting: dict[str, dict[str, Stream]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self._inflate = zlib.decompressobj(zdict=dictionary())
        self._deflate = zlib.compressobj(zdict=dictionary())

    async def run(self) -> None:
        """Read frames until the client goes."""
        buffer = bytearray()
        try:
            async for message in self.socket:
                if message.type is not WSMsgType.BINARY:
                    continue
                buffer += message.data
                del buffer[: await self._frames(buffer)]
        except (zlib.error, struct.error, ConnectionError, Refused, TimeoutError):
            pass  # not SPDY, or gone: either way the connection ends here
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await self.socket.close()

    async def _frames(self, buffer: bytearray) -> int:
        """Take the whole frames of a buffer; returns where the next one begins."""
        at = taken = 0
        while len(buffer) - at >= 8:
            head, rest = struct.unpack_from(">II", buffer, at)
            size = rest & 0xFFFFFF
            if size > MAX_FRAME:
                raise Refused
            if len(buffer) - at < 8 + size:
                break
            await self._frame(head, rest >> 24, bytes(buffer[at + 8 : at + 8 + size]))
            at, taken = at + 8 + size, taken + 1
            if taken % AT_ONCE == 0:
                await asyncio.sleep(0)
        return at

    async def _frame(self, head: int, flags: int, payload: bytes) -> None:
        if not head >> 31:
            stream = self.streams.get(head)
            if stream:
                await self._received(stream, flags, payload)
            return
        kind = head & 0xFFFF
        if kind == SYN_STREAM:
            await self._opened(struct.unpack(">I", payload[:4])[0] & 0x7FFFFFFF, flags, self._headers(payload[10:]))
        elif kind == RST_STREAM:
            stream = self.streams.pop(struct.unpack(">I", payload[:4])[0], None)
            if stream:
                await _put(stream, b"")
        elif kind == PING:
            await self._control(PING, payload)

    async def _received(self, stream: Stream, flags: int, payload: bytes) -> None:
        if payload:
            await _put(stream, payload)
        if flags & FIN:
            await _put(stream, b"")

    async def _opened(self, number: int, flags: int, headers: dict[str, str]) -> None:
        if len(self.streams) >= MAX_STREAMS:
            raise Refused
        stream = self.streams[number] = Stream(number, headers, asyncio.Queue(BEHIND))
        empty = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._control(SYN_REPLY, struct.pack(">I", number) + empty)
        await self._received(stream, flags, b"")
        pair = self.waiting.setdefault(headers.get("requestid", ""), {})
        pair[headers.get("streamtype", "")] = stream
        if pair.keys() >= {"data", "error"}:
            del self.waiting[headers.get("requestid", "")]
            task = asyncio.create_task(self._forward(pair["data"], pair["error"]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _headers(self, block: bytes) -> dict[str, str]:
        text = self._inflate.decompress(block, MAX_HEADERS)
        (count,), at, found = struct.unpack(">I", text[:4]), 4, {}
        for _ in range(min(count, 100)):
            pieces = []
            for _ in range(2):
                (size,) = struct.unpack(">I", text[at : at + 4])
                pieces.append(text[at + 4 : at + 4 + size].decode("utf-8", "replace"))
                at += 4 + size
            found[pieces[0].lower()] = pieces[1]
        return found

    async def _forward(self, data: Stream, error: Stream) -> None:
        """One connection: both directions until both are done."""
        port = data.headers.get("port", "")
        try:
            reader, writer = await asyncio.open_connection(self.address, int(port))
        except (OSError, ValueError, OverflowError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            await self._send(error, f"failed to connect to {self.address}:{port}: {why}".encode(), FIN)
            await self._send(data, b"", FIN)
            return
        upward = asyncio.create_task(self._upward(data, writer))
        try:
            while block := await reader.read(BLOCK):
                await self._send(data, block)
        except ConnectionError:
            pass
        finally:
            upward.cancel()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await self._send(data, b"", FIN)
                await self._send(error, b"", FIN)
            self.streams.pop(data.id, None)
            self.streams.pop(error.id, None)

    async def _upward(self, data: Stream, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while block := await data.inbox.get():
                writer.write(block)
                await writer.drain()
            writer.write_eof()

    async def _send(self, stream: Stream, data: bytes, flags: int = 0) -> None:
        await self.socket.send_bytes(struct.pack(">II", stream.id, flags << 24 | len(data)) + data)

    async def _control(self, kind: int, payload: bytes) -> None:
        await self.socket.send_bytes(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)
