"""What anybody may send is bounded before anything recursive or slow looks at it: nobody ends or stalls the lab so.

A body that would end the process is read in another one. A limit of two seconds is generous: what it guards against
took from five seconds to hours, or all memory.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.checks import structural
from canary_tutorial.lab.api.connect import spdy
from canary_tutorial.lab.api.verbs import apply, patches
from canary_tutorial.lab.api.wire import bodies, protobuf
from canary_tutorial.lab.errors import ApiError, BadRequest

JSON, YAML, PROTOBUF = "application/json", "application/yaml", protobuf.MEDIA_TYPE
READ = """
import resource, sys
from canary_tutorial.lab.api.wire import bodies
from canary_tutorial.lab.errors import ApiError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    bodies.parse(eval(sys.argv[1]), sys.argv[2])
except ApiError as refused:
    print(refused.code, refused.message)
else:
    print("read")
"""


@contextmanager
def soon() -> Iterator[None]:
    """What is done here takes no time worth speaking of."""
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < 5


FATAL = {
    "a list in a list in a list": ("b'- ' * 100_000", YAML),
    "brackets": ("b'[' * 50_000", YAML),
    "braces": ("b'{a: ' * 50_000", YAML),
    "keys that are lists": ("b'? - ' * 50_000", YAML),
    "deep through aliases": (
        "b'a0: &a0 [1]\\n' + b''.join(b'a%d: &a%d [*a%d]\\n' % (i, i, i - 1) for i in range(1, 5000))", YAML,
    ),
    "one long text many times": ("b'a: &a ' + b'x' * 300_000 + b'\\nb: [' + b'*a,' * 20_000 + b']'", YAML),
    "deep JSON": ("b'[' * 3_000_000", JSON),
    "deep JSON with half a character": ("b'[' * 900 + b'\"\\\\ud800\"' + b']' * 900", JSON),
}  # fmt: skip


@pytest.mark.parametrize(("body", "content_type"), FATAL.values(), ids=FATAL.keys())
def test_no_body_ends_the_process_that_reads_it(body: str, content_type: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ, body, content_type], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout[:4]) == (0, "400 "), done.stderr[-300:]


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    return protobuf.MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


LAUGHS = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9))
MANY = b'{"f:a":[' + b"1," * 900_000 + b"1]}"
SLOW: dict[str, tuple[bytes, str]] = {
    "many values": (b"a: [" + b"1," * 900_000, YAML),
    "deep within a list": (b"- " + b"[" * 1_000_000, YAML),
    "many keys": (b"? a\n" * 700_000, YAML),
    "many tags": (b"".join(b"%%TAG !a%d! x\n" % i for i in range(30_000)) + b"--- a", YAML),
    "merge keys": (LAUGHS.encode(), YAML),
    "many small lists": (b"[" + b"[]," * 1_000_000 + b"1]", JSON),
    "many keys of JSON": (json.dumps({f"k{i}": 1 for i in range(200_000)}).encode(), JSON),
    "a long key around many values": (json.dumps({"x" * 1_000_000: [1] * 15_000}).encode(), JSON),
    "many values far within": (b'{"a":' * 90 + b"[" + b"1," * 15_000 + b"1]" + b"}" * 90, JSON),
    "many fields": (message(b"v1", b"ConfigMap", b"\x08\x01" * 1_500_000), PROTOBUF),
    "many fields of a time": (message(b"v1", b"ConfigMap", field(1, field(8, b"\x08\x01" * 1_500_000))), PROTOBUF),
    "JSON of many values": (message(b"v1", b"ConfigMap", field(1, field(17, field(7, field(1, MANY))))), PROTOBUF),
}  # fmt: skip


@pytest.mark.parametrize(("body", "content_type"), SLOW.values(), ids=SLOW.keys())
def test_a_body_of_too_many_values_is_refused_soon(body: bytes, content_type: str) -> None:
    with soon(), pytest.raises(ApiError) as refused:
        bodies.parse(body, content_type)
    assert refused.value.code in (400, 413)


def test_a_number_to_the_base_of_sixty_is_text_as_kubernetes_reads_it() -> None:
    with soon():
        assert bodies.parse(b"a: 12:30:45", YAML) == {"a": "12:30:45"}
        long = b"1" + b":59" * 200_000
        assert bodies.parse(b"a: " + long, YAML) == {"a": long.decode()}
        assert bodies.parse(b"a: !!int " + long, YAML) == {"a": long.decode()}


def test_a_number_beyond_64_bits_is_a_float_as_in_go() -> None:
    assert bodies.parse(b'{"a": 9223372036854775807}', JSON) == {"a": 2**63 - 1}
    assert bodies.parse(b'{"a": 9223372036854775808}', JSON) == {"a": 2.0**63}
    assert bodies.parse(b"a: 123456789012345678901234567890", YAML) == {"a": 123456789012345678901234567890.0}
    with pytest.raises(BadRequest):
        bodies.parse(b'{"a": ' + b"9" * 4000 + b"}", JSON)
    assert bodies.parse(b"a: " + b"9" * 4000, YAML) == {"a": "9" * 4000}, "no number is so long"


def test_what_a_lesson_applies_is_far_below_the_bounds() -> None:
    from canary_tutorial.lab.api.wire import bounds

    nodes, _, depth = bounds.check({"spec": {f"k{i}": {"a": ["b"]} for i in range(1000)}})
    assert nodes < bounds.MAX_NODES / 3
    assert depth < bounds.MAX_DEPTH / 10


# -- patches


def test_copies_that_double_an_object_are_refused() -> None:
    double = [{"op": "copy", "from": "/data", "path": f"/data/c{i}"} for i in range(21)]
    with soon(), pytest.raises(BadRequest):
        patches.json_patch({"data": {"a": "b"}}, double)
    long = [{"op": "copy", "from": "/data/a", "path": f"/data/c{i}"} for i in range(5000)]
    with soon(), pytest.raises(BadRequest):
        patches.json_patch({"data": {"a": "x" * 100_000}}, long)


SCHEMA: Any = {"properties": {"list": {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"},
                              "set": {"x-kubernetes-patch-strategy": "merge"}}}  # fmt: skip
NAMED = [{"name": f"n{i}"} for i in range(9000)]
TEXTS = [f"t{i}" for i in range(9000)]


@pytest.mark.parametrize(
    ("old", "patch", "size"),
    [
        ({"list": NAMED}, {"list": [{"name": f"m{i}"} for i in range(9000)]}, 18_000),
        ({"set": TEXTS}, {"set": [f"m{i}" for i in range(9000)]}, 18_000),
        ({"set": TEXTS}, {"$deleteFromPrimitiveList/set": [f"m{i}" for i in range(9000)]}, 9000),
        ({"set": TEXTS}, {"$setElementOrder/set": TEXTS[::-1]}, 9000),
        ({"list": NAMED}, {"$setElementOrder/list": NAMED[::-1]}, 9000),
    ],
)  # fmt: skip
def test_long_lists_are_merged_soon(old: Any, patch: Any, size: int) -> None:
    with soon():
        (merged,) = patches.strategic(old, patch, SCHEMA).values()
    assert len(merged) == size


def test_what_a_manager_no_longer_applies_goes_soon() -> None:
    meta, time_ = {"metadata": {"name": "c"}}, "2026-11-23T12:00:00Z"
    many = applied(None, {**meta, "data": {f"k{i}": "v" for i in range(6000)}}, {}, time_)
    keyed = {"properties": {"list": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}}
    listed = applied(None, {**meta, "list": [{"name": f"n{i}", "a": 1} for i in range(3000)]}, keyed, time_)
    with soon():
        assert applied(many, {**meta, "data": {"k1": "v"}}, {}, time_)["data"] == {"k1": "v"}
        assert applied(listed, {**meta, "list": [{"name": "n1"}]}, keyed, time_)["list"] == [{"name": "n1"}]


def applied(live: Any, config: Any, shape: Any, time_: str) -> Any:
    shape = {"x-kubernetes-preserve-unknown-fields": True, **shape}
    return apply.applied(live, config, shape, "m", "v1", "", time_)


@pytest.mark.parametrize("step", ["k:[1]", "k:", "v:{", "x", "k:" + "[" * 100_000])
def test_a_managers_entry_that_makes_no_sense_owns_nothing(step: str) -> None:
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:list": {step: {"f:a": {}}}}}
    live = {"metadata": {"name": "c", "managedFields": [entry]}, "list": [{"a": 1}]}
    assert applied(live, {"metadata": {"name": "c"}}, {}, "2026-11-23T12:00:00Z")["list"] == [{"a": 1}]


# -- schemas


def test_a_schema_and_an_object_together_are_no_endless_work() -> None:
    item = {"type": "object", "required": [f"r{i}" for i in range(5000)]}
    branches = {"anyOf": [{"type": "string", "enum": [f"e{i}" for i in range(100)]}] * 100}
    cases: list[tuple[Any, Any]] = [
        ({"properties": {"list": {"type": "array", "items": item}}}, {"list": [{}] * 5000}),
        ({"properties": {"list": {"type": "array", "items": branches}}}, {"list": ["x"] * 5000}),
    ]
    for shape, obj in cases:
        with soon(), pytest.raises(BadRequest):
            structural.check(obj, {"type": "object", **shape})
    unique = {"properties": {"list": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}}}
    with soon():
        assert structural.check({"list": [{"a": i} for i in range(9000)]}, unique) == []


def test_defaults_do_not_fill_all_memory() -> None:
    default = {"type": "object", "default": {f"k{i}": "v" for i in range(5000)}}
    shape = {"properties": {"list": {"type": "array", "items": {"type": "object", "properties": {"a": default}}}}}
    with soon(), pytest.raises(BadRequest):
        structural.defaulted({"list": [{} for _ in range(5000)]}, shape)
    text = {"type": "string", "default": "x" * 1_000_000}
    shape["properties"]["list"]["items"] = {"type": "object", "properties": {"a": text}}
    with pytest.raises(BadRequest):
        structural.defaulted({"list": [{} for _ in range(5000)]}, shape)


EVIL = [("^(a+)+$", "a" * 28 + "!"), ("^(a|a)*$", "a" * 28 + "!"), ("(x+x+)+y", "x" * 28)]


@pytest.mark.parametrize(("pattern", "value"), EVIL)
def test_a_pattern_never_runs_away(pattern: str, value: str) -> None:
    with soon():
        assert len(structural.check({"a": value}, {"properties": {"a": {"type": "string", "pattern": pattern}}})) == 1


def test_a_large_pattern_and_a_long_text_are_too_much_together() -> None:
    shape = {"properties": {"a": {"type": "string", "pattern": "(a|b)*a(a|b){500}$"}}}
    with soon(), pytest.raises(BadRequest):
        structural.check({"a": "ab" * 500_000}, shape)


# -- selectors


@pytest.mark.parametrize("text", ["a in (" + "," * 8000, "(" * 8000, "a" * 8000 + "!", "a>" + "9" * 8000])
def test_a_selector_that_cannot_be_read_is_refused_soon(text: str) -> None:
    with soon(), pytest.raises(BadRequest):
        selectors.labels(text)


def test_a_selector_of_many_parts_is_read_or_refused_soon() -> None:
    with soon(), pytest.raises(BadRequest, match="found ',', expected: !, identifier, or 'end of string'"):
        selectors.labels("," * 8000)
    with soon():
        assert not selectors.labels("a," * 8000 + "b")({"metadata": {}})


# -- streams


class Said:
    """A WebSocket of a client that says these things and goes."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.sent: list[bytes] = []

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        for data in self.messages:
            yield WSMessage(WSMsgType.BINARY, data, None)

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def close(self) -> None: ...


def test_a_message_of_many_small_frames_is_read_soon_and_others_have_their_turns() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        waiting = asyncio.create_task(others())
        nothing = b"\x00\x00\x00\x05\x00\x00\x00\x00"  # a frame without content for a stream that is not there
        await spdy.Tunnel(Said(nothing * 100_000), "127.0.0.1").run()  # type: ignore[arg-type]
        waiting.cancel()

    with soon():
        asyncio.run(run())
    assert turns > 1000


def test_frames_come_in_pieces_of_any_size() -> None:
    ping = b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"
    socket = Said(*(bytes([each]) for each in ping * 3), ping + ping[:5], ping[5:])
    asyncio.run(spdy.Tunnel(socket, "127.0.0.1").run())  # type: ignore[arg-type]
    assert socket.sent == [ping] * 5
