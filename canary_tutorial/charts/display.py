"""Displays a release's chart in a notebook: live while the release runs, as a static picture once it has ended.

In JupyterLab or VS Code, a thread feeds one FigureWidget about once a second, with one round of queries each time. At the
end a static picture replaces it (plotly's data, SVG and text side by side), which a saved notebook shows without a
server. Headless runs make only that picture: a FigureWidget would leave 5 MB and an empty chart.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from canary_tutorial.charts.chart import Chart, plotly_figure, plotly_trace, release_chart, shapes
from canary_tutorial.charts.svg import svg
from canary_tutorial.errors import TutorialError
from canary_tutorial.release.release import Release

REFRESH = 1.0  # seconds


def someone_watches() -> bool:
    """Whether this kernel has a live front end: JupyterLab names its session in the kernel's environment, papermill does not."""
    return bool(os.environ.get("JPY_SESSION_NAME") or os.environ.get("VSCODE_PID")) and "ipykernel" in sys.modules


def bundle(chart: Chart) -> dict[str, Any]:
    """One output in three forms: interactive in JupyterLab, SVG in a file, a sentence for everything else."""
    lines = ", ".join(line.name for line in chart.tracks[0].lines)
    return {
        "application/vnd.plotly.v1+json": plotly_figure(chart).to_plotly_json(),
        "image/svg+xml": svg(chart),
        "text/plain": f"[plot: {chart.title}; {lines}]",
    }


def show(chart: Chart) -> None:
    """Display a finished chart."""
    from IPython.display import display

    display(bundle(chart), raw=True)  # type: ignore[no-untyped-call]


def chart_of(release: Release) -> Chart:
    """The release so far. Without Prometheus, the weights alone."""
    try:
        series = release.series()
    except TutorialError:
        series = []
    before, after = (image.rpartition("/")[2] for image in (release.before, release.image))
    title = f"{release.canary.name}: {before} → {after or 'the next'}" + (
        f", {' '.join(release.flags)}" if release.flags else ""
    )
    return release_chart(series, release.points, release.began, release.picture_end, title, release.step)


class Picture:
    """The picture of one release, from its beginning to `close()`."""

    def __init__(self, release: Release) -> None:
        self.release, self._stop = release, threading.Event()
        self._widget: Any = None
        self._handle: Any = None
        if someone_watches():
            from IPython.display import display

            self._widget = live_figure(chart_of(release))
            self._handle = display(self._widget, display_id=True)  # type: ignore[no-untyped-call]
            self._thread = threading.Thread(target=self._feed, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Let the plot run on for a while: the traffic after the end belongs to the picture."""
        self._stop.wait(seconds)

    def close(self) -> None:
        """Leave the lasting picture in the place of the live one."""
        self._stop.set()
        if "IPython" not in sys.modules:
            return
        chart = chart_of(self.release)
        if self._widget is None:
            show(chart)
            return
        self._thread.join(5)
        self._handle.update(bundle(chart), raw=True)
        self._widget.close()

    def _feed(self) -> None:
        while not self._stop.wait(REFRESH):
            update_figure(self._widget, chart_of(self.release))


def live_figure(chart: Chart) -> Any:
    """A FigureWidget as wide as its cell; `update_figure` puts later states into it."""
    import plotly.graph_objects as go

    widget = go.FigureWidget(plotly_figure(chart))
    widget.layout.autosize = True
    widget._config = {"responsive": True, "displaylogo": False}
    return widget


def update_figure(widget: Any, chart: Chart) -> None:
    """Put a chart's lines and bands into a FigureWidget that shows an earlier state of it."""
    lines = [plotly_trace(line) for track in chart.tracks for line in track.lines]
    with widget.batch_update():
        if len(lines) != len(widget.data):  # a series more: rebuild
            fresh = plotly_figure(chart)
            widget.data = []
            widget.add_traces(fresh.data)
        for shown, line in zip(widget.data, lines, strict=True):
            shown.update(name=line["name"], x=line["x"], y=line["y"], text=line["text"])
        widget.layout.update(shapes(chart), overwrite=True)
