"""ipywidgets around the helper: each shows the cluster's state, and has the same as text.

In JupyterLab or VS Code a widget updates and stops by itself; executed headless it leaves text and a picture. Each action
of a widget is also a method, and shows the kubectl command that does the same.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from canary_tutorial.errors import need

__all__ = ["ExplainCard", "ImagePicker", "OperatorPanel", "ReleaseBoard", "ServiceGraph", "UserStream"]

_HOMES = {
    "ExplainCard": "explain_card",
    "ImagePicker": "picker",
    "OperatorPanel": "panel",
    "ReleaseBoard": "board",
    "ServiceGraph": "graph",
    "UserStream": "stream",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    need("notebooks", "anywidget", "ipywidgets")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
