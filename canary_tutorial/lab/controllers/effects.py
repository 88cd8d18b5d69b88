"""The effects that a controller's plan returns; `manager.py` executes them."""

from __future__ import annotations

from dataclasses import dataclass

from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj


@dataclass(frozen=True)
class Create:
    """A new object; with `metadata.generateName` the runner finds a name.

    If it is made for another object (`regarding`), Events about that one say whether it was created.
    """

    kind: Kind
    obj: Obj
    regarding: Obj | None = None
    component: str = ""


@dataclass(frozen=True)
class Update:
    """The object as it should be; written only if nobody else wrote since it was observed."""

    kind: Kind
    obj: Obj
    subresource: str | None = None


@dataclass(frozen=True)
class Delete:
    kind: Kind
    name: str
    namespace: str | None = None
    uid: str | None = None
    propagation: str = "Background"


@dataclass(frozen=True)
class Record:
    """An Event about `regarding`, as `kubectl describe` shows it."""

    regarding: Obj
    type: str
    reason: str
    message: str
    component: str


@dataclass(frozen=True)
class Wake:
    """Plan again after `seconds`, even if nothing changes."""

    seconds: float


Effect = Create | Update | Delete | Record | Wake
