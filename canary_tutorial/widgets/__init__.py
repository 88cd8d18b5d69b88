"""ipywidgets around the helper: each shows what the cluster says, and says the same in text.

In JupyterLab or VS Code a widget lives and stops by itself; executed headless it leaves text and a picture. Everything a
widget does is a method as well, and is shown as the command that would do it.
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
