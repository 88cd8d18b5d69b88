"""Executes notebooks headless: by papermill, with a progress bar; keeps them as .ipynb and HTML, and collects their results.

A notebook's only inputs are its parameters and the cluster; what it records (result.py) is read from its file. The HTML
shows its plots without a server and loads nothing from elsewhere. I/O: files below the output directory, and the
kernel that papermill starts.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary_tutorial.errors import BadInput, TutorialError
from canary_tutorial.release.result import recorded
from canary_tutorial.shipped import folder


@dataclass
class Run:
    """What came of one notebook."""

    notebook: Path
    seconds: float
    cells: int
    error: str = ""  # "" if every cell ran
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def home() -> Path:
    """Where the lessons are."""
    return folder("notebooks")


def find(name: str | Path) -> Path:
    """A notebook by path, or by a lesson's number, by the beginning of its name in notebooks/. Raises BadInput."""
    if Path(name).is_file():
        return Path(name)
    start = f"{name!s:0>2}-" if str(name).isdigit() else name  # lesson 3 is in 03-release.ipynb
    found = sorted(home().glob(f"{start}*.ipynb"))
    if not found:
        known = ", ".join(path.stem for path in sorted(home().glob("*.ipynb")))
        raise BadInput(f"there is no notebook {name}", f"Those that there are: {known}.")
    return found[0]


def parameters(notebook: Path) -> set[str]:
    """The names of a notebook's parameters."""
    from papermill import inspect_notebook

    return set(inspect_notebook(str(notebook)))


def run(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    progress: bool = True,
    code: bool = True,
) -> Run:
    """Execute one notebook into `output` (a directory). A cell that fails is in `error`, not raised.

    Without `code` the page shows what came out and not the cells that made it: a report rather than a lesson.

    Raises BadInput if nothing can be written there.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    executed = output / notebook.name
    writable(output)
    began, error = time.monotonic(), ""
    try:
        papermill.execute_notebook(
            str(notebook), str(executed), parameters=dict(parameters or {}), cwd=str(notebook.parent),
            progress_bar=progress, kernel_name="python3", store_widget_state=False, report_mode=not code,
        )  # fmt: skip
    except PapermillExecutionError as exc:
        error = f"cell {exc.cell_index + 1}: {exc.ename}: {exc.evalue}".strip()
    seconds = time.monotonic() - began
    content = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    cells = sum(cell.cell_type == "code" for cell in content.cells)
    page = executed.with_suffix(".html")
    page.write_text(html(content, notebook.stem, code), encoding="utf-8")
    return Run(notebook, seconds, cells, error, recorded(content), [executed, page])


def writable(output: Path) -> None:
    """Make the directory. Raises BadInput where nothing can be written into it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as exc:
        raise BadInput(f"cannot write to {output}: {exc.strerror}", "Choose another directory: --output DIR.") from exc


def keep(files: Sequence[Path], output: Path) -> Path:
    """Move finished files into `output`, in place of those that are there; returns the last one's new place."""
    writable(output)
    for file in files:
        shutil.move(file, output / file.name)
    return output / files[-1].name


def html(notebook: Any, title: str, code: bool = True) -> str:
    """An executed notebook as one HTML page that needs no other file and no network."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        mermaid_js_url="",
        widget_renderer_url="",
        exclude_input=not code,
        exclude_input_prompt=not code,
        exclude_output_prompt=not code,
    )
    try:
        page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    except Exception as exc:
        raise TutorialError(f"nbconvert could not write {title} as HTML: {exc}") from exc
    return str(page)
