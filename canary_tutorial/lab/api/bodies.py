"""What comes in and what goes out: JSON, YAML and protobuf bodies, read with care and written once.

A body is untrusted: size, depth, aliases ("YAML bombs"), numbers that are none and broken text are refused with
400, 413 or 415 before anything else looks at it. Going out, an object's JSON is made once per version and kept
as long as that version lives.
"""

from __future__ import annotations

import json
import math
from typing import Any

import yaml
from aiohttp import web

from canary_tutorial.lab.api import protobuf
from canary_tutorial.lab.errors import ApiError, BadRequest, TooLarge, UnsupportedMediaType
from canary_tutorial.lab.store import Obj

LIMIT = 3 * 1024 * 1024  # bytes, as in a real API server
MAX_DEPTH = 200
MAX_NODES = 400_000  # what a YAML document may grow to when its aliases are followed
JSON_TYPES = ("application/json", "", "application/octet-stream")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "application/apply-patch+yaml")
COMPRESS_FROM = 128 * 1024  # a real server's threshold for gzip


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: dates stay text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


async def read(request: web.Request) -> bytes:
    """The whole body, at most `LIMIT` bytes."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"Request entity too large: limit is {LIMIT}") from None


async def read_object(request: web.Request) -> Obj:
    """The body as one JSON or YAML object; an absent Content-Type means JSON."""
    return parse_object(await read(request), media_type(request))


def media_type(request: web.Request) -> str:
    return request.headers.get("Content-Type", "").split(";")[0].strip().lower()


def parse_object(body: bytes, content_type: str) -> Obj:
    value = parse(body, content_type)
    if not isinstance(value, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: json: cannot unmarshal {go_type(value)} into "
                         "Go value of type struct { APIVersion string; Kind string }")  # fmt: skip
    return value


def parse(body: bytes, content_type: str) -> Any:
    """Bytes to values; raises `BadRequest` with what is wrong, `UnsupportedMediaType` for other formats."""
    if content_type == protobuf.MEDIA_TYPE:
        value = _parse_protobuf(body)
    elif content_type in YAML_TYPES and not body.lstrip().startswith(b"{"):
        value = _parse_yaml(body)
    elif content_type in JSON_TYPES or content_type in YAML_TYPES or content_type.endswith("+json"):
        value = _parse_json(body)
    else:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        )
    if _too_deep(value):
        raise BadRequest(f"the object is nested too deeply: more than {MAX_DEPTH} levels")
    return value


def _parse_json(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"couldn't get version/kind; json parse error: {exc or 'nested too deeply'}") from None
    # A lone surrogate can be escaped in JSON but not be written again: replaced, as Go does.
    return json.loads(_whole(json.dumps(value, ensure_ascii=False))) if "\\ud" in text.lower() else value


def _parse_protobuf(body: bytes) -> Any:
    value = protobuf.decode(body)
    try:
        return _as_json(value)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"couldn't decode the protobuf body: {exc}") from None


def _parse_yaml(body: bytes) -> Any:
    try:
        loader = Loader(body)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_aliases(node)
            value = loader.construct_document(node)
        finally:
            loader.dispose()
        return _as_json(value)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as exc:
        first = " ".join(str(exc).split()) or "nested too deeply"
        raise BadRequest(f"error converting YAML to JSON: yaml: {first}") from None


def _check_aliases(root: yaml.Node) -> None:
    """Refuse a document that refers to itself or grows beyond `MAX_NODES` when its aliases are followed."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise ValueError("anchor contains itself")
        open_nodes.add(id(node))
        children = node.value if isinstance(node.value, list) else []
        flat = [each for child in children for each in (child if isinstance(child, tuple) else (child,))]
        sizes[id(node)] = 1 + sum(size(child) for child in flat)
        open_nodes.discard(id(node))
        if sizes[id(node)] > MAX_NODES:
            raise ValueError("document contains excessive aliasing")
        return sizes[id(node)]

    size(root)


def _too_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        inner = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _as_json(value: Any) -> Any:
    """What JSON can say of a value; raises ValueError where it cannot say it."""
    return json.loads(_whole(json.dumps(value, allow_nan=False, ensure_ascii=False)))


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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
    """JSON of stored objects, made once per version; the `KEPT` objects encoded first are dropped first."""

    KEPT = 8192

    def __init__(self) -> None:
        self._bytes: dict[str, tuple[Obj, bytes]] = {}

    def __call__(self, obj: Obj) -> bytes:
        """The JSON of an object as it came out of the store, where none is ever changed in place."""
        uid = obj["metadata"]["uid"]
        known = self._bytes.pop(uid, None)
        encoded = known[1] if known and known[0] is obj else encode(obj)
        self._bytes[uid] = obj, encoded
        if len(self._bytes) > self.KEPT:
            del self._bytes[next(iter(self._bytes))]
        return encoded


def answer(
    request: web.Request, body: bytes, status: int = 200, content_type: str = "application/json"
) -> web.Response:
    """A response; large ones are compressed for clients that take gzip."""
    response = web.Response(body=body, status=status, content_type=content_type)
    if len(body) > COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def failure(error: ApiError) -> web.Response:
    return web.Response(body=encode(error.status_object()), status=error.code, content_type="application/json")
