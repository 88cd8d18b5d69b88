"""The operator panel: one button for each verb of a Canary, with the kubectl command that does the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from canary_tutorial.charts.display import someone_watches
from canary_tutorial.errors import TutorialError
from canary_tutorial.widgets import keys

if TYPE_CHECKING:
    from canary_tutorial.release.canary import Canary


class OperatorPanel:
    """What a person may do to a release, as buttons."""

    def __init__(self, canary: Canary) -> None:
        self.canary = copy.copy(canary)  # one that speaks here, and later too: a switch goes back after the release
        self.canary.say = self._show
        self._box: Any = None
        self._said: Any = None

    def _show(self, command: str) -> None:
        self._said.value = f"<code>{escape(command)}</code>"

    def text(self) -> str:
        return "canary.approve, hold, pause, resume, abort, promote, retry: each prints the command that it stands for"

    __repr__ = text

    def close(self) -> None:
        if self._box is not None:
            self._box.close()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not someone_watches():
            display({"text/plain": self.text()}, raw=True)  # type: ignore[no-untyped-call]
            return
        import ipywidgets as widgets

        self._said = widgets.HTML("<i>Each button shows the command that it stands for.</i>")
        buttons = [
            self._button(widgets, *each)
            for each in (
                ("Approve", "check", self.canary.approve),
                ("Hold", "lock", self.canary.hold),
                ("Pause", "pause", self.canary.pause),
                ("Resume", "play", self.canary.resume),
                ("Abort", "undo", self.canary.abort),
                ("Promote now", "forward", self.canary.promote),
                ("Retry", "refresh", self.canary.retry),
            )
        ]
        wrap = widgets.Layout(flex_flow="row wrap")
        self._box = keys.box(widgets.HBox(buttons, layout=wrap), self._said)
        display(self._box)  # type: ignore[no-untyped-call]

    def _button(self, widgets: Any, name: str, icon: str, do: Callable[[], Any]) -> Any:
        meaning = (do.__doc__ or name).split("\n")[0]
        button = widgets.Button(description=name, icon=icon, tooltip=meaning)

        def clicked(_button: Any) -> None:
            try:
                do()
                self._said.value = f"<div role='status'>{self._said.value}<br>✔ {escape(meaning)}</div>"
            except TutorialError as error:
                self._said.value = f"<div role='status'>✘ {escape(str(error))}</div>"

        button.on_click(clicked)
        return button
