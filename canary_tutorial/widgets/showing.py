"""Base class of the read-only widgets: refresh once, or about once a second until nothing more will change.

A subclass defines `look()` (read the cluster; False when it is over), `html()` and `text()` (of the last reading). In a
live front end a thread feeds one HTML widget, which plain HTML replaces at the end, so that a saved notebook keeps it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from html import escape
from typing import Any

from canary_tutorial.charts.display import someone_watches
from canary_tutorial.errors import TutorialError

REFRESH = 1.0  # seconds


class Showing(ABC):
    """A view of the cluster."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: Any = None
        self._page: Any = None
        self.problem = ""
        self._found = False  # whether it has ever seen the cluster: before that there is nothing to show

    @abstractmethod
    def look(self) -> bool:
        """Ask the cluster; False when nothing more will change."""

    @abstractmethod
    def html(self) -> str: ...

    @abstractmethod
    def text(self) -> str: ...

    def __repr__(self) -> str:
        if self._thread is None:
            self.safe_look()
        return str(self.bundle()["text/plain"])

    def safe_look(self) -> bool:
        """`look`, with what went wrong shown in place rather than raised: a view must not break a lesson."""
        self.problem = ""
        try:
            going_on = self.look()
            self._found = True
            return going_on
        except TutorialError as error:
            self.problem = str(error)
            return True

    def bundle(self) -> dict[str, Any]:
        """What stays in a notebook."""
        problem = f"<p>{escape(self.problem)}</p>" if self.problem else ""
        seen = self.html() if self._found else ""
        return {"text/html": problem + seen, "text/plain": self.problem or self.text()}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        going_on = self.safe_look()
        if not (someone_watches() and going_on):
            display(self.bundle(), raw=True)  # type: ignore[no-untyped-call]
            return
        import ipywidgets

        self._page = ipywidgets.HTML(self.bundle()["text/html"])
        self._handle = display(self._page, display_id=True)  # type: ignore[no-untyped-call]
        self._stop.clear()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        while not self._stop.wait(REFRESH):
            going_on = self.safe_look()
            self._page.value = self.bundle()["text/html"]
            if not going_on:
                break
        self._settle()

    def _settle(self) -> None:
        """Leave the plain page in the place of the living one."""
        if self._handle is not None:
            self._handle.update(self.bundle(), raw=True)
            self._handle = None
            self._page.close()

    def close(self) -> None:
        """Stop looking; what was seen last stays."""
        self._stop.set()


STYLE = (
    "font-family:system-ui,sans-serif;line-height:1.45;color:inherit;border:1px solid rgba(128,128,128,.4);"
    "border-radius:6px;padding:.6em .9em;max-width:900px"
)


def card(title: str, body: str) -> str:
    """A frame that takes on the ground it stands on, dark or light."""
    return f"<div style='{STYLE}'><div style='font-weight:600;margin-bottom:.3em'>{title}</div>{body}</div>"
