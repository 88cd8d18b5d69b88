"""Protocols that the API server uses: a `Node` that runs pods, a `Session` in a container, a `User` of a token.

The kubelet implements `Node`, and the tests have a fake; so the API server imports neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from canary_tutorial.lab.objects import Obj

ISSUER = "https://kubernetes.default.svc.cluster.local"  # of tokens, and who they are for


@dataclass(frozen=True)
class User:
    """Who a token belongs to, e.g. `system:serviceaccount:test:flagger`."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ("system:authenticated",)
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Accounts(Protocol):
    """The tokens of ServiceAccounts."""

    ALGORITHM: str

    def issue(
        self, namespace: str, account: str, uid: str = "", audiences: tuple[str, ...] = (ISSUER,), seconds: int = 0
    ) -> str: ...

    def keys(self) -> Obj:
        """The JSON Web Key Set by which anybody can check them."""


class Session(Protocol):
    """A running exec or attach."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next output as (1 stdout | 2 stderr, data); None at the end."""

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...

    async def wait(self) -> int:
        """The exit code, once the program has ended."""

    async def kill(self) -> None:
        """The client went away: end the program."""


class Node(Protocol):
    """The machine that runs the pods."""

    def log_path(self, pod: Obj, container: str, previous: bool = False) -> Path:
        """The container's log file; lines are `<RFC3339Nano> stdout F <text>`.

        Raises `BadRequest` with kubectl's text if there is none (yet).
        """

    def container_running(self, pod: Obj, container: str) -> bool:
        """Whether more log may come: a follower stops when it does not."""

    async def exec(self, pod: Obj, container: str, command: list[str], stdin: bool, tty: bool) -> Session: ...

    async def attach(self, pod: Obj, container: str, stdin: bool, tty: bool) -> Session: ...

    def address(self, pod: Obj) -> str:
        """The IP where the pod's programs listen (not the sidecar's)."""
