"""A pod's address and directory (`Place`), and what it uses of the machine that it runs on (`Machine`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from canary_tutorial.lab.kubelet.environment import Find
from canary_tutorial.lab.objects import Obj


@dataclass
class Place:
    """Where a pod lives."""

    ip: str
    directory: Path


class Machine(Protocol):
    """What a pod takes from the machine it runs on."""

    directory: Path  # the lab's state; programs are in bin/
    resolver: str  # address of Envoy's plain listener
    server: tuple[str, int]  # the API server's host and port
    ca: str

    def find(self, namespace: str) -> Find: ...

    def token(self, pod: Obj) -> str: ...

    def kubeconfig(self, pod: Obj) -> str: ...
