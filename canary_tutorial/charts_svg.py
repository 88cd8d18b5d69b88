"""A chart as SVG, drawn by hand: the picture that stays in an executed notebook and in a report. Pure.

plotly can only write pictures where a Chrome is installed. This draws the same `Chart` with the same colours, dashes
and markers, in a few kilobytes that every browser shows without a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import ceil, floor, log10

from canary_tutorial.charts import FONT, GREY, Chart, Line, Style, Track

WIDTH, LEFT, RIGHT, TOP, GAP = 900, 64, 16, 48, 22
UNIT = 120  # pixels of height for a share of 1
Scale = Callable[[float], float]  # from a value to a pixel
DASHES = {"solid": "none", "dash": "9 5", "dot": "2 4"}


def svg(chart: Chart) -> str:
    """The chart as one SVG element. Its <title> and <desc> say for a screen reader what is drawn."""
    x0, x1 = chart.span
    plot = WIDTH - LEFT - RIGHT

    def x(value: float) -> float:
        return LEFT + plot * (value - x0) / ((x1 - x0) or 1)

    parts, top = [], float(TOP)
    bottom = TOP + sum(track.share * UNIT for track in chart.tracks) + GAP * (len(chart.tracks) - 1)
    last = x0 - 1e9
    for i, band in enumerate(chart.bands):
        left, right = x(band.start), x(band.end)
        parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(0, right - left):.1f}" height="{bottom - TOP:.1f}" fill="#808080" fill-opacity="{0.16 if i % 2 else 0.05}"/>'
        )
        lift = 14 if (left + right) / 2 - last < 64 else 0  # two narrow bands: the second name one line higher
        last = (left + right) / 2 if not lift else last
        parts.append(_text((left + right) / 2, TOP - 6 - lift, band.text, "middle", 11))
    for track in chart.tracks:
        height = track.share * UNIT
        parts += _track(track, x, top, height)
        top += height + GAP
    for value in ticks(x0, x1, 10):
        parts.append(_text(x(value), bottom + 16, f"{value:g}", "middle"))
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{bottom:.1f}" stroke="#808080" stroke-opacity=".25"/>'
        )
    parts.append(_text(LEFT + plot / 2, bottom + 36, chart.x_title, "middle"))
    legend, height = _legend(chart, bottom + 58)
    parts += legend
    parts.append(_text(LEFT, 14, chart.title, "start", 14))
    described = "; ".join(f"{track.title}: {', '.join(line.name for line in track.lines)}" for track in chart.tracks)
    total = bottom + 58 + height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {total:.0f}" width="100%" '
        f'style="max-width:{WIDTH}px" font-family="{FONT}" font-size="12" fill="{GREY}">'
        f"<title>{escape(chart.title)}</title><desc>{escape(described)}</desc>{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from `low` to `high`, about so many: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / about
    power = 10 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return [round(step * n, 10) for n in range(ceil(low / step), floor(high / step) + 1)]


def _track(track: Track, x: Scale, top: float, height: float) -> Iterator[str]:
    values = [y for line in track.lines for _, y in line.points if y is not None]
    highest = max([*values, *(limit.value for limit in track.limits), track.top or 0, 1e-9]) * 1.08

    def y(value: float) -> float:
        return top + height * (1 - value / highest)

    for value in ticks(0, highest, max(2, int(height / 45))):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#808080" stroke-opacity=".25"/>'
        yield _text(LEFT - 8, y(value) + 4, f"{value:g}", "end")
    middle = top + height / 2
    yield f'<text x="16" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 16 {middle:.1f})">{escape(track.title)}</text>'
    for limit in track.limits:
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(limit.value):.1f}" y2="{y(limit.value):.1f}" stroke="{GREY}" stroke-dasharray="10 4 2 4"/>'
        yield _text(WIDTH - RIGHT, y(limit.value) - 5, limit.text, "end", 11)
    for line in track.lines:
        yield from _line(line, x, y)


def _line(line: Line, x: Scale, y: Scale) -> Iterator[str]:
    for run in _runs(line):
        pairs = [(x(at), y(value)) for at, value in run]
        if line.step:
            pairs = [
                p for (xa, ya), (xb, _) in zip(pairs, pairs[1:], strict=False) for p in ((xa, ya), (xb, ya))
            ] + pairs[-1:]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in pairs)
        yield f'<polyline points="{path}" fill="none" stroke="{line.style.colour}" stroke-width="2.5" stroke-dasharray="{DASHES[line.style.dash]}"/>'
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


def _marker(x: float, y: float, style: Style) -> str:
    fill = "none" if style.marker.endswith("open") else style.colour
    if style.marker == "diamond":
        return f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z" fill="{fill}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="{style.colour}" stroke-width="1.5"/>'


def _legend(chart: Chart, top: float) -> tuple[list[str], float]:
    """One row per line of the first track (the others repeat its roles), and the height of it all."""
    lines: Sequence[Line] = chart.tracks[0].lines if chart.tracks else ()
    parts = []
    for i, line in enumerate(lines):
        y = top + 18 * i
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + 44}" y1="{y}" y2="{y}" stroke="{line.style.colour}" stroke-width="2.5" stroke-dasharray="{DASHES[line.style.dash]}"/>'
        )
        parts += [_marker(LEFT + 22, y, line.style), _text(LEFT + 54, y + 4, line.name, "start")]
    return parts, 18 * len(lines)


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
