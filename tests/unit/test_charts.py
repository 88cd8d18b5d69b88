"""The picture of a release: what is drawn, and that both drawings say the same."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from plotly.graph_objects import FigureWidget

from canary_tutorial.charts.chart import (
    ROLES,
    Band,
    Chart,
    Limit,
    Line,
    Track,
    place_labels,
    plotly_figure,
    release_chart,
    with_gaps,
)
from canary_tutorial.charts.display import update_figure
from canary_tutorial.charts.svg import svg, ticks
from canary_tutorial.metrics.series import Series
from canary_tutorial.release.timeline import Point

HOST, SHADOW = "podinfo.test:9898", "podinfo.test-shadow:9898"


def series(workload: str, host: str, *values: float) -> Series:
    labels = {"destination_workload": workload, "request_host": host}
    return Series(labels, [(1000.0 + i, value) for i, value in enumerate(values)])


def chart() -> Chart:
    points = [
        Point(990.0, "Initialized", 100, 0, False, 0),
        Point(1002.0, "Progressing", 100, 0, True, 0),
        Point(1004.0, "Progressing", 80, 20, False, 0),
    ]
    found = [
        series("podinfo", SHADOW, 20, 20, 0, 0),
        series("podinfo", HOST, 0, 0, 4, 4),
        series("podinfo-primary", HOST, 20, 20, 16, 16),
    ]
    return release_chart(found, points, 1001.0, 1006.0, "podinfo:2.0.0 → 2.1.3")


def test_three_series_differ_in_colour_dash_and_marker():
    lines = chart().tracks[0].lines
    assert [line.name for line in lines] == [
        f"primary: podinfo-primary, {HOST}", f"shifted: podinfo, {HOST}", f"mirrored: podinfo, {SHADOW}",
    ]  # fmt: skip
    for look in ("colour", "dash", "marker"):
        assert len({getattr(line.style, look) for line in lines}) == 3


def test_time_is_counted_from_the_change_and_phases_are_bands():
    drawn = chart()
    assert drawn.tracks[0].lines[0].points[0] == (-1.0, 20)
    assert drawn.bands == [Band(-1.0, 1.0, "Initialized"), Band(1.0, 5.0, "Progressing")]
    shifted = drawn.tracks[1].lines[1]
    assert shifted.points[-2:] == [(3.0, 20), (5.0, 20)]


def test_a_series_that_is_not_there_yet_keeps_its_place():
    drawn = release_chart([series("podinfo-primary", HOST, 20)], [], 1000.0, 1001.0)
    assert [line.name for line in drawn.tracks[0].lines][1:] == ["shifted: no requests", "mirrored: no requests"]


def test_no_line_is_drawn_across_missing_samples():
    assert with_gaps([(0, 1.0), (1, 1.0), (9, 2.0)]) == [(0, 1.0), (1, 1.0), (2, None), (9, 2.0)]


def test_both_drawings_show_the_same_lines_and_phases():
    drawn = chart()
    figure, picture = plotly_figure(drawn), svg(drawn)
    shown = {trace.name for trace in figure.data}
    for line in drawn.tracks[0].lines:
        assert line.name in shown
        assert line.name in picture
    titles = [track.title for track in drawn.tracks]
    assert [note.text for note in figure.layout.annotations] == ["Initialized", "Progressing", *titles]
    for title in titles:
        assert f">{title}<" in picture
    for band in drawn.bands:
        assert f">{band.text}<" in picture


def test_svg_is_well_formed_scales_and_stays_small():
    picture = svg(chart())
    root = ElementTree.fromstring(picture)
    assert root.attrib["role"] == "img"
    assert root[0].text == "podinfo:2.0.0 → 2.1.3"
    assert len(picture) < 20_000


def test_names_of_short_phases_stand_inside_the_plot_and_beside_no_other():
    ends = {"Initialized": 3, "Progressing": 90, "Promoting": 94, "Finalising": 97, "Succeeded": 100}
    starts = dict(zip(ends, [0, *ends.values()], strict=False))
    drawn = Chart("", "seconds", [], [Band(starts[text], end, text) for text, end in ends.items()])
    for width in (560, 844):
        places = []
        for name, text in zip(place_labels(drawn, width), ends, strict=True):
            half = 3 * len(text)  # pixels, at least
            assert half <= name.at * width <= width - half
            places.append((name.line, name.at * width - half, name.at * width + half))
        places.sort()
        for (line, _, end), (next_line, start, _) in pairwise(places):
            assert line != next_line or end < start
        assert max(line for line, _, _ in places) <= 2


def test_a_long_title_is_broken_into_lines():
    title = "podinfo: podinfo:2.0.0 → podinfo:2.1.3, --random-delay=true --random-delay-min=600 --random-delay-max=900 "
    title += "--random-delay-unit=ms"
    drawn = Chart(title, "seconds", [Track("a", [])])
    words = [each.text for each in ElementTree.fromstring(svg(drawn)).iter() if each.tag.endswith("}text")]
    assert title not in words
    assert title in " ".join(words)
    lines = plotly_figure(drawn).layout.title.text.split("<br>")
    assert len(lines) > 1
    assert " ".join(lines) == title


def test_svg_escapes_what_people_write():
    picture = svg(Chart("<b>&", "x", [Track("a < b", [Line("<script>", [(0, 1.0)], ROLES["primary"])])]))
    ElementTree.fromstring(picture)
    assert "<script>" not in picture


def test_a_limit_is_drawn_with_its_text():
    track = Track(
        "success rate, %", [Line("rate", [(0, 97.0), (9, 99.0)], ROLES["shifted"])], limits=[Limit(99, "at least 99%")]
    )
    drawn = Chart("", "seconds", [track, track], [Band(0, 9, "Progressing")])
    assert svg(drawn).count("at least 99%") == 2
    layout = plotly_figure(drawn).layout
    assert [note.text for note in layout.annotations] == [
        "Progressing", *["success rate, %", "at least 99%"] * 2,
    ]  # fmt: skip
    assert [(shape.type, shape.yref, shape.y0) for shape in layout.shapes] == [
        ("rect", "paper", 0), ("line", "y", 99), ("line", "y2", 99),
    ]  # fmt: skip


def test_a_live_picture_takes_on_new_lines_and_phases():
    widget = FigureWidget(plotly_figure(release_chart([], [], 1001.0, 1002.0)))
    update_figure(widget, chart())
    assert [note.text for note in widget.layout.annotations][:2] == ["Initialized", "Progressing"]
    assert [shape.x1 for shape in widget.layout.shapes] == [1.0, 5.0]
    assert list(widget.data[0].y) == [20, 20, 16, 16]


def test_nothing_to_draw_is_drawn_too():
    empty = release_chart([], [], 0.0, 1.0)
    drawn = "".join(ElementTree.fromstring(svg(empty)).itertext())
    assert all(track.title in drawn for track in empty.tracks)
    assert [line.y for line in plotly_figure(empty).data] == [()] * 6


@pytest.mark.parametrize(
    ("low", "high", "about", "found"),
    [
        (0, 20, 4, [0, 5, 10, 15, 20]),
        (-10, 45, 10, [-10, 0, 10, 20, 30, 40]),
        (0, 0.9, 5, [0, 0.2, 0.4, 0.6, 0.8]),
        (3, 3, 5, [3]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, about: int, found: list[float]):
    assert ticks(low, high, about) == pytest.approx(found)


def contrast(colour: str, ground: float) -> float:
    parts = [int(value, 16) / 255 for value in re.findall("..", colour[1:])]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    high, low = max(light, ground), min(light, ground)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [pytest.param(1.0, id="white"), pytest.param(0.0056, id="JupyterLab's dark")])
@pytest.mark.parametrize("name", list(ROLES))
def test_lines_stand_out_from_dark_and_light_ground(name: str, ground: float):
    assert contrast(ROLES[name].colour, ground) > 3
