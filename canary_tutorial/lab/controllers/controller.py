"""What a controller says of itself: which events concern which of its objects, and what it wants for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from canary_tutorial.lab.controllers.effects import Effect
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Event, Store

Key = tuple[Kind, str, str]  # kind, namespace, name: one object to reconcile


@dataclass(frozen=True)
class Context:
    """What a controller reads: the objects, and what the lab gives to new ones."""

    store: Store
    ca: str = ""
    service_addresses: Callable[[], Iterable[str]] = tuple


def nothing(name: str, namespace: str, context: Context) -> list[Effect]:
    return []


@dataclass(frozen=True)
class Controller:
    """The controller of one kind. `concerns` gives the key of the event's object itself too, if that is of this kind.

    `reconcile` observes and plans for an object that exists, `gone` for one that does not.
    """

    kind: Kind
    concerns: Callable[[Event, Store], Iterable[Key]]
    reconcile: Callable[[Obj, Context], list[Effect]]
    gone: Callable[[str, str, Context], list[Effect]] = nothing


def key_of(kind: Kind, obj: Obj) -> Key:
    return kind, namespace_of(obj), obj["metadata"]["name"]


def namespace_of(obj: Obj) -> str:
    return obj["metadata"].get("namespace") or ""
