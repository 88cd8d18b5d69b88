"""Small tables: as text in a terminal, as HTML in a notebook. Pure.

`kubectl get` prints the API server's own table; `Table.of_server` takes that answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

T = TypeVar("T")
CELL = "text-align:left;padding:.2em .8em .2em 0"  # the same in an output, in a widget and in a report


@dataclass(frozen=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""

    @classmethod
    def of_server(cls, answer: dict[str, Any], wide: bool = False, namespaces: bool = False) -> Table:
        """From a `meta.k8s.io/v1 Table`, as kubectl shows it: the columns of priority 0, or all of them if `wide`;
        `namespaces` adds that column in front (kubectl's -A)."""
        shown = [i for i, column in enumerate(answer["columnDefinitions"]) if wide or not column.get("priority", 0)]
        columns = [answer["columnDefinitions"][i]["name"] for i in shown]
        rows = [[row["cells"][i] for i in shown] for row in answer.get("rows") or []]
        if namespaces:
            where = [row["object"]["metadata"].get("namespace", "") for row in answer.get("rows") or []]
            columns, rows = ["Namespace", *columns], [[ns, *row] for ns, row in zip(where, rows, strict=True)]
        return cls(columns, rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row as a dict, by column name."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        cells = [[column.upper() for column in self.columns], *(list(map(text, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        body = "\n".join(lines) if self.rows else "nothing found"
        return f"{self.title}\n{body}" if self.title else body

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escape(self.title + ': ' if self.title else '')}nothing found</p>"
        caption = f"<div>{escape(self.title)}</div>" if self.title else ""  # a <caption> is as narrow as its table
        head = "".join(f"<th scope='col' style='{CELL}'>{escape(str(column))}</th>" for column in self.columns)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        return f"{caption}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Listed(list[T]):
    """A list that a notebook shows as a table; a subclass says as which."""

    def table(self) -> Table:
        raise NotImplementedError

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def printable(said: str) -> str:
    """What a cluster says, fit for a terminal: its control characters could move the cursor, or worse, and are shown
    as �."""
    return said.translate(CONTROLS)


def text(value: Any) -> str:
    """A cell as one reads it: numbers short, nothing as `<none>`, lists joined."""
    if value is None or value == "":
        return "<none>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Iterable) and not isinstance(value, str | dict):
        return ", ".join(map(text, value))
    return printable(str(value))


def _cells(row: Sequence[Any]) -> str:
    return "".join(f"<td style='{CELL}'>{escape(text(cell))}</td>" for cell in row)
