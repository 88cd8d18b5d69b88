"""Keys for controls: JupyterLab takes arrows, digits and Enter for the notebook, wherever the focus is, unless the element
that has the focus asks it not to. Without this no version could be chosen without a mouse, and a "2" typed in the list
would make a heading of the cell.
"""

from __future__ import annotations

from typing import Any

MODULE = """
const owns_keys = (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true")
export default { render({ el }) {
  requestAnimationFrame(() => el.parentElement?.addEventListener("focusin", owns_keys))
} }
"""  # the attribute counts on the very element that has the focus, and JupyterLab hears a key before the element does


def box(*rows: Any) -> Any:
    """An ipywidgets VBox whose controls get the keys that are pressed in them."""
    import anywidget
    import ipywidgets

    asking = anywidget.AnyWidget(_esm=MODULE, layout={"display": "none"})
    return ipywidgets.VBox([*rows, asking])
