"""The summary at the end of `make tutorial`: a table of the lessons, with the result of each release. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from canary_tutorial.release import result
from canary_tutorial.reports.notebooks import Run
from canary_tutorial.screen.tables import Table


def text(runs: Sequence[Run], peak_mb: float = 0.0) -> str:
    """Lesson, seconds, cells, result; each recorded release; the lab's peak memory; where the files are."""
    rows = [[run.notebook.stem, f"{run.seconds:.0f}", run.cells, run.error or "ok"] for run in runs]
    parts = [repr(Table(["lesson", "seconds", "cells", "result"], rows))]
    for run in runs:
        parts += [result.as_text(data) for data in run.results.values() if "phases" in data]
    if peak_mb:
        parts.append(f"peak memory of the lab, all processes together: {peak_mb:.0f} MB (PSS)")
    parts.append("read them: " + ", ".join(str(run.files[-1]) for run in runs))
    return "\n\n".join(parts)


def good(runs: Sequence[Run]) -> bool:
    """Whether every cell ran, and every release ended as its notebook says it should (`expected`)."""
    ended = [data for run in runs for data in run.results.values() if "phases" in data]
    return not any(run.error for run in runs) and all(data["phase"] == data["expected"] for data in ended)
