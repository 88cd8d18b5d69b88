"""From an object to bytes: JSON, YAML, Kubernetes' protobuf and gzip of each; and bytes that no object ever was."""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import yaml
from fuzz_grammar import Obj

from canary_tutorial.lab.api.wire.protobuf import MAGIC, tables

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
TYPES = (
    JSON,
    YAML,
    PROTOBUF,
    "",
    "text/plain",
    "application/json; charset=utf-16",
    "application/cbor",
    "multipart/form-data",
    "a/" + "b" * 2000,
)
Body = tuple[bytes, dict[str, str]]


def encode(r: random.Random, obj: Obj, content_type: str = "") -> Body:
    """The object in one of the formats, perhaps compressed, sometimes broken on the way."""
    chosen = content_type or r.choice((JSON, JSON, JSON, YAML, PROTOBUF))
    try:
        data = WRITERS.get(chosen, to_json)(obj)
    except (TypeError, ValueError, AttributeError, LookupError, struct.error):  # what the format cannot say
        chosen, data = content_type or JSON, to_json(obj)
    if r.random() < 0.04:
        data = spoiled(r, data)
    if r.random() < 0.02:
        chosen = r.choice(TYPES)
    headers = {"Content-Type": chosen} if chosen else {}
    if r.random() < 0.08:
        return squeezed(r, data), headers | {"Content-Encoding": r.choice((*["gzip"] * 9, "deflate", "br", "x"))}
    return data, headers


def to_json(obj: Any) -> bytes:
    return json.dumps(obj).encode()


def to_yaml(obj: Any) -> bytes:
    return yaml.dump(obj, Dumper=yaml.CSafeDumper).encode()


def to_protobuf(obj: Obj) -> bytes:
    group, _, version = obj["apiVersion"].rpartition("/")
    name = f"{group.partition('.')[0] or 'core'}/{version}/{obj['kind']}"
    kind = _bytes(1, obj["apiVersion"].encode()) + _bytes(2, obj["kind"].encode())
    return MAGIC + _bytes(1, kind) + _bytes(2, _message(obj, name))


WRITERS: dict[str, Callable[[Any], bytes]] = {JSON: to_json, YAML: to_yaml, PROTOBUF: to_protobuf}


def _message(value: Any, name: str) -> bytes:
    """By the same tables that the lab reads with."""
    last = name.rpartition("/")[2]
    if last == "Quantity":
        return _bytes(1, str(value).encode())
    if last == "IntOrString":
        return _number(2, value) if isinstance(value, int) else _number(1, 1) + _bytes(3, value.encode())
    if last in ("JSON", "RawExtension", "FieldsV1"):
        return _bytes(1, to_json(value))
    data = b""
    for number, (field, type_) in tables()[name].items():
        if not field:
            data += _bytes(int(number), _message(value, type_.lstrip("?")))
        elif value.get(field) is not None:
            data += _field(int(number), value[field], type_)
    return data


def _field(number: int, value: Any, type_: str) -> bytes:
    if type_.startswith("{}"):
        return b"".join(
            _bytes(number, _bytes(1, key.encode()) + _field(2, each, type_[2:])) for key, each in value.items()
        )
    if type_.startswith("[]"):
        return b"".join(_field(number, each, type_[2:]) for each in value)
    simple = type_.lstrip("?")
    if simple in "ib":
        return _number(number, int(value))
    if simple == "d":
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _bytes(number, value.encode() if simple in "sy" else _message(value, simple))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


# -- bytes that are wrong


def spoiled(r: random.Random, data: bytes) -> bytes:
    """Cut, doubled, with a byte too many, in another encoding."""
    at = r.randrange(len(data) + 1)
    ways = (
        data[:at], data + data, data[:at] + r.randbytes(3) + data[at:], b"\xef\xbb\xbf" + data,
        data.decode("latin-1").encode("utf-16"),
        data[:at] + b"\0" + data[at:], data[:at] + data[at + 1 :], data.replace(b'"', b"'"), data.replace(b"1",
        b"1e999"), b"", b" " * 1000 + data,
        data.replace(b'{"', b'{"kind":"Pod","kind":null,"', 1), data.replace(b'"', b'"\\ud800', 1),
        b"---\n" + data + b"\n---\n" + data,
    )  # fmt: skip
    return r.choice(ways)


def squeezed(r: random.Random, data: bytes) -> bytes:
    whole = gzip.compress(data, 1, mtime=0)
    return r.choice(
        (
            *[whole] * 12,
            data,
            whole[: len(whole) // 2],
            whole + b"x",
            whole + whole,
            gzip.compress(whole, mtime=0),
            whole[:10] + r.randbytes(20),
        )
    )


# What opens a level, and what closes it, in each format.
LEVELS = {
    JSON: ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b"[[],", b"]")),
    YAML: (
        (b"- ", b""),
        (b"[", b"]"),
        (b"{a: ", b"}"),
        (b"? ", b""),
        (b"- - [", b"]"),
        (b"a: [", b"]"),
        (b"!!set {? ", b"}"),
        (b"&a [", b"]"),
        (b"- ? ", b""),
    ),
}
SIZES = (10, 150, 250, 1000, 10_000, 50_000, 100_000, 500_000)


def deep(r: random.Random) -> Body:
    """Many levels, closed or not; alone or in a place where anything may stand."""
    if r.random() < 0.15:
        return deep_protobuf(r)
    format_ = r.choice((JSON, YAML, YAML))
    (opens, closes), levels = r.choice(LEVELS[format_]), r.choice(SIZES)
    inner = opens * levels + (closes * levels if r.random() < 0.5 else b"")
    data = (
        b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n0"}, "data": ' + inner + b"}"
        if r.random() < 0.4
        else inner
    )
    return _sent(r, data, format_)


def deep_protobuf(r: random.Random) -> Body:
    data = b"x"
    for _ in range(r.choice(SIZES[:4])):
        data = _bytes(r.choice((1, 2, 2, 5)), data)
    return _sent(r, MAGIC + _bytes(1, _bytes(1, b"v1") + _bytes(2, b"Pod")) + _bytes(2, data), PROTOBUF)


def wide(r: random.Random) -> Body:
    """Little depth and much of it: lists, maps, numbers, strings, aliases, indentation."""
    n = r.choice((1000, 30_000, 300_000))
    keys = b",".join(b'"k%d":"v"' % i for i in range(n // 10))
    tree = b"".join(b"%c: &%c [" % (c, c) + b"*%c," % (c - 1) * 50 + b"]\n" for c in range(98, 98 + n % 7 + 4))
    config = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n1"},"data":{' + keys + b"}}"
    many_json = (
        b"[" + b"1," * n + b"1]", b"{" + keys + b"}", config, b'{"a":' + b"9" * n + b"}", b" " * n * 10,
        b'"' + b"\\u0000" * n + b'"',
    )  # fmt: skip
    many_yaml = (
        b"a: [" + b"1," * n + b"1]", b"- x\n" * n, b"a: 1\n" * n, b"a: &a [" + b"x," * 50 + b"]\n" + tree, b"a: &a [*a]",
        b"a: " + b"9" * n, b"a: " + b"1:" * n + b"1", b"'" + b"\n" * n, b"%YAML 1.1\n" * n, b"# x\n" * n, b"? " + b"x" * n,
        b"".join(b" " * i + b"a:\n" for i in range(min(n, 2000))), b"<<: {a: 1}\n" * n, b"a: !!int " + b"1_" * n,
        b"a: !!binary " + b"A" * n, b"[" + b"? x : y, " * n + b"]",
    )  # fmt: skip
    many_fields = (MAGIC + _bytes(1, b"") * n, MAGIC + b"\xff" * n)
    content_type, ways = r.choice(((JSON, many_json), (YAML, many_yaml), (YAML, many_yaml), (PROTOBUF, many_fields)))
    return _sent(r, r.choice(ways), content_type)


def _sent(r: random.Random, data: bytes, content_type: str) -> Body:
    headers = {"Content-Type": content_type}
    if r.random() < 0.2:
        return gzip.compress(data, 1, mtime=0), headers | {"Content-Encoding": "gzip"}
    if r.random() < 0.02:  # a small body that is large
        return gzip.compress(b"[" * 40_000_000, 1, mtime=0), headers | {"Content-Encoding": "gzip"}
    return data, headers
