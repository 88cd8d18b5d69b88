"""Reads objects as the kubelet does (`null`, empty and absent mean the same), and words errors for Events. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.objects import Obj

LONGEST = 1024  # characters of an event's message, as in Kubernetes


class ConfigError(Exception):
    """The pod names something that is not there, or cannot be; the message is Kubernetes' own."""


def without_nulls(value: Any) -> Any:
    """A copy without the fields and elements that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value if inner is not None]
    return value


def as_pod(obj: Obj) -> Obj:
    """A pod from the store, so that what it must have is there."""
    pod: Obj = without_nulls(obj)
    pod.setdefault("spec", {}).setdefault("containers", [])
    return pod


def names_in(value: Any) -> Iterator[str]:
    """The names of all that a spec refers to, and some more."""
    if isinstance(value, dict):
        yield from (value[key] for key in ("name", "secretName") if isinstance(value.get(key), str))
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def explained(error: BaseException) -> str:
    """What went wrong, in words for an event: short, and writable in any encoding."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror.lower() + (f": {error.filename}" if error.filename else "")
    elif isinstance(error, KeyError):
        text = f"required value: {error.args[0] if error.args else ''}"
    elif isinstance(error, ConfigError | ApiError | ValueError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return shortened(text or type(error).__name__)


def shortened(text: str) -> str:
    plain = text.encode(errors="backslashreplace").decode()
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 3] + "..."
