"""Learn progressive delivery by running real canary releases, with real traffic, without a cluster.

A notebook begins with `from canary_tutorial import connect`; canaries, releases and metrics are reached from its Cluster.
Public names are imported on first use, so that importing the package loads none of its dependencies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from canary_tutorial.connection import Cluster, connect
    from canary_tutorial.errors import TutorialError
    from canary_tutorial.jupyter.pages import graph
    from canary_tutorial.lessons.exercises import check
    from canary_tutorial.lessons.prepare import prepare
    from canary_tutorial.metrics.prometheus import Metrics
    from canary_tutorial.release.canary import Canary
    from canary_tutorial.release.release import Release
    from canary_tutorial.release.result import record
    from canary_tutorial.screen.tables import Table
    from canary_tutorial.widgets.picker import ImagePicker

__all__ = [
    "Canary",
    "Cluster",
    "ImagePicker",
    "Metrics",
    "Release",
    "Table",
    "TutorialError",
    "check",
    "connect",
    "graph",
    "prepare",
    "record",
]

_HOMES = {
    "Canary": "release.canary", "Cluster": "connection", "ImagePicker": "widgets.picker", "Metrics": "metrics.prometheus",
    "Release": "release.release", "Table": "screen.tables", "TutorialError": "errors", "check": "lessons.exercises",
    "connect": "connection", "graph": "jupyter.pages", "prepare": "lessons.prepare",
    "record": "release.result",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
