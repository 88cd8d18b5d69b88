"""Widgets as objects: what a press does and says, and drawings whose words and lines keep apart."""

import queue
import re
from types import SimpleNamespace

import pytest

from canary_tutorial.charts.chart import ROLES
from canary_tutorial.errors import Unreachable
from canary_tutorial.metrics.prometheus import Measured
from canary_tutorial.metrics.series import Series
from canary_tutorial.release.canary import Canary
from canary_tutorial.release.timeline import Event, Point
from canary_tutorial.widgets import board, explain_card, graph, panel, picker, showing, stream


def no_metrics():
    raise AssertionError("nothing here asks Prometheus")


def press(shown: panel.OperatorPanel, name: str) -> None:
    next(each for each in shown._box.children[0].children if each.description == name).click()


def pressed(name: str, patch: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(panel, "someone_watches", lambda: True)
    canary = Canary(SimpleNamespace(patch=patch), "podinfo", "test", no_metrics)
    shown = panel.OperatorPanel(canary)
    shown._ipython_display_()
    press(shown, name)
    return shown._said.value


def test_a_button_says_its_command_and_what_it_means(monkeypatch: pytest.MonkeyPatch):
    sent = []
    said = pressed("Pause", lambda *arguments, **options: sent.append(arguments), monkeypatch)
    assert sent == [("canaries", "podinfo", {"spec": {"suspend": True}}, "test")]
    assert "kubectl -n test patch canary podinfo --type merge" in said
    assert "Flagger skips its ticks" in said


def test_a_button_that_fails_says_why(monkeypatch: pytest.MonkeyPatch):
    def patch(*_arguments, **_options):
        raise Unreachable("the cluster does not answer")

    said = pressed("Pause", patch, monkeypatch)
    assert "✘ the cluster does not answer" in said
    assert "Flagger skips its ticks" not in said


def test_the_picker_marks_anew_what_users_get_whoever_released_it():
    tags = {True: "2.0.0", False: "2.0.0"}
    container = {"name": "podinfod", "command": ["./podinfo"]}
    canary = SimpleNamespace(
        name="podinfo", namespace="test", target="podinfo", phase="Succeeded", deployment=lambda: {},
        image=lambda: f"stefanprodan/podinfo:{tags[False]}", primary_image=lambda: f"stefanprodan/podinfo:{tags[True]}",
        container_of=lambda _: container,
    )  # fmt: skip
    shown = picker.ImagePicker(canary)
    shown.image.value = "2.1.2"
    tags.update({True: "2.1.1", False: "2.1.1"})  # by another cell
    shown.image.value = "2.1.1"
    assert shown.image.label == "2.1.1  (users get this one)"
    assert shown.button.disabled
    assert "2.0.0" in dict(shown.image.options), "nobody gets it any more"


def test_what_a_button_does_after_the_release_is_said_in_the_panel_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(panel, "someone_watches", lambda: True)
    found = {"spec": {}, "status": {"phase": "Progressing"}}
    sent: queue.Queue[object] = queue.Queue()
    cluster = SimpleNamespace(patch=lambda *arguments, **_: sent.put(arguments[2]), get_or_none=lambda *_: found)
    shown = panel.OperatorPanel(Canary(cluster, "podinfo", "test", no_metrics))
    shown._ipython_display_()
    capsys.readouterr()
    press(shown, "Promote now")
    found["status"] = {"phase": "Succeeded"}
    assert [sent.get(timeout=60) for _ in range(2)] == [{"spec": {"skipAnalysis": skip}} for skip in (True, False)]
    assert "false" in shown._said.value
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["Abort", "Promote now"])
def test_where_nothing_runs_there_is_nothing_to_end(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(panel, "someone_watches", lambda: True)
    sent: list[object] = []
    found = {"spec": {}, "status": {"phase": "Succeeded"}}
    cluster = SimpleNamespace(patch=lambda *arguments, **_: sent.append(arguments), get_or_none=lambda *_: found)
    shown = panel.OperatorPanel(Canary(cluster, "podinfo", "test", no_metrics))
    shown._ipython_display_()
    press(shown, name)
    assert ": the canary is Succeeded" in shown._said.value
    assert sent == []


def test_a_method_called_in_a_cell_is_told_in_that_cell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(panel, "someone_watches", lambda: True)
    cluster = SimpleNamespace(patch=lambda *_arguments, **_options: None)
    canary = Canary(cluster, "podinfo", "test", no_metrics)
    panel.OperatorPanel(canary)._ipython_display_()
    canary.pause()
    assert "kubectl -n test patch canary podinfo --type merge" in capsys.readouterr().out


def test_no_label_of_the_graph_stands_on_a_line_that_ends_beside_it():
    edges = [graph.Edge("users", target, role, 10, 0) for target, role in
             (("podinfo-primary", "primary"), ("podinfo", "mirrored"), ("podinfo", "shifted"))]  # fmt: skip
    drawn = graph.drawing(edges, {})
    ends = [float(y) for y in re.findall(r" (\d+)' fill='none'", drawn)]
    labels = [float(y) for y in re.findall(r"y='(\d+)' text-anchor='end'", drawn)]
    assert len(ends) == len(labels) == 3
    assert all(not end - 4 < label < end + 14 for end in ends for label in labels)
    assert min(abs(a - b) for a in labels for b in labels if a != b) >= 12


def test_the_users_of_both_versions_differ_in_shape_as_well_as_in_colour():
    def shape(role: str) -> str:
        drawn = stream.picture([stream.Dots(0, role, False, 1)], 0, 1, {}).partition("<g transform")[0]
        marks = re.findall(rf"<(\w+)[^>]*{ROLES[role].colour}", drawn)
        return marks[0]

    assert shape("primary") == "circle"
    assert shape("shifted") == "path"


@pytest.mark.parametrize(
    ("known", "said"),
    [pytest.param(True, "got no requests", id="no traffic"), pytest.param(False, "never seen", id="no sidecar")],
)
def test_a_canary_without_requests_is_told_from_one_that_was_never_counted(known: bool, said: str):
    metrics = SimpleNamespace(ever_counted=lambda workload: known, scrape_interval=lambda: 1)
    canary = SimpleNamespace(target="podinfo", metrics=metrics)
    card = explain_card.ExplainCard(canary)
    card.checks = [
        explain_card.Check("request-success-rate", "", "4s", "at least 99%", Measured(None, 0, "%"), passes=None)
    ]
    halt = "Halt advancement no values found for istio metric request-success-rate probably podinfo.test is not "
    assert said in card._reason(
        [Event(0, "Warning", halt + "receiving traffic: running query failed: no values found")]
    )


def test_a_window_that_holds_fewer_than_two_scrapes_is_named_as_the_cause():
    metrics = SimpleNamespace(ever_counted=lambda workload: True, scrape_interval=lambda: 15)
    card = explain_card.ExplainCard(SimpleNamespace(target="podinfo", metrics=metrics))
    card.checks = [explain_card.Check("request-success-rate", "", "20s", "", Measured(None, 9, "%"), passes=None)]
    halt = "Halt advancement no values found for istio metric request-success-rate probably podinfo.test is not "
    assert "A window of 20 s holds fewer than two scrapes (15 s apart)" in card._reason([Event(0, "Warning", halt)])


def test_failed_checks_are_counted_apart_from_the_number_that_rolls_back():
    """Said as "1 of 2", it reads as one of the two checks in the table below."""
    point = Point(0, "Progressing", 80, 20, False, 1)
    spec = {"targetRef": {"name": "podinfo"}, "analysis": {"threshold": 2}}
    card = explain_card.ExplainCard(SimpleNamespace(name="podinfo"))
    card.point, card.threshold = point, 2
    shown = board.ReleaseBoard.__new__(board.ReleaseBoard)
    shown.release = SimpleNamespace(spec=spec, seconds=9.0, points=[point], canary=SimpleNamespace(name="podinfo"))
    found = {"spec": spec, "status": {"phase": "Progressing", "failedChecks": 1}}
    canary = Canary(SimpleNamespace(get_or_none=lambda kind, *_: found if kind == "canaries" else None), "podinfo", "test",
                    no_metrics)  # fmt: skip
    for said in (card._headline(), shown._headline(point), repr(canary)):
        assert "failed checks: 1 (rolls back at 2)" in said


def test_what_was_said_of_an_earlier_release_is_left_out():
    words = (
        "New revision detected! Scaling up",
        "Halt",
        "Canary failed!",
        "New revision detected! Restarting",
        "Advance",
    )
    events = [Event(i, "Normal", text) for i, text in enumerate(words)]
    assert [event.time for event in explain_card.of_last_release(events)] == [3, 4]
    assert explain_card.of_last_release(events[1:3]) == events[1:3]


@pytest.mark.parametrize(
    ("phase", "seen"), [("Progressing", [100]), pytest.param("Initialized", [], id="requests of the takeover alone")]
)
def test_the_boards_checks_begin_with_what_flagger_noticed(phase: str, seen: list[float]):
    found = [Series({}, [(101, 40), (106, 100)])]  # of the version before, and of this one
    metrics = SimpleNamespace(query_range=lambda *_: found)
    canary = SimpleNamespace(namespace="test", target="podinfo", metrics=metrics)
    metric = {"name": "request-success-rate", "interval": "4s", "thresholdRange": {"min": 99}}
    release = SimpleNamespace(
        canary=canary, spec={"analysis": {"metrics": [metric]}}, events=[], began=100, ended=0, picture_end=107, step=1,
        points=[Point(100, "Succeeded", 100, 0, False, 0), Point(104, phase, 100, 0, False, 0)],
    )  # fmt: skip
    (track,) = board.check_tracks(release)
    assert [value for _, value in track.lines[0].points if value is not None] == seen
    assert ("of about" in track.title) is bool(seen)


class Half(showing.Showing):
    """A view whose look finds a part of what it asks for."""

    def look(self) -> bool:
        self.problem = "no Prometheus <answers>"
        return False

    def html(self) -> str:
        return "the rest"

    text = html


def test_what_a_look_could_not_find_is_told_beside_the_rest():
    half = Half()
    assert half.safe_look() is False
    assert half.bundle()["text/html"] == "<p>no Prometheus &lt;answers&gt;</p>the rest"


class Blind(Half):
    """A view that has never seen its cluster."""

    def look(self) -> bool:
        raise Unreachable("the cluster does not answer")


def test_a_view_that_has_seen_nothing_says_only_why():
    blind = Blind()
    blind.safe_look()
    assert blind.bundle() == {
        "text/html": "<p>the cluster does not answer</p>",
        "text/plain": "the cluster does not answer",
    }
    assert repr(blind) == "the cluster does not answer"
