"""What a person does in JupyterLab, as verbs: open a notebook, run a cell, press a button, look. I/O: the browser.

Outputs are looked for inside their own cell, and by what a person sees, so that a test does not depend on how a widget
is made.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


class Notebook:
    """A JupyterLab window with one notebook open."""

    def __init__(self, page: Page, address: str, pictures: Path) -> None:
        self.page, self.address, self.pictures = page, address, pictures
        self.complaints: list[str] = []  # what the browser's console calls an error
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.set_default_timeout(60_000)

    def open(self, name: str) -> None:
        """Open a notebook of notebooks/ and wait for its kernel."""
        self.page.goto(self.address.format(f"lab/tree/notebooks/{name}") + "&reset")
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
        expect(self.page.locator(".jp-CodeCell").first).to_be_visible()
        self.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        expect(self.page.locator("#jp-left-stack")).to_be_hidden()

    def cell(self, contains: str) -> Locator:
        """The code cell with this text in its source."""
        return self.page.locator(".jp-CodeCell").filter(
            has=self.page.locator(".jp-InputArea-editor", has_text=contains)
        ).first  # fmt: skip

    def run(self, contains: str, seconds: float = 60) -> Locator:
        """Run one cell by Shift+Enter, wait until it is done, and return it."""
        cell = self.start(contains)
        self.finished(cell, seconds)
        return cell

    def start(self, contains: str) -> Locator:
        """Shift+Enter in a cell; does not wait for its end."""
        cell = self.cell(contains)
        cell.scroll_into_view_if_needed()
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Shift+Enter")
        return cell

    def finished(self, cell: Locator, seconds: float = 60) -> None:
        """Wait until a cell has its number, and see that it raised nothing."""
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=seconds * 1000)
        raised = cell.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'], .jp-mod-error")
        assert raised.count() == 0, raised.first.inner_text()

    def theme(self, name: str) -> None:
        """JupyterLab Light or JupyterLab Dark."""
        self.page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{name}'}})")
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)

    def picture(self, name: str, of: Locator | None = None) -> None:
        """A screenshot, of the window or of one cell."""
        path = self.pictures / f"{name}.png"
        if of is None:
            self.page.screenshot(path=path)
        else:
            of.scroll_into_view_if_needed()
            of.screenshot(path=path)

    def shut_down(self) -> None:
        """End this notebook's kernel."""
        self.page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
