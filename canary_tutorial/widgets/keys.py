"""Keyboard input for controls: JupyterLab handles arrows, digits and Enter as the notebook's own shortcuts unless the focused
element opts out. Without this, choosing a version would need a mouse, and a "2" typed in the list would turn the cell
into a heading.
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
