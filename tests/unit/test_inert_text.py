"""Text from a cluster is text everywhere: it becomes no part of a page, and moves no cursor."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbclient import NotebookClient

from canary_tutorial.cli import tutorial
from canary_tutorial.errors import BadInput
from canary_tutorial.reports import notebooks
from canary_tutorial.screen import tables

HOSTILE = "<img src=x onerror=alert(1)> | <script>alert(2)</script> `<b>` [x](javascript:alert(3)) **bold** $x$"
REPORT = Path(__file__).parents[2] / "notebooks" / "report.ipynb"
STUBS = f"""
from types import SimpleNamespace as Is
from IPython.display import Markdown, display
from canary_tutorial import Table
from canary_tutorial.release import ticks

hostile = {HOSTILE!r}
users = Is(answered=1, failed=0, mirrored=1, mirrored_failed=0, doubt=hostile)
release = Is(
    impact=lambda: users, detected_after=1, phase=hostile, before=hostile, image=hostile,
    seconds=1, weights=[hostile], reason="Halt " + hostile,
)
faults, canary = hostile, Is(shortest_release=1)
"""


class Page(HTMLParser):
    """What a page is made of: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_that_a_release_says_becomes_a_part_of_its_report():
    book = nbformat.v4.new_notebook()
    verdict = next(cell.source for cell in nbformat.read(REPORT, as_version=4).cells if "Verdict" in cell.source)
    ticks = (
        "ticks.Ticks([{'time': '2026-01-01T00:00:00Z', 'phase': hostile, 'primary': 100, 'canary_weight': 0, "
        "'mirrored': False, 'failedChecks': hostile, 'hooks': [{'name': hostile, 'error': hostile}], 'events': "
        "[{'type': 'Warning', 'message': hostile}], 'checks': [{'metric': hostile, 'value': 1.0, 'threshold': hostile, "
        "'interval': hostile, 'verdict': hostile}]}])"
    )
    book.cells = [nbformat.v4.new_code_cell(source) for source in (STUBS, verdict, ticks, "hostile", "print(hostile)")]
    NotebookClient(book, kernel_name="python3").execute()
    page = Page(notebooks.html(book, HOSTILE, code=False))
    assert "Verdict: not finished" in page.text
    assert page.text.count(HOSTILE) >= 8, "it is there, as text"
    assert not [attributes for _, attributes in page.tags if "onerror" in attributes]
    assert not [a for tag, a in page.tags if tag == "a" and str(a.get("href")).startswith("javascript")]
    assert not [tag for tag, attributes in page.tags if tag == "img" and attributes.get("src") == "x"]
    assert "alert(2)" not in "".join(
        part.partition("</script")[0] for part in notebooks.html(book, "x").split("<script")[1:]
    )


def test_a_table_is_text_in_a_page_and_in_a_terminal():
    table = tables.Table([HOSTILE], [[HOSTILE], ["\x1b]0;title\x07 \x9b2J\r gone"]], title=HOSTILE)
    page = Page(table._repr_html_())
    assert {tag for tag, _ in page.tags} == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert "\x1b" not in repr(table)
    assert "�]0;title� �2J� gone" in repr(table)


def test_what_a_command_prints_of_a_cluster_holds_no_control_characters(monkeypatch: pytest.MonkeyPatch):
    @tutorial.main.command("hostile")
    def hostile() -> None:
        raise BadInput("said \x1b[2J and \x07", "next \x9b")

    try:
        ended = CliRunner().invoke(tutorial.main, ["hostile"])
    finally:
        tutorial.main.commands.pop("hostile")
    assert ended.output == "said �[2J and �\n→ next �\n"
    assert tables.printable("a\tb\nc") == "a\tb\nc"
