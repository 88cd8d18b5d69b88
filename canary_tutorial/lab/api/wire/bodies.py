"""Decodes request bodies (JSON, YAML, protobuf) within bounds, and encodes answers as JSON.

A body is untrusted: excessive size, depth, aliases ("YAML bombs"), invalid numbers and broken text are refused with 400,
413 or 415 before anything else reads it. An object's JSON for answers is made once per version and kept as long as that
version lives.
"""

from __future__ import annotations

import gc
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import re2
import yaml
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from canary_tutorial.lab.api.wire import bounds, protobuf
from canary_tutorial.lab.errors import ApiError, BadRequest, TooLarge, UnsupportedMediaType
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import MAX_STORED

LIMIT = 3 * 1024 * 1024  # bytes, as in a real API server
MAX_TAGS = 8  # handles of a YAML document: libyaml compares each with all others
LONE = re.compile(r"[\ud800-\udfff]+")  # halves of characters
LONG_WORD = 400  # characters
LONG_NUMBER = re2.compile(r"[0-9]{19}")
JSON_TYPES = ("application/json", "", "application/octet-stream")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
NO_OBJECT = "couldn't get version/kind; json parse error: "
AFTER_PAIR = "after object key:value pair"
WHERE = {  # Python's words for a fault of JSON, and Go's
    "Expecting value": "looking for beginning of value",
    "Expecting property name": "looking for beginning of object key string",
    "Illegal trailing comma": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": AFTER_PAIR,
    "Extra data": "after top-level value",
    "Invalid control character": "in string literal",
    "Invalid \\": "in string escape code",
}
COMPRESS_FROM = 128 * 1024  # a real server's threshold for gzip


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: dates stay text, and so do numbers to the base of 60."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and len(value) > LONG_WORD:
            implicit = (False, implicit[1])  # no number is so long: it need not be tried
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def _number(name: str) -> Any:
    construct = getattr(yaml.constructor.SafeConstructor, f"construct_yaml_{name}")

    def number(loader: Loader, node: yaml.ScalarNode) -> Any:
        return node.value if ":" in node.value else construct(loader, node)

    return number


for _name in ("int", "float"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _number(_name))
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


async def read(request: web.Request) -> bytes:
    """The whole body, at most `LIMIT` bytes."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise UnsupportedMediaType(f"the body of the request has an unknown Content-Encoding: {encoding[:80]}")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"Request entity too large: limit is {LIMIT}") from None
    except (RequestPayloadError, HttpProcessingError):
        request.content.feed_eof()  # there is nothing more that could be read, nor another request behind it
        said = f"the body of the request cannot be decoded: it is not {encoding or 'complete'}"
        raise BadRequest(said) from None


class Doubled(dict[str, Any]):
    """A JSON object with keys that stood more than once, in it or within it: their paths. The last counts, as in Go."""

    again: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    doubled = Doubled(found)
    doubled.again = tuple(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return doubled


def _gathered(value: Any, path: str, found: list[str]) -> Any:
    """A value without Doubled, whose paths are gathered: `metadata.name`, `spec.containers[0].image`."""
    if isinstance(value, list):
        return [_gathered(inner, f"{path}[{i}]", found) for i, inner in enumerate(value)]
    if not isinstance(value, dict):
        return value
    below = f"{path}." if path else ""
    if isinstance(value, Doubled):
        found += [f"{below}{key}" for key in value.again]
    return {key: _gathered(inner, f"{below}{key}", found) for key, inner in value.items()}


def with_duplicates(value: Any) -> Any:
    """The value, as Doubled if it is an object in which any key stands twice."""
    found: list[str] = []
    plain = _gathered(value, "", found)
    if not found or not isinstance(plain, dict):
        return plain
    doubled = Doubled(plain)
    doubled.again = tuple(found)
    return doubled


def parse_object(body: bytes, content_type: str) -> Obj:
    """The body as one object."""
    value = parse(body, content_type)
    if not isinstance(value, dict):
        raise BadRequest(f"{NO_OBJECT}json: cannot unmarshal {go_type(value)} into "
                         "Go value of type struct { APIVersion string; Kind string }")  # fmt: skip
    return value


def parse(body: bytes, content_type: str, prefix: str = NO_OBJECT) -> Any:
    """Bytes to values; raises `BadRequest` with what is wrong, `UnsupportedMediaType` for other formats."""
    if content_type == protobuf.MEDIA_TYPE:
        return _parse_protobuf(body)
    if content_type in YAML_TYPES and not body.lstrip().startswith(b"{"):
        return _parse_yaml(body)
    if content_type in JSON_TYPES or content_type in YAML_TYPES or content_type.endswith("+json"):
        return _parse_json(body, prefix)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def _parse_json(body: bytes, prefix: str) -> Any:
    try:
        text = body.decode("utf-8")
        value = _loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"{prefix}{said_in_go(exc)}") from None
    if "\\ud" in text.lower():
        # A lone surrogate can be escaped in JSON but not be written again: replaced, as Go does.
        value = _loads(_whole(json.dumps(value, ensure_ascii=False)))
    return with_duplicates(value)


def said_in_go(error: Exception) -> str:
    """What Go says of JSON that cannot be read."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error) or "nested too deeply"
    rest = error.doc[error.pos :].lstrip(" \t\r\n") if not error.msg.startswith("Invalid") else error.doc[error.pos :]
    if not rest or error.msg.startswith("Unterminated"):
        return "unexpected end of JSON input"
    where = next(
        (said for begins, said in WHERE.items() if error.msg.startswith(begins)), "looking for beginning of value"
    )
    if where == AFTER_PAIR and _in_list(error.doc[: error.pos]):
        where = "after array element"
    return f"invalid character {quoted(rest[0])} {where}"


def quoted(letter: str) -> str:
    """A character as Go shows it in a message."""
    if letter in ("'", '"'):
        return "'\\''" if letter == "'" else "'\"'"
    return f"'{letter}'" if letter.isprintable() else f"'\\u{ord(letter):04x}'"


def _in_list(text: str) -> bool:
    """Whether the innermost that is open at the end of a piece of JSON is a list."""
    opened = []
    for letter in re.sub(r'"(\\.|[^"\\])*"', "", text):
        if letter in "[{":
            opened.append(letter)
        elif letter in "]}" and opened:
            opened.pop()
    return opened[-1:] == ["["]


def _loads(text: str) -> Any:
    integer = _integer if LONG_NUMBER.search(text) else None
    collecting, said = gc.isenabled(), ""
    gc.disable()  # a million lists would be looked through again and again, before and after they are refused
    try:
        value = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=integer, object_pairs_hook=_object
        )
        try:
            bounds.check(value)
        except BadRequest as refused:
            said, value = refused.message, None
    finally:
        if collecting:
            gc.enable()
    if said:
        raise BadRequest(said)
    return value


def _integer(text: str) -> int | float:
    """Go has 64 bits for an integer; what is larger becomes a float."""
    value = int(text)
    return value if -(2**63) <= value < 2**63 else _finite(text)


def _parse_protobuf(body: bytes) -> Any:
    value = protobuf.decode(body)
    bounds.check(value)
    try:
        return _as_json(value)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"couldn't decode the protobuf body: {exc}") from None


def _parse_yaml(body: bytes) -> Any:
    if len(body) > MAX_STORED:  # it could not be stored, and is slow to read
        raise TooLarge(f"Request entity too large: limit is {MAX_STORED}")
    try:
        text = body.decode("utf-8")
        _measure(text)
        loader = Loader(text)
        try:
            return _as_json(loader.get_single_data())
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as exc:
        first = " ".join(str(exc).split()) or "nested too deeply"
        raise BadRequest(f"error converting YAML to JSON: yaml: {first}") from None


def _measure(text: str) -> None:
    """Refuse a document that is too large, also when its aliases are followed, or that contains itself.

    It is read as a stream of events, since to make an object of it libyaml would go as deep as the document.
    """
    if text.count("%TAG") > MAX_TAGS:
        raise ValueError("too many %TAG directives")
    known: dict[str, bounds.Size | None] = {}  # None: not yet at its end
    around: list[tuple[bounds.Size, str | None]] = []
    here: bounds.Size = 0, 0, 0
    for event in yaml.parse(text, Loader=Loader):
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            around.append((here, anchor))
            known |= {anchor: None} if anchor else {}
            here = 1, 0, 0
        elif isinstance(event, yaml.CollectionEndEvent):
            (nodes, size, height), (outer, anchor) = here, around.pop()
            here = _sum(outer, (nodes, size, height + 1))
            known |= {anchor: (nodes, size, height + 1)} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            known |= {anchor: (1, len(event.value), 0)} if anchor else {}
            here = _sum(here, (1, len(event.value), 0))
        elif isinstance(event, yaml.AliasEvent):
            found = known.get(anchor or "", (0, 0, 0))
            if found is None:
                raise ValueError("anchor contains itself")
            here = _sum(here, found)
        bounds.refuse(here[0] // 2, here[1], len(around) + here[2])  # keys are scalars, too


def _sum(one: bounds.Size, other: bounds.Size) -> bounds.Size:
    return one[0] + other[0], one[1] + other[1], max(one[2], other[2])


def _as_json(value: Any) -> Any:
    """What JSON can say of a value; raises ValueError where it cannot say it."""
    return _loads(_whole(json.dumps(value, allow_nan=False, ensure_ascii=False)))


def _whole(text: str) -> str:
    return LONE.sub(lambda match: "\ufffd" * len(match[0]), text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"cannot unmarshal number {text} into Go value of type float64")
    return value


def go_type(value: Any) -> str:
    """What Go's decoder calls a JSON value."""
    names = {bool: "bool", str: "string", list: "array", dict: "object", int: "number", float: "number"}
    return names.get(type(value), "null")


# -- going out


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Encoder:
    """JSON of stored objects, made once per version; what was encoded first is dropped first."""

    KEPT = 8192
    BYTES = 32 << 20

    def __init__(self) -> None:
        self._bytes: dict[str, tuple[Obj, bytes]] = {}
        self._size = 0

    def __call__(self, obj: Obj, written: Callable[[Obj], Obj]) -> bytes:
        """The JSON of what is `written` of an object as it came out of the store, where none is ever changed in place."""
        uid = obj["metadata"]["uid"]
        known = self._bytes.pop(uid, None)
        self._size -= len(known[1]) if known else 0
        encoded = known[1] if known and known[0] is obj else encode(written(obj))
        self._bytes[uid] = obj, encoded
        self._size += len(encoded)
        while len(self._bytes) > self.KEPT or self._size > self.BYTES:
            self._size -= len(self._bytes.pop(next(iter(self._bytes)))[1])
        return encoded


def failure(error: ApiError) -> web.Response:
    return web.Response(body=encode(error.status_object()), status=error.code, content_type="application/json")
