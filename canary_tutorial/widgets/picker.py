"""The image picker: chooses the next version and its faults, and shows the command that it will run.

`choices` and `verdict` are pure: for each tag, whether it runs, was rejected, or would be ignored by Flagger.
"""

from __future__ import annotations

import threading
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from canary_tutorial.charts.display import someone_watches
from canary_tutorial.errors import TutorialError
from canary_tutorial.release.canary import set_image_command, with_flags
from canary_tutorial.release.timeline import RUNNING
from canary_tutorial.widgets import keys

if TYPE_CHECKING:
    from canary_tutorial.release.canary import Canary
    from canary_tutorial.release.release import Release

TAGS = ("2.0.0", "2.1.0", "2.1.1", "2.1.2", "2.1.3", "3.1.0", "6.0.0", "6.0.1", "6.0.2", "6.0.3", "6.14.1")
ERRORS = ["--random-error=true"]
DELAY = ["--random-delay=true", "--random-delay-min=600", "--random-delay-max=900", "--random-delay-unit=ms"]


def choices(tags: tuple[str, ...], primary: str, target: str) -> list[tuple[str, str]]:
    """(what the list shows, tag): the running ones are marked."""

    def label(tag: str) -> str:
        if tag == primary:
            return f"{tag}  (users get this one)"
        return f"{tag}  (tried last)" if tag == target else tag

    known = tags if primary in tags else (primary, *tags)
    return [(label(tag), tag) for tag in known]


def why_ignored(tag: str, flags: list[str], primary: str, target: str, target_flags: list[str], phase: str) -> str:
    """What Flagger would make of it: "" if it starts a release, else why nothing would happen."""
    if tag == primary and not flags:
        return f"{tag} is what was promoted last: Flagger ignores it. Choose another version."
    if tag == target and flags == target_flags and phase == "Failed":
        return f"{tag} was rejected just now and has not changed: Flagger ignores it. Choose another, or retry."
    if tag == target and flags == target_flags and phase in RUNNING:
        return f"{tag} is being released already."
    return ""


class ImagePicker:
    """Controls for one release: `.image`, `.errors`, `.delay`, `.press()`; `.release` is what it started."""

    def __init__(self, canary: Canary, tags: tuple[str, ...] = TAGS) -> None:
        import ipywidgets as widgets

        self.canary, self.tags = canary, tags
        self.release: Release | None = None
        self._repository = canary.image().rpartition(":")[0]
        primary, target = self._running()
        options = choices(tags, primary, target)
        first = next((tag for _, tag in reversed(options) if tag not in (primary, target)), target)
        wide = widgets.Layout(width="22em")
        self.image = widgets.Dropdown(options=options, value=first, description="Version", layout=wide)
        self.errors = widgets.Checkbox(value=False, description="answer with errors", indent=False)
        self.delay = widgets.Checkbox(value=False, description="answer slowly (600 to 900 ms)", indent=False)
        self.button = widgets.Button(
            description="Release", button_style="primary", icon="rocket", tooltip="Set the image; Flagger does the rest"
        )
        self._shown, self._output = widgets.HTML(), widgets.HTML()
        first_row, faults = widgets.HBox([self.image, self.button]), widgets.HBox([self.errors, self.delay])
        self._box = keys.box(first_row, faults, self._shown, self._output)
        for control in (self.image, self.errors, self.delay):
            control.observe(self._changed, "value")
        self.button.on_click(self._clicked)
        self._changed()

    @property
    def flags(self) -> list[str]:
        return (ERRORS if self.errors.value else []) + (DELAY if self.delay.value else [])

    @property
    def command(self) -> str:
        """What pressing Release does, as one would type it."""
        container = self.canary.container_of(self.canary.deployment())
        had = container.get("command") or []
        command = with_flags(had, self.flags)
        image = f"{self._repository}:{self.image.value}"
        return set_image_command(self.canary, container["name"], image, None if command == had else command)

    @property
    def warning(self) -> str:
        """Why Flagger would ignore this choice, or ""."""
        primary, target = self._running()
        command = self.canary.container_of(self.canary.deployment()).get("command") or []
        had = [word for word in command if word.startswith("--random")]
        return why_ignored(self.image.value, self.flags, primary, target, had, self.canary.phase)

    def press(self, show: bool = True) -> Release:
        """Set the image, as the button does; returns the Release being watched."""
        image = f"{self._repository}:{self.image.value}"
        self.release = self.canary.release(image, flags=self.flags, show=show)
        self.button.disabled = True
        self._say("✔", "The image is set. Flagger detects it at its next tick.")
        if someone_watches():
            threading.Thread(target=self._afterwards, args=(self.release,), daemon=True).start()
        return self.release

    def close(self) -> None:
        self._box.close()

    def text(self) -> str:
        return f"{self.command}\n{self.warning}".rstrip()

    __repr__ = text

    def _running(self) -> tuple[str, str]:
        primary, target = self.canary.primary_image(), self.canary.image()
        return primary.rpartition(":")[2], target.rpartition(":")[2]

    def _mark(self) -> None:
        """Mark in the list what runs now; what is chosen stays chosen. Raises TutorialError."""
        options, chosen = tuple(choices(self.tags, *self._running())), self.image.value
        if options != tuple(self.image.options):
            self.image.options = options  # which by itself chooses the first one
            self.image.value = chosen if chosen in dict(options).values() else options[0][1]

    def _changed(self, _change: Any = None) -> None:
        try:
            self._mark()
            warning = self.warning
            note = f"<div>⚠ {escape(warning)}</div>" if warning else ""
            self._shown.value = f"<code>{escape(self.command)}</code>{note}"
            self.button.disabled = bool(warning)
        except TutorialError as error:
            self._shown.value = escape(str(error))

    def _clicked(self, _button: Any) -> None:
        self.button.disabled = True
        try:
            self.press(show=False)
        except TutorialError as error:
            self._say("✘", str(error))
            self.button.disabled = False

    def _say(self, sign: str, text: str) -> None:
        self._output.value = f"<div role='status'>{sign} {escape(text)}</div>"

    def _afterwards(self, release: Release) -> None:
        """Once the release has ended, say so, and mark anew what users get."""
        release.wait()
        if release.problem:
            self._say("✘", str(release.problem))
        elif release.ended:
            self._say("✔" if release.phase == "Succeeded" else "✘", f"{release.phase} after {release.seconds:.0f} s.")
        self._changed()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if someone_watches():
            display(self._box)  # type: ignore[no-untyped-call]
            # the plot that comes next takes seconds to import, and a release does not wait for it
            threading.Thread(target=import_module, args=["plotly.graph_objs._figurewidget"], daemon=True).start()
        else:
            display({"text/plain": self.text()}, raw=True)  # type: ignore[no-untyped-call]
