"""Columns of `kubectl get`: a `Column` computes its cell from the object and the present time. Pure.

Columns of `-o wide` have priority 1. Ages are written as kubectl writes them: `5s`, `3m12s`, `4h5m`, `2d3h`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from canary_tutorial.lab.objects import Obj, at

Cell = Callable[[Obj, datetime], Any]


@dataclass(frozen=True)
class Column:
    name: str
    cell: Cell
    priority: int = 0
    type: str = "string"
    format: str = ""


def duration(seconds: float) -> str:
    """Time passed, in kubectl's words: finer when short."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 120:
        return f"{max(s, 0)}s"
    minutes, hours, days, years = s // 60, s // 3600, s // 86400, s // (86400 * 365)
    if minutes < 10:
        return _two(minutes, "m", s % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}" + (f"{small}{small_unit}" if small else "")


def age_of(value: Any, now: datetime) -> str:
    """The age of an RFC 3339 time."""
    try:
        return duration((now - datetime.fromisoformat(str(value))).total_seconds())
    except (ValueError, TypeError):
        return "<unknown>"


def field(path: str, default: Any = "<none>") -> Cell:
    """The field at a dotted path; `default` where it is absent or empty."""

    def cell(obj: Obj, now: datetime) -> Any:
        found = at(obj, path)
        return default if found in (None, "", [], {}) and found != 0 else found

    return cell


def integer(name: str, path: str) -> Column:
    return Column(name, field(path, 0), type="integer")


def count(name: str, *paths: str) -> Column:
    return Column(name, lambda obj, now: sum(len(at(obj, path) or ()) for path in paths))


def pairs(name: str, path: str) -> Column:
    """A wide column of labels: `a=b,c=d`."""
    find = field(path, {})
    return Column(name, lambda obj, now: ",".join(f"{k}={v}" for k, v in sorted(find(obj, now).items())) or "<none>", 1)


def reference(name: str, path: str) -> Column:
    """Another object, by kind and name: `Deployment/podinfo`."""
    return Column(name, lambda obj, now: f"{at(obj, f'{path}.kind')}/{at(obj, f'{path}.name')}")


NAME = Column("Name", lambda obj, now: obj["metadata"]["name"], format="name")
AGE = Column("Age", lambda obj, now: age_of(obj["metadata"].get("creationTimestamp"), now))
CREATED = Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"))
