"""Draws a chart as SVG, for executed notebooks and reports. Pure.

plotly needs Chrome to write pictures. This draws the same `Chart` with the same colors, dashes and markers, in a few
kilobytes that every browser shows without a server.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from canary_tutorial.charts.chart import FONT, GREY, LINE, Chart, LabelPlace, Line, Style, Track, place_labels

WIDTH, LEFT, RIGHT, ABOVE, GAP = 900, 40, 16, 50, 30
UNIT = 120  # pixels of height for a track of height 1
GRID = {"stroke": "#808080", "stroke_opacity": ".25"}
DASHES = {"solid": "none", "dash": "9 5", "dot": "2 4"}
Scale = Callable[[float], float]  # from a value to a pixel


def svg(chart: Chart) -> str:
    """The chart as one SVG element. Its <title> and <desc> say for a screen reader what is drawn."""
    x0, x1 = chart.span
    plot = WIDTH - LEFT - RIGHT

    def x(value: float) -> float:
        return LEFT + plot * (value - x0) / ((x1 - x0) or 1)

    title = textwrap.wrap(chart.title, 110, break_on_hyphens=False)
    names = place_labels(chart, plot)
    top = ABOVE + 18.0 * max(0, len(title) - 1) + LINE * max((name.line for name in names), default=0)
    upper, bottom = top, top + sum(track.share * UNIT for track in chart.tracks) + GAP * (len(chart.tracks) - 1)
    parts = [*_bands(chart, names, x, top, bottom)]
    for track in chart.tracks:
        parts += _track(track, x, top, track.share * UNIT)
        top += track.share * UNIT + GAP
    for value in ticks(x0, x1, 10):
        parts.append(_text(x(value), bottom + 16, f"{value:g}", "middle"))
        parts.append(_tag("line", x1=x(value), x2=x(value), y1=upper, y2=bottom, **GRID))
    parts.append(_text(LEFT + plot / 2, bottom + 36, chart.x_title, "middle"))
    parts += [_text(LEFT, 14 + 18 * i, line, "start", 14) for i, line in enumerate(title)]
    lines: Sequence[Line] = chart.tracks[0].lines if chart.tracks else ()
    parts += _legend(lines, bottom + 58)
    described = "; ".join(f"{track.title}: {', '.join(line.name for line in track.lines)}" for track in chart.tracks)
    return _tag(
        "svg", _tag("title", escape(chart.title)) + _tag("desc", escape(described)) + "".join(parts),
        xmlns="http://www.w3.org/2000/svg", role="img", viewBox=f"0 0 {WIDTH} {bottom + 58 + 18 * len(lines):.0f}",
        width="100%", style=f"max-width:{WIDTH}px", font_family=FONT, font_size=12, fill=GREY,
    )  # fmt: skip


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / about
    power = 10 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return [round(step * n, 10) for n in range(ceil(low / step), floor(high / step) + 1)]


def _bands(chart: Chart, names: Sequence[LabelPlace], x: Scale, top: float, bottom: float) -> Iterator[str]:
    for i, (band, name) in enumerate(zip(chart.bands, names, strict=True)):
        left, right = x(band.start), x(band.end)
        opacity = 0.16 if i % 2 else 0.05
        yield _tag(
            "rect", x=left, y=top, width=max(0, right - left), height=bottom - top, fill="#808080", fill_opacity=opacity
        )
        yield _text(LEFT + name.at * (WIDTH - LEFT - RIGHT), top - 20 - LINE * name.line, band.text, "middle", 11)


def _track(track: Track, x: Scale, top: float, height: float) -> Iterator[str]:
    values = [y for line in track.lines for _, y in line.points if y is not None]
    highest = max([*values, *(limit.value for limit in track.limits), track.top or 0, 1e-9]) * 1.08

    def y(value: float) -> float:
        return top + height * (1 - value / highest)

    for value in ticks(0, highest, max(3, int(height / 45))):
        yield _tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), **GRID)
        yield _text(LEFT - 8, y(value) + 4, f"{value:g}", "end")
    yield _text(LEFT, top - 6, track.title, "start")
    for limit in track.limits:
        at = y(limit.value)
        yield _tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, stroke=GREY, stroke_dasharray="10 4 2 4")
        yield _text(WIDTH - RIGHT, at + (14 if limit.least else -5), limit.text, "end", 11)
    for line in track.lines:
        yield from _line(line, x, y)


def _line(line: Line, x: Scale, y: Scale) -> Iterator[str]:
    for run in _runs(line):
        pairs = [(x(at), y(value)) for at, value in run]
        if line.step:
            pairs = [corner for (xa, ya), (xb, _) in pairwise(pairs) for corner in ((xa, ya), (xb, ya))] + pairs[-1:]
        yield _tag("polyline", points=" ".join(f"{px:.1f},{py:.1f}" for px, py in pairs), fill="none", **_stroke(line))
        if not line.step:
            yield from (_marker(px, py, line.style) for px, py in pairs[:: max(1, len(pairs) // 12)])


def _runs(line: Line) -> list[list[tuple[float, float]]]:
    """The line's points in unbroken runs."""
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in line.points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if run]


def _stroke(line: Line) -> dict[str, str]:
    return {"stroke": line.style.colour, "stroke_width": "2.5", "stroke_dasharray": DASHES[line.style.dash]}


def _marker(x: float, y: float, style: Style) -> str:
    fill = "none" if style.marker.endswith("open") else style.colour
    if style.marker == "diamond":
        return _tag("path", d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z", fill=fill)
    return _tag("circle", cx=x, cy=y, r=3.5, fill=fill, stroke=style.colour, stroke_width=1.5)


def _legend(lines: Sequence[Line], top: float) -> Iterator[str]:
    """One row per line of the first track; the others repeat its roles."""
    for i, line in enumerate(lines):
        y = top + 18 * i
        yield _tag("line", x1=LEFT, x2=LEFT + 44, y1=y, y2=y, **_stroke(line))
        yield _marker(LEFT + 22, y, line.style)
        yield _text(LEFT + 54, y + 4, line.name, "start")


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return _tag("text", escape(text), x=x, y=y, text_anchor=anchor, font_size=size)


def _tag(name: str, inside: str = "", **attributes: str | float) -> str:
    """One element; numbers rounded to a tenth of a pixel, underscores as dashes."""
    words = (f'{k.replace("_", "-")}="{round(v, 2) if isinstance(v, float) else v}"' for k, v in attributes.items())
    return f"<{name} {' '.join(words)}>{inside}</{name}>"
