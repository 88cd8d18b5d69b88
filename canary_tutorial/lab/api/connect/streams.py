"""/exec and /attach: a program's standard streams over one WebSocket.

The first byte of each message is its channel: 0 stdin, 1 stdout, 2 stderr, 3 the end (a `Status`, with the exit code), 4
the size of the terminal. Version 5 of the protocol adds channel 255, which closes the channel named by its next byte:
without it stdin could not end (`kubectl exec -i -- cat < file`, `kubectl cp`).
"""

from __future__ import annotations

import asyncio
import json
import logging

from aiohttp import WSMsgType, web

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.connect.logs import choose
from canary_tutorial.lab.api.options import flag
from canary_tutorial.lab.api.wire.bodies import encode
from canary_tutorial.lab.contracts import Session
from canary_tutorial.lab.errors import ApiError, BadRequest, InternalError
from canary_tutorial.lab.objects import Obj

log = logging.getLogger(__name__)

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MAX_MESSAGE = 1 << 24  # bytes; kubectl sends 32 KiB at a time
STDIN, STDOUT, END, RESIZE, CLOSE = 0, 1, 3, 4, 255


async def serve(api: Api, call: Call) -> web.StreamResponse:
    query, subresource = call.request.query, call.target.subresource
    pod = api.get(call.target)
    phase = pod.get("status", {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise BadRequest(f"cannot exec into a container in a completed pod; current phase is {phase}")
    container = choose(pod, query.get("container", ""))
    command = query.getall("command", [])
    if subresource == "exec" and not command:
        raise BadRequest("you must specify at least 1 command")
    if any("\0" in each for each in command):
        raise BadRequest("invalid command: a NUL character cannot be passed to a program")
    stdin, tty = flag(query, "stdin"), flag(query, "tty")
    socket = await upgrade(call.request, PROTOCOLS)
    await socket.send_bytes(bytes([STDOUT]))  # says that the connection stands
    try:
        if subresource == "exec":
            session = await api.node.exec(pod, container, command, stdin, tty)
        else:
            session = await api.node.attach(pod, container, stdin, tty)
    except ApiError as error:
        await _end(socket, error.status_object())
        return socket
    await run(session, socket)
    return socket


async def upgrade(request: web.Request, protocols: tuple[str, ...]) -> web.WebSocketResponse:
    """The request's WebSocket; `BadRequest` if the client wants none, or SPDY."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        wanted = request.headers.get("Upgrade")
        hint = f": {wanted} is not served here, use a client that speaks WebSocket" if wanted else ""
        raise BadRequest(f"Upgrade request required{hint}")
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
    if offered and not set(offered) & set(protocols):
        raise BadRequest(
            f"none of the offered protocols is served: {', '.join(offered)}; served: {', '.join(protocols)}"
        )
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=MAX_MESSAGE)
    await socket.prepare(request)
    return socket


async def run(session: Session, socket: web.WebSocketResponse) -> None:
    """Carry the streams until the program ends or the client goes, whichever is first."""
    output = asyncio.create_task(_output(session, socket))
    inputs = asyncio.create_task(_input(session, socket))
    try:
        await asyncio.wait({output, inputs}, return_when=asyncio.FIRST_COMPLETED)
        if not output.done():  # the client went first
            await session.kill()
            return
        output.result()
        await _end(socket, exit_status(await session.wait()))
    except (ConnectionError, RuntimeError):
        await session.kill()
    except Exception as exc:
        log.exception("exec failed")
        await session.kill()
        await _end(socket, InternalError(f"Internal error occurred: {exc}").status_object())
    finally:
        for task in (output, inputs):
            task.cancel()
        await asyncio.gather(output, inputs, return_exceptions=True)


async def _output(session: Session, socket: web.WebSocketResponse) -> None:
    while (piece := await session.read()) is not None:
        stream, data = piece
        await socket.send_bytes(bytes([stream]) + data)


async def _input(session: Session, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY) or not data:
            continue
        channel, payload = data[0], data[1:]
        if channel == STDIN and payload:
            await session.write(payload)
        elif channel == RESIZE:
            await _resize(session, payload)
        elif channel == CLOSE and payload[:1] == bytes([STDIN]):
            await session.close_stdin()


async def _resize(session: Session, payload: bytes) -> None:
    try:
        size = json.loads(payload[:1024])
        width, height = int(size["Width"]), int(size["Height"])
        if 0 <= width < 1 << 16 and 0 <= height < 1 << 16:
            await session.resize(width, height)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        log.debug("a terminal size that cannot be read: %r", payload[:80])


def exit_status(code: int) -> Obj:
    """How a program's end is reported: kubectl and the Python client take the exit code from `details`."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def _end(socket: web.WebSocketResponse, status: Obj) -> None:
    await socket.send_bytes(bytes([END]) + encode(status))
    await socket.close()
