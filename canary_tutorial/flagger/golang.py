"""Go's ways that Flagger shows: its durations, numbers, times, JSON, addresses and templates. Pure, standard library only."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)"
LONGEST = (2**63 - 1) / 1e9  # seconds; Go counts nanoseconds in 64 bits
BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True)
BOOLEANS |= dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)


# -- texts into values


def go_duration(text: str) -> float | None:
    """Go's duration text in seconds; None if it is not one, or too long for Go."""
    if not re.fullmatch(f"({DURATION})+", text or ""):
        return None
    seconds = sum(float(n) * UNITS[unit] for n, unit in re.findall(DURATION, text))
    return seconds if seconds <= LONGEST else None


def go_bool(text: str) -> bool | None:
    """strconv.ParseBool; None if the text is neither true nor false."""
    return BOOLEANS.get(text)


def is_url(address: str) -> bool:
    """Whether Go's url.Parse takes it: `prometheus:9090` is one with an odd scheme, `127.0.0.1:9090` is none."""
    if not address or re.search(r"[\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})", address):
        return False
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address)
    rest = address[scheme.end() :] if scheme else address
    if rest.startswith("//"):
        authority = re.split("[/?#]", rest[2:], maxsplit=1)[0].rpartition("@")[2]
        return bool(re.fullmatch(r"(\[[^\[\]]+\]|[^\s\[\]:<>\"\\^`{|}]*)(:\d*)?", authority))
    return bool(scheme) or ":" not in rest.split("/")[0]


# -- values into texts


def go_float(value: float) -> str:
    """Go's %v: the shortest text that means the number; an exponent below 1e-4 and from 1e21 on."""
    if not math.isfinite(value):
        return go_fixed(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


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


def go_json(value: Any) -> str:
    """As encoding/json writes it: sorted keys, `<`, `>` and `&` escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


# -- templates


class TemplateError(Exception):
    """A query's template cannot be filled in."""


def render(template: str, values: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """Go's text/template as far as queries use it: `{{ target }}`, `{{ variables.reporter }}`. Errors are in its words."""

    # The pattern has one way to match a text: queries are users', and a second one would take them minutes.
    def replace(match: re.Match[str]) -> str:
        word = match[1].removeprefix("-").removesuffix("-").strip()
        if word in values:
            return values[word]
        key = word.removeprefix("variables.")
        if word.startswith("variables.") and key in variables:
            return variables[key]
        before = template[: match.start(1) + match[1].find(word)]
        line = before.count("\n") + 1
        if word.startswith("variables."):
            column = len((before[before.rfind("\n") + 1 :] + "variables").encode())
            where = f'template: tmpl:{line}:{column}: executing "tmpl" at <{word}>'
            raise TemplateError(f'template excution failed: {where}: map has no entry for key "{key}"')  # its spelling
        raise TemplateError(f'template parsing failed: template: tmpl:{line}: function "{word}" not defined')

    filled = re.sub(r"\{\{([^{}]*)\}\}", replace, template)
    return re.sub(r"\s+", " ", filled)  # Flagger sends every run of white space as one blank
