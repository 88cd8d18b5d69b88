"""What webhooks send, read as Go reads it into a type of its own. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Payload:
    """The fields that there are; a field that is not sent is empty."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    checksum: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Which Canary it is about."""
        return f"{self.name}.{self.namespace}"


class _Members(list[tuple[str, Any]]):
    """An object's fields as they are written, those that are there twice included."""


def read(body: bytes) -> Payload:
    """A webhook's body. Raises ValueError where Go would not read it.

    As in Go: letters of a field's name may have another size, null changes nothing, each occurrence of a field is read in
    turn, unknown fields are skipped, and bytes that are no UTF-8 are replaced.
    """
    try:
        found = json.loads(body.decode(errors="replace"), object_pairs_hook=_Members, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it has too many levels") from None
    payload = Payload()
    for name, value in _members(found):
        where = name.lower()
        if where == "metadata":
            payload.metadata = {**payload.metadata, **_texts(value)} if value is not None else {}
        elif where in ("name", "namespace", "phase", "checksum") and value is not None:
            setattr(payload, where, _text(value))
    return payload


def _members(value: Any) -> _Members:
    if value is not None and not isinstance(value, _Members):
        raise ValueError("there is something else where an object belongs")
    return value or _Members()


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): "" if each is None else _text(each) for key, each in _members(value)}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("there is something else where a text belongs")
    return LONE_SURROGATE.sub("\ufffd", value)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")
