"""Go's ways that Flagger shows: its durations, numbers, times, JSON and addresses. Pure, standard library only."""

from __future__ import annotations

import json
import math
import re
import struct
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
NUMBER, UNIT = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+"), re.compile("[^.0-9]+")
LONGEST = (2**63 - 1) / 1e9  # seconds; Go counts nanoseconds in 64 bits
BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
BOOLEANS |= dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


# -- texts into values


@lru_cache(256)
def go_duration(text: str) -> float | None:
    """Go's duration text in seconds; None if it is not one, or too long for Go."""
    try:
        return parsed_duration(text)
    except ValueError:
        return None


def parsed_duration(text: str) -> float:
    """time.ParseDuration, in seconds; raises ValueError in its words."""
    invalid = ValueError(f"time: invalid duration {quoted(text)}")
    at = 1 if text[:1] in ("-", "+") else 0
    if text[at:] == "0":
        return 0.0
    if at == len(text):
        raise invalid
    seconds = 0.0
    while at < len(text):
        number = NUMBER.match(text, at)
        if not number:
            raise invalid
        unit = UNIT.match(text, number.end())
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if unit[0] not in UNITS:
            raise ValueError(f"time: unknown unit {quoted(unit[0])} in duration {quoted(text)}")
        seconds += float(number[0]) * UNITS[unit[0]]
        at = unit.end()
    if seconds > LONGEST:
        raise invalid
    return -seconds if text.startswith("-") else seconds


def go_bool(text: str) -> bool | None:
    """strconv.ParseBool; None if the text is neither true nor false."""
    return BOOLEANS.get(text)


def url_fault(address: str) -> str:
    """Why Go's url.Parse does not take it, or "": `prometheus:9090` has an odd scheme, `127.0.0.1:9090` has none."""
    if re.search(r"[\x00-\x1f\x7f]", address):
        return "net/url: invalid control character in URL"
    if address.startswith(":"):
        return "missing protocol scheme"
    rest, _, fragment = address.partition("#")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", rest)
    rest = rest[scheme.end() if scheme else 0 :].partition("?")[0]
    if not rest.startswith("/"):
        odd = not scheme and ":" in rest.partition("/")[0]
        return "first path segment in URL cannot contain colon" if odd else _bad_escape(fragment)
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    return _host_fault(host.rpartition("@")[2]) or _bad_escape(slash + path) or _bad_escape(fragment)


def _host_fault(host: str) -> str:
    if host.startswith("["):
        name, bracket, port = host.rpartition("]")
        if not bracket:
            return "missing ']' in host"
    else:
        name, colon, port = host.partition(":")
        port = colon + port
    if not re.fullmatch(r"(:[0-9]*)?", port):
        return f"invalid port {quoted(port)} after host"
    if "%" in name and not name.startswith("["):
        return _bad_escape(name) or f"invalid URL escape {quoted(name[name.index('%') :][:3])}"
    odd = re.search(r"[\s\\^`{|}]", name)
    return f"invalid character {quoted(odd[0])} in host name" if odd else ""


def _bad_escape(text: str) -> str:
    odd = re.search(r"%(?![0-9A-Fa-f]{2})", text)
    return f"invalid URL escape {quoted(text[odd.start() :][:3])}" if odd else ""


# -- values into texts


def quoted(text: str) -> str:
    """Go's %q."""
    return json.dumps(text, ensure_ascii=False)


def go_float(value: float) -> str:
    """Go's %v: the shortest text that means the number; an exponent below 1e-4 and for more than six digits: 2e+06."""
    if not math.isfinite(value):
        return go_fixed(value)
    number = Decimal(repr(value)).normalize()
    exponent = number.adjusted()
    if -4 <= exponent < 6 or not number:
        return f"{number:f}"
    return f"{number.scaleb(-exponent):f}e{exponent:+03d}"


def go_fixed(value: float) -> str:
    """Go's %.2f."""
    if math.isnan(value):
        return "NaN"
    return f"{value:.2f}" if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def whole_milliseconds(value: float) -> int:
    return int(value) if math.isfinite(value) else 0  # infinity overflows to nothing in Go


def go_milliseconds(milliseconds: int) -> str:
    """Go's duration text of whole milliseconds: 0s, 520ms, 1s, 1.515s, 1m1s, 1h0m0s."""
    if milliseconds < 0:
        return f"-{go_milliseconds(-milliseconds)}"
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or hours else "") + f"{seconds}s"


def float32(value: float) -> float:
    """Go counts this percentage in 32 bits: 53% of 100 pods are 52."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def timestamp(moment: datetime, timespec: str = "seconds") -> str:
    """A time in UTC by RFC 3339, cut to its seconds, milliseconds or microseconds."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def go_json(value: Any, sort: bool = True) -> str:
    """As encoding/json writes it: the keys of maps sorted, those of structs not; `<`, `>` and `&` escaped."""
    text = json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
