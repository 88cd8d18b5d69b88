"""/log of a pod: the lines that its container wrote, from the file that the kubelet keeps.

A line of that file is `<RFC3339Nano> stdout F <text>`; clients get the text, with `timestamps` also the time.
Following means waiting for the file to grow; it ends when the container does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from aiohttp import web

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.options import flag
from canary_tutorial.lab.errors import BadRequest, Cause, Invalid
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.objects import Obj

POLL_SECONDS = 0.1  # how often a follower looks whether the file has grown
BLOCK = 64 * 1024


async def serve(api: Api, call: Call) -> web.StreamResponse:
    pod, request, query = api.get(call.target), call.request, call.request.query
    container = choose(pod, query.get("container", ""))
    previous, follow = flag(query, "previous"), flag(query, "follow")
    shown = _shown(query)
    tail, limit = _count(query, "tailLines"), _count(query, "limitBytes")
    file = api.node.log_path(pod, container, previous)
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError, FileNotFoundError), file.open("rb") as source:
        if tail is not None:
            _seek_tail(source, tail)

        def running() -> bool:
            return follow and not previous and _is_written(api, _now(api, pod), container, file)

        await _copy(source, request, response, shown, limit, running)
        await response.write_eof()
    return response


def choose(pod: Obj, asked: str) -> str:
    """The container meant: the one named, the annotated default, or the only one; else `BadRequest`."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for each in [*spec["containers"], *(spec.get("initContainers") or [])]]
    if asked:
        if asked not in names:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in names:
        return str(default)
    if len(spec["containers"]) > 1:
        known = " ".join(each["name"] for each in spec["containers"])
        raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{known}]")
    return str(names[0])


def _is_written(api: Api, pod: Obj, container: str, file: Path) -> bool:
    """Whether more may come into this file: a container that has started again writes into another one."""
    try:
        return api.node.container_running(pod, container) and api.node.log_path(pod, container, False) == file
    except BadRequest:  # it is gone
        return False


def _now(api: Api, pod: Obj) -> Obj:
    return api.store.find(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"]) or pod


async def _copy(
    source: BinaryIO,
    request: web.Request,
    response: web.StreamResponse,
    shown: Callable[[bytes], bytes],
    limit: int | None,
    running: Callable[[], bool],
) -> None:
    left = limit if limit is not None else float("inf")
    rest = b""
    while left > 0:
        alive = running()  # asked before reading: what a dying program wrote last is still read
        block = source.read(BLOCK)
        if block:
            *lines, rest = (rest + block).split(b"\n")
            data = b"".join(shown(line) for line in lines)[: int(min(left, 1 << 62))]
            left -= len(data)
            if data:
                await response.write(data)
            await asyncio.sleep(0)  # a long log is read block by block, others between
        elif not alive:
            break
        else:
            await asyncio.sleep(POLL_SECONDS)
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError  # nobody reads any more


def _shown(query: Any) -> Callable[[bytes], bytes]:
    """From a line of the file to what the client sees of it (nothing, if it is older than the client wants)."""
    since, timestamps = _since(query), flag(query, "timestamps")

    def show(line: bytes) -> bytes:
        time, _, rest = line.partition(b" ")
        text = rest.split(b" ", 2)[-1]
        if since and _moment(time.decode("ascii", "replace")) < since:
            return b""
        return (time + b" " if timestamps else b"") + text + b"\n"

    return show


def _since(query: Any) -> datetime | None:
    if query.get("sinceSeconds"):
        return datetime.now().astimezone() - timedelta(seconds=_count(query, "sinceSeconds", most=10**9) or 0)
    if query.get("sinceTime"):
        try:
            return datetime.fromisoformat(query["sinceTime"]).astimezone()
        except (ValueError, OverflowError):
            raise BadRequest(
                f'parsing time "{query["sinceTime"]}" as "2006-01-02T15:04:05Z07:00": cannot parse'
            ) from None
    return None


def _moment(text: str) -> datetime:
    """Nanoseconds and all: Python reads six digits of a fraction."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
    except ValueError:
        return datetime.now().astimezone()


def _seek_tail(source: BinaryIO, lines: int) -> None:
    """Move to where the last `lines` lines begin, reading backwards."""
    end = source.seek(0, 2)
    position, found, first = end, 0, True
    while position > 0 and lines:
        size = min(BLOCK, position)
        position -= size
        source.seek(position)
        block = source.read(size)
        for offset in _newlines_backwards(block):
            if first and position + offset == end - 1:
                continue  # the last line's own end
            found += 1
            if found == lines:
                source.seek(position + offset + 1)
                return
        first = False
    source.seek(0 if lines else end)


def _newlines_backwards(block: bytes) -> Iterator[int]:
    at = block.rfind(b"\n")
    while at >= 0:
        yield at
        at = block.rfind(b"\n", 0, at)


def _count(query: Any, name: str, most: int = 2**62) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        raise BadRequest(f'unable to convert {name}: strconv.ParseInt: parsing "{text[:40]}": invalid syntax') from None
    if value < 0:
        raise Invalid.asked("PodLogOptions", Cause.invalid(name, value, "must be greater than or equal to 0"))
    return min(value, most)
