"""Decodes Kubernetes' protobuf, which Go's clients send for built-in kinds: kubectl for some commands, client-go always.

Only read, never written: clients that send protobuf also accept JSON. The tables of fields are in
`schemas/protobuf.json.gz` (made by `tools/make_protobuf.py`, which explains them). Fields that are not in them belong to
a newer Kubernetes and are dropped, as an older server does. Go also writes zero values; where they carry no meaning JSON
omits them, and so does this.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from canary_tutorial.lab.api.wire import bounds
from canary_tutorial.lab.errors import BadRequest, UnsupportedMediaType
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.schema import FILE

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
MAX_DEPTH = 64
MAX_FIELDS = 2 * bounds.MAX_NODES  # of all messages in a body; the entry of a map is a message of two fields
Pairs = list[tuple[int, Any]]
UNSET: tuple[Any, ...] = (0, False, "", {})


@cache
def tables() -> dict[str, dict[str, tuple[str, str]]]:
    """By message: name and type of each field number."""
    text = gzip.decompress((FILE.parent / "protobuf.json.gz").read_bytes())
    loaded: dict[str, dict[str, tuple[str, str]]] = json.loads(text)
    return loaded


def decode(body: bytes) -> Obj:
    """The object in a protobuf body; `BadRequest` if there is none."""
    if not body.startswith(MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        return _Reader().envelope(body[len(MAGIC) :])
    except (ValueError, LookupError, struct.error, AttributeError, TypeError, OverflowError, RecursionError,
            OSError) as exc:  # fmt: skip
        raise BadRequest(f"couldn't decode the protobuf body: {exc}") from None


def _name_of(api_version: str, kind: str) -> str:
    """The message of a kind: `rbac.authorization.k8s.io/v1` and `Role` make `rbac/v1/Role`."""
    if kind == "DeleteOptions":  # goes by the version of what is deleted
        return "meta/v1/DeleteOptions"
    group, _, version = api_version.rpartition("/")
    return f"{group.partition('.')[0] or 'core'}/{version}/{kind}"


class _Reader:
    """Reads one body, and counts its fields: a message of three megabytes can hold more than a million."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def envelope(self, data: bytes) -> Obj:
        parts = dict(self._fields(data))
        names = {number: value.decode() for number, value in self._fields(parts.get(1, b""))}
        api_version, kind = names.get(1, ""), names.get(2, "")
        message = _name_of(api_version, kind)
        if message not in tables():
            raise UnsupportedMediaType(f"{kind} ({api_version}) is not read as protobuf here: send application/json")
        return {"apiVersion": api_version, "kind": kind, **self._message(parts.get(2, b""), message, 0)}

    def _message(self, data: bytes, name: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        special = SPECIAL.get(name.rpartition("/")[2])
        if special:
            return special(list(self._fields(data)))
        if name in EITHER:
            return self._either(data, name, depth)
        fields = tables()[name]
        made: Obj = {}
        for number, raw in self._fields(data):
            field, type_ = fields.get(str(number), ("", ""))
            if type_.startswith("{}"):
                key, value = self._entry(raw, type_[2:], depth)
                made.setdefault(field, {})[key] = value
            elif type_.startswith("[]"):
                made.setdefault(field, []).append(self._value(raw, type_[2:], depth))
            elif type_:
                value = self._value(raw, type_.lstrip("?"), depth)
                if not field:
                    made |= value
                elif value is not None and (type_[0] == "?" or value not in UNSET):
                    made[field] = value
        return made

    def _either(self, data: bytes, name: str, depth: int) -> Any:
        """A message that stands for one of two forms; the boolean that Go always writes gives way to the other one."""
        sent: dict[str, list[Any]] = {"b": [False]}
        for number, raw in self._fields(data):
            type_ = EITHER[name][number]
            sent.setdefault(type_, []).append(self._value(raw, type_.removeprefix("[]"), depth))
        form = next((type_ for type_ in sent if type_ != "b"), "b")
        return sent[form] if form.startswith("[]") else sent[form][-1]

    def _entry(self, raw: Any, type_: str, depth: int) -> tuple[str, Any]:
        parts = dict(self._fields(raw))
        value = parts.get(2, b"")
        return parts.get(1, b"").decode(), self._value(value, type_, depth)

    def _value(self, raw: Any, type_: str, depth: int) -> Any:
        if type_ == "s":
            return raw.decode()
        if type_ == "i":
            return _signed(raw)
        if type_ == "b":
            return bool(raw)
        if type_ == "y":
            return base64.b64encode(raw).decode()
        if type_ == "d":
            return struct.unpack("<d", raw)[0]
        return self._message(raw, type_, depth + 1)

    def _fields(self, data: bytes) -> Iterator[tuple[int, Any]]:
        """Field numbers with their raw values: integers, or bytes."""
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            tag, at = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield number, value
            elif wire == 1:
                yield number, data[at : at + 8]
                at += 8
            elif wire == 2:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise ValueError("unexpected EOF")
                yield number, data[at : at + size]
                at += size
            else:
                raise ValueError(f"wire type {wire} is not used by Kubernetes")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("integer overflow")


def _signed(raw: int) -> int:
    return raw - (1 << 64) if raw >= 1 << 63 else raw


def _time(pairs: Pairs) -> str | None:
    parts = dict(pairs)
    return datetime.fromtimestamp(parts[1], UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if parts.get(1) else None


def _micro_time(pairs: Pairs) -> str | None:
    parts = dict(pairs)
    if not parts.get(1):
        return None
    whole = datetime.fromtimestamp(parts[1], UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{parts.get(2, 0) // 1000:06}Z"


def _int_or_string(pairs: Pairs) -> int | str:
    parts = dict(pairs)
    return str(parts.get(3, b""), "utf-8") if parts.get(1, 0) == 1 else _signed(parts.get(2, 0))


def _quantity(pairs: Pairs) -> str:
    return str(dict(pairs).get(1, b""), "utf-8")


def _embedded(pairs: Pairs) -> Any:
    """JSON within protobuf."""
    return json.loads(dict(pairs).get(1, b"") or b"{}")


SPECIAL: dict[str, Callable[[Pairs], Any]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "FieldsV1": _embedded,
    "RawExtension": _embedded,
    "JSON": _embedded,
    "ExtraValue": lambda pairs: [value.decode() for _, value in pairs],
}

_SCHEMA = "apiextensions/v1/JSONSchemaProps"
# Messages of one form or another, by the number of its field.
EITHER: dict[str, dict[int, str]] = {
    f"{_SCHEMA}OrBool": {1: "b", 2: _SCHEMA},
    f"{_SCHEMA}OrArray": {1: _SCHEMA, 2: f"[]{_SCHEMA}"},
    f"{_SCHEMA}OrStringArray": {1: _SCHEMA, 2: "[]s"},
}
