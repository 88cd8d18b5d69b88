"""Type and range of each value that a user may write into a field that Envoy reads. Pure.

Envoy accepts a file of configuration whole or not at all, and its rules are narrower than an object's schema. So every
value that goes from an object into a file is checked here. One that Envoy would refuse is a ValueError: then the object
that has it is left out, and no other. A missing field, null, and an empty value mean the same: the default.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any

import re2

UINT32, INT32 = 2**32 - 1, 2**31 - 1
LONGEST = 9_223_372_036  # seconds, as far as Go's durations go; Envoy's go further
LONGEST_HEADER = 16384  # bytes, Envoy's limit for a name and for a value
LARGEST_PROGRAM = 32768  # of a regular expression, Istio's and ours, see bootstrap.RUNTIME
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)"
_TOKEN = r"[0-9A-Za-z!#$%&'*+\-.^_`|~]+"
_LABEL = r"[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_NAME = rf"{_LABEL}(\.{_LABEL})*"


@lru_cache(4096)
def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(1024)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def text(value: Any, what: str, most: int = 0) -> str:
    """A text that Envoy's configuration can hold."""
    if not isinstance(value, str):
        raise ValueError(f"{what}: {_short(value)} is not a string")
    size = len(value.encode())  # a UnicodeEncodeError is a ValueError
    if most and size > most:
        raise ValueError(f"{what}: {size} bytes are too long, at most {most} are possible")
    return value


def required(value: Any, what: str, most: int = 0) -> str:
    if not text(value, what, most):
        raise ValueError(f"{what}: must not be empty")
    return str(value)


def whole(value: Any, what: str, low: int = 0, high: int = UINT32) -> int:
    """A whole number within limits; 5.0 is one, `true` is not."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        raise ValueError(f"{what}: {_short(value)} is not a number")
    if value != int(value) or not low <= value <= high:
        raise ValueError(f"{what}: {_short(value)} is not a whole number from {low} to {high}")
    return int(value)


def texts(value: Any, what: str) -> list[str]:
    """A list of texts; null is an empty one."""
    if not isinstance(value or [], list):
        raise ValueError(f"{what}: {_short(value)} is not a list")
    return [text(each, what) for each in value or []]


def flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what}: {_short(value)} is not true or false")
    return value


def percent(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f"{what}: {_short(value)} is not a percentage from 0 to 100")
    return float(value)


def seconds(duration: Any, default: str = "0s", what: str = "duration", least: float = 0.0) -> str:
    """A duration as Envoy wants it: `1m30s`, `500ms`, `30s` -> `90s`, `0.5s`, `30s`."""
    given = text(duration or default, what, 100)
    total = _total(given)
    if total is None:
        raise ValueError(f"{what}: {given!r} is not a duration")
    if not least <= total <= LONGEST:
        raise ValueError(f"{what}: {given} is not a duration from {least:g}s to {LONGEST}s")
    return f"{total:.6f}".rstrip("0").rstrip(".") + "s"


@lru_cache(1024)
def _total(duration: str) -> float | None:
    if not _like(f"({DURATION})+", duration):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in _compiled(DURATION).findall(duration))


def regex(value: Any, what: str = "regex") -> str:
    """A regular expression for RE2, which is Envoy's."""
    pattern = required(value, what)
    try:
        program = _compiled(pattern)
    except re2.error as error:
        raise ValueError(f"{what}: {_short(pattern)} is not a regular expression: {_why(error)}") from None
    if program.programsize > LARGEST_PROGRAM:
        raise ValueError(f"{what}: {_short(pattern)} is too large a regular expression")
    return pattern


def substitution(value: Any, pattern: str, what: str) -> str:
    r"""What a regular expression's match is replaced by: `\1` is its first group, `\\` a backslash."""
    given = header_value(value, what)
    groups = _compiled(pattern).groups
    after = iter(given)
    for letter in after:
        if letter == "\\":
            following = next(after, "")
            if following != "\\" and not (following.isascii() and following.isdigit() and int(following) <= groups):
                raise ValueError(f"{what}: {_short(given)} names a group that the expression does not have")
    return given


def escaped(literal: str) -> str:
    """A regular expression for a text as it is."""
    return re.escape(literal)


def header_name(value: Any, what: str = "header") -> str:
    name = required(value, what, LONGEST_HEADER)
    if not _like(f":?{_TOKEN}", name):
        raise ValueError(f"{what}: {_short(name)} is not the name of a header")
    return name


def changeable(value: Any, what: str = "header") -> str:
    """The name of a header that a rule may add or remove."""
    name = header_name(value, what)
    if name.startswith(":") or name.lower() == "host":
        raise ValueError(f"{what}: {_short(name)} cannot be changed by a rule")
    return name


def header_value(value: Any, what: str = "header") -> str:
    given = text(value, what, LONGEST_HEADER)
    if any(sign in given for sign in "\r\n\0"):
        raise ValueError(f"{what}: {_short(given)} has a line break")
    return given


def port(value: Any, what: str = "port") -> int:
    return whole(value, what, 1, 65535)


def address(value: Any, what: str = "address") -> str:
    return _address(required(value, what))


@lru_cache(4096)
def _address(given: str) -> str:
    return str(ipaddress.ip_address(given))


def host(value: Any, what: str = "host") -> str:
    """A host as Istio takes it: a DNS name, its last part or all of it a wildcard, or an address."""
    name = required(value, what, 255)
    if name != "*" and not _like(rf"(\*[.-])?{_NAME}", name) and not _is_address(name):
        raise ValueError(f"{what}: {_short(name)} is not a DNS name, nor a wildcard of one, nor an address")
    return name


def label(value: Any, what: str) -> str:
    """A DNS label, as Istio wants the name of a subset."""
    name = required(value, what, 63)
    if not _like(_LABEL, name):
        raise ValueError(f"{what}: {_short(name)} is not a DNS label")
    return name


def is_dns_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 253 and _like(_NAME, value)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _why(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


def _short(value: Any) -> str:
    """A value for a message: a user's list of a million is no use there."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
