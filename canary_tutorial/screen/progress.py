"""One line of progress: updated in place in a notebook, rewritten in a terminal, printed to a log.

Nothing is shown for what ends within two seconds, except what `done` says. I/O: the screen.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

PATIENCE = 2.0  # seconds of silence


class StatusLine:
    """A context manager: `say` what is going on as often as you like, `done` what came of it."""

    def __init__(self, what: str, patience: float = PATIENCE) -> None:
        self.what, self.began, self.patience = what, time.monotonic(), patience
        self._shown, self._handle = "", None

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if self._shown and sys.stderr.isatty():
            print(file=sys.stderr)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def in_place(self) -> bool:
        """Whether a new text takes the place of the last one; else each is a line of a log."""
        return sys.stderr.isatty() or _in_kernel()

    def say(self, text: str) -> None:
        """What is going on now. Call it as often as you like: only a new text after the first two seconds is shown."""
        if self.elapsed >= self.patience:
            words = f"{self.what}: {text}" if text else self.what
            self._show(f"{words} ({self.elapsed:.0f} s)" if self.in_place else words)

    def done(self, text: str = "") -> None:
        """The last word; without a text it stays at what was said."""
        if text:
            self._show(text)

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._shown and self.in_place:
            self._show("")

    def _show(self, text: str) -> None:
        if text == self._shown:
            return
        self._shown = text
        if _in_kernel():
            self._update(text)
        elif sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _update(self, text: str) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = {"text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


def _in_kernel() -> bool:
    if "ipykernel" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
