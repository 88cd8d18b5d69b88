"""A release's chart as plain data: tracks of lines over one time axis, with Flagger's phases as bands. Pure.

`release_chart` builds it from samples and points. `plotly_figure` draws it for interactive use, `svg` (svg.py) for saved
files. Lines differ in color, dash and marker, so that no reader depends on color alone; the colors are Okabe and Ito's,
which color-blind readers can tell apart on light and dark backgrounds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from canary_tutorial.errors import need
from canary_tutorial.metrics.series import Series, role
from canary_tutorial.release.timeline import UNDETECTED, Point, Step, steps

GREY = "#777777"  # text and axes: readable on white and on black
FONT = "system-ui, sans-serif"
XY = tuple[float, float | None]
LETTER, LINE = 6.4, 14  # pixels: about a letter's width at size 11, and how far two lines of names are apart
NARROW = 560  # pixels: the plot in a window as narrow as they come
# Pixels: a track of height 1, between tracks, above the first, below the last.
UNIT, GAP, ABOVE, BELOW = 95, 34, 62, 100


@dataclass(frozen=True)
class Style:
    colour: str
    dash: str  # plotly's word: solid, dash, dot
    marker: str  # plotly's word: circle, diamond, circle-open


ROLES: Mapping[str, Style] = {
    "primary": Style("#0072b2", "solid", "circle"),
    "shifted": Style("#d55e00", "dash", "diamond"),
    "mirrored": Style("#009e73", "dot", "circle-open"),
}
OTHER = Style("#777777", "dash", "circle")


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[XY]
    style: Style
    step: bool = False  # keeps its value until the next point
    notes: Sequence[str] = ()  # what is said beside each value that one points at


@dataclass(frozen=True)
class Limit:
    """A threshold: a value that must not be passed."""

    value: float
    text: str
    least: bool = False  # what passes is above it, and its text below


@dataclass(frozen=True)
class Track:
    title: str  # what its y axis says, unit included
    lines: Sequence[Line]
    share: float = 1.0  # of the height
    top: float | None = None  # the axis reaches at least this far
    limits: Sequence[Limit] = ()


@dataclass(frozen=True)
class Band:
    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Chart:
    title: str
    x_title: str
    tracks: Sequence[Track]
    bands: Sequence[Band] = field(default=())

    @property
    def span(self) -> tuple[float, float]:
        xs = [x for track in self.tracks for line in track.lines for x, _ in line.points]
        xs += [x for band in self.bands for x in (band.start, band.end)]
        return (min(xs), max(xs)) if xs else (0.0, 1.0)


def release_chart(
    series: Sequence[Series], points: Sequence[Point], began: float, end: float, title: str = "", step: float = 1.0
) -> Chart:
    """The webinar's plot, and below it the weights; time in seconds since `began` (both in seconds since the epoch).
    `step`: seconds between two samples of `series`."""
    rates = []
    for name, style in {**ROLES, "direct": OTHER}.items():
        found = [s for s in series if role(s.labels) == name] or [Series({}, [])] * (name in ROLES)
        rates += [Line(f"{name}: {_label(s)}", _since(began, with_gaps(s.samples, step)), style) for s in found]
    stretches = steps(points, end) if points else []
    bands = [
        Band(max(s.start, first_sample(series, points)) - began, s.end - began, s.phase or UNDETECTED)
        for s in _by_phase(stretches)
    ]
    tracks = [
        Track("requests per second", rates, share=2.2, top=20),
        Track("weight, %", _weights(stretches, began), top=100),
    ]
    return Chart(title, "seconds since the image was set", tracks, bands)


def first_sample(series: Sequence[Series], points: Sequence[Point]) -> float:
    """Where the samples begin; a point may be older than what is drawn."""
    firsts = [s.samples[0][0] for s in series if s.samples]
    return min(firsts, default=points[0].time if points else 0.0)


def with_gaps(samples: Sequence[tuple[float, float]], step: float = 1.0) -> list[XY]:
    """A None where samples are missing, so that no line is drawn across nothing. `step`: seconds between two samples of
    the query that gave them; the samples cannot tell, since the first of them may stand alone."""
    found: list[XY] = []
    for time, value in samples:
        if found and time - found[-1][0] > 1.5 * step:
            found.append((found[-1][0] + step, None))
        found.append((time, value))
    return found


def _weights(stretches: Sequence[Step], began: float) -> list[Line]:
    def line(name: str, values: Sequence[float]) -> Line:
        pairs: list[XY] = [(s.start - began, value) for s, value in zip(stretches, values, strict=True)]
        if stretches:
            pairs.append((stretches[-1].end - began, values[-1]))
        return Line(name, pairs, ROLES[name], step=True)

    return [
        line("primary", [s.primary for s in stretches]),
        line("shifted", [s.canary for s in stretches]),
        line("mirrored", [100.0 * s.mirror for s in stretches]),
    ]


def _by_phase(stretches: Sequence[Step]) -> list[Step]:
    found: list[Step] = []
    for step in stretches:
        if found and found[-1].phase == step.phase:
            found[-1] = Step(found[-1].start, step.end, step.phase, 0, 0, False)
        else:
            found.append(step)
    return found


def _label(series: Series) -> str:
    if not series.labels:
        return "no requests"
    return f"{series.labels.get('destination_workload', '')}, {series.labels.get('request_host', 'no request_host')}"


def _since(began: float, samples: Sequence[XY]) -> list[XY]:
    return [(time - began, value) for time, value in samples]


def plotly_figure(chart: Chart) -> Any:
    """The chart as a plotly Figure that takes on the ground it stands on, dark or light."""
    need("notebooks", "plotly")
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    shares = [track.share for track in chart.tracks]
    plot = sum(shares) * UNIT + GAP * (len(shares) - 1)
    title = textwrap.wrap(chart.title, 72, break_on_hyphens=False)
    above = ABOVE + LINE * 2 + 19 * max(0, len(title) - 1)  # of the names, up to three lines
    figure = make_subplots(len(shares), 1, shared_xaxes=True, vertical_spacing=GAP / plot, row_heights=shares)
    for row, track in enumerate(chart.tracks, 1):
        for line in track.lines:  # the first track's legend serves all: the same color and dash mean the same role
            group = line.name.split(":")[0]
            figure.add_trace(go.Scatter(**plotly_trace(line), legendgroup=group, showlegend=row == 1), row, 1)
        figure.update_yaxes(rangemode="tozero", nticks=max(3, int(track.share * 4)), row=row, col=1)
        if track.top is not None:
            figure.update_yaxes(autorangeoptions={"include": [0, track.top * 1.05]}, row=row, col=1)
    figure.update_xaxes(title={"text": chart.x_title, "standoff": 6}, row=len(shares), col=1)
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(gridcolor="rgba(128,128,128,.25)", zeroline=False)
    figure.update_layout(
        title={"text": "<br>".join(map(escape, title)), "x": 0, "xanchor": "left", "font": {"size": 14}},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font={"color": GREY, "family": FONT},
        legend={"orientation": "h", "yanchor": "top", "y": -48 / plot, "x": 0}, height=above + plot + BELOW,
        margin={"l": 44, "r": 20, "t": above, "b": BELOW}, hovermode="x unified", **shapes(chart),
    )  # fmt: skip
    return figure


def plotly_trace(line: Line) -> dict[str, Any]:
    """A line as plotly's scatter trace; also what a live picture sets anew on each refresh."""
    style = line.style
    return {
        "name": line.name,
        "x": [round(x, 2) for x, _ in line.points],
        "y": [None if y is None else round(y, 3) for _, y in line.points],
        "mode": "lines" if line.step else "lines+markers",
        "connectgaps": False,
        "text": list(line.notes),
        "hovertemplate": "%{y:.4g} %{text}" if line.notes else "%{y:.4g}",
        "line": {"color": style.colour, "dash": style.dash, "width": 2.5, "shape": "hv" if line.step else "linear"},
        "marker": {"symbol": style.marker, "size": 7, "maxdisplayed": 14, "color": style.colour},
    }


def shapes(chart: Chart) -> dict[str, list[dict[str, Any]]]:
    """What is not a line, as plotly's shapes and annotations: the phases as alternating ground with their names on top,
    each track's title at its upper left, and each limit with its text."""
    shapes: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    start, end = chart.span
    for i, (band, name) in enumerate(zip(chart.bands, place_labels(chart, NARROW), strict=True)):
        ground = f"rgba(128,128,128,{0.16 if i % 2 else 0.05})"
        place = {"xref": "x", "yref": "paper", "x0": band.start, "x1": band.end, "y0": 0, "y1": 1}
        shapes.append({"type": "rect", **place, "layer": "below", "line": {"width": 0}, "fillcolor": ground})
        place = {"xref": "x", "yref": "paper", "x": start + name.at * (end - start), "y": 1.0, "yanchor": "bottom"}
        texts.append(
            {**place, "yshift": 16 + LINE * name.line, "text": band.text, "showarrow": False, "font": {"size": 11}}
        )
    for row, track in enumerate(chart.tracks, 1):
        axis = f"y{row if row > 1 else ''}"
        place = {"xref": "paper", "yref": f"{axis} domain", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
        texts.append({**place, "text": track.title, "showarrow": False, "font": {"size": 12}})
        for limit in track.limits:
            place = {"xref": "paper", "yref": axis, "x0": 0, "x1": 1, "y0": limit.value, "y1": limit.value}
            shapes.append({"type": "line", **place, "line": {"dash": "dashdot", "color": GREY, "width": 1.5}})
            side = "top" if limit.least else "bottom"
            place = {"xref": "paper", "yref": axis, "x": 1, "y": limit.value, "xanchor": "right", "yanchor": side}
            texts.append({**place, "text": limit.text, "showarrow": False, "font": {"size": 11}})
    return {"shapes": shapes, "annotations": texts}


@dataclass(frozen=True)
class LabelPlace:
    """Where a band's name stands: its middle as a fraction of the plot's width, and how many lines higher than the lowest."""

    at: float
    line: int


def place_labels(chart: Chart, width: float) -> list[LabelPlace]:
    """A place for each band's name in a plot of `width` pixels: over its band, inside the plot, beside no other."""
    start, end = chart.span
    taken: list[float] = []  # for each line, where its last name ends
    found: list[LabelPlace] = []
    for band in chart.bands:
        half = min(LETTER * len(band.text) / 2 / width, 0.5)
        middle = ((band.start + band.end) / 2 - start) / ((end - start) or 1)
        at = min(max(middle, half), 1 - half)
        line = next((n for n, last in enumerate(taken) if at - half > last), len(taken))
        taken[line:] = [at + half, *taken[line + 1 :]]
        found.append(LabelPlace(at, line))
    return found
