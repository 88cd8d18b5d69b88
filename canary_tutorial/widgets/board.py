"""The live release board: a screen with the plot, the weights, the checks against their thresholds, pods and events.

In a live front end a thread feeds one FigureWidget and one HTML page about once a second, with one round of queries. At the
end it stops and leaves the static picture. The kernel stays free, so other cells can run meanwhile.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from html import escape
from math import inf
from typing import TYPE_CHECKING, Any

from canary_tutorial.charts.chart import ROLES, Chart, Limit, Line, Track, with_gaps
from canary_tutorial.charts.display import bundle, chart_of, live_figure, someone_watches, update_figure
from canary_tutorial.errors import TutorialError
from canary_tutorial.kube.manifests import seconds
from canary_tutorial.metrics.prometheus import DURATION, REQUESTS, SUCCESS_RATE, UNITS
from canary_tutorial.release import timeline
from canary_tutorial.release.plan import plan
from canary_tutorial.release.release import AFTERMATH, Release
from canary_tutorial.release.timeline import RUNNING
from canary_tutorial.screen.tables import Table
from canary_tutorial.widgets.explain_card import last_look, limits, what_next, when_next
from canary_tutorial.widgets.showing import REFRESH, card

if TYPE_CHECKING:
    from canary_tutorial.release.canary import Canary

EVENTS = 12  # the last ones; a release that goes well has nine
BUILT_IN = {
    "request-success-rate": ("success rate of the canary", SUCCESS_RATE),
    "request-duration": ("99 of 100 answers of the canary within", DURATION),
}
INK = {"primary": "#fff", "shifted": "#000"}  # what reads on that role's colour


def board_chart(release: Release) -> Chart:
    """The webinar's plot and weights, and below them the canary's success rate and latency with their thresholds."""
    chart = chart_of(release)
    return replace(chart, tracks=[*chart.tracks, *check_tracks(release)])


def check_tracks(release: Release) -> list[Track]:
    """One track for each built-in check of the canary: its values, the requests behind each, and its threshold."""
    metrics, canary, events = release.canary.metrics, release.canary, list(release.events)
    # Before Flagger detected it, the canary was another version.
    noticed = next((point.time for point in release.points if point.phase in RUNNING), inf)
    counted: dict[str, dict[float, float]] = {}  # by window: when, how many requests it held
    tracks = []
    for metric in release.spec.get("analysis", {}).get("metrics") or []:
        if metric["name"] not in BUILT_IN:
            continue
        (title, query), unit = BUILT_IN[metric["name"]], UNITS[metric["name"]]
        window = metric.get("interval") or "1m"
        names = {"namespace": canary.namespace, "workload": canary.target, "window": window, "quantile": 0.99}
        try:
            if window not in counted:
                found = metrics.query_range(REQUESTS.format(**names), release.began, release.picture_end, release.step)
                counted[window] = dict(sample for series in found for sample in series.samples)
            found = metrics.query_range(query.format(**names), release.began, release.picture_end, release.step)
        except TutorialError:
            found = []
        samples = [(at - release.began, value) for series in found for at, value in series.samples if at >= noticed]
        beside = {
            at - release.began: f"of about {n * seconds(window):.0f} requests"
            for at, n in counted.get(window, {}).items()
        }
        points = with_gaps(samples, release.step)
        line = Line(metric["name"], points, ROLES["shifted"], notes=[beside.get(at, "") for at, _ in points])
        judged = [sample for sample in samples if not release.ended or release.began + sample[0] <= last_look(events)]
        if judged:  # Flagger did not judge what arrives after its last tick
            at, value = judged[-1]
            title += f": {value:.4g}{unit} {beside.get(at, '')}"
        bounds = [
            Limit(v, f"{'at least' if i == 0 else 'at most'} {v:g}{unit}", least=i == 0)
            for i, v in enumerate(limits(metric))
            if v is not None
        ]
        tracks.append(Track(title, [line], share=0.8, top=100 if unit == "%" else None, limits=bounds))
    return tracks


class ReleaseBoard:
    """The board of a release that runs (or, of a Canary, of the one that comes next)."""

    def __init__(self, canary_or_release: Canary | Release) -> None:
        if isinstance(canary_or_release, Release):
            self.release = canary_or_release
        else:
            canary = canary_or_release
            self.release = Release(canary, "", canary.primary_image(), []).start()
        self._stop = threading.Event()
        self._figure: Any = None
        self._page: Any = None
        self._handles: list[Any] = []
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return self.text()

    def wait(self) -> Release:
        """Block until the release has ended, and leave the finished board; returns the release."""
        self.release.follow(show=False)
        if self._thread is None:
            self._stop.wait(AFTERMATH)
            self._show_finished()
        return self.release

    def close(self) -> None:
        """Stop updating; the release goes on."""
        self._stop.set()

    # -- what it says

    def text(self) -> str:
        """The board in words."""
        release = self.release
        point = release.points[-1] if release.points else release.canary.observe()
        lines = [f"{self._headline(point)}", *(f"  {e.message}" for e in release.events[-EVENTS:])]
        return "\n".join([*lines, repr(self._pods())])

    def _headline(self, point: timeline.Point) -> str:
        spec = self.release.spec
        threshold = max(1, int(spec.get("analysis", {}).get("threshold") or 0))
        took = f"{self.release.seconds:.0f} s, shortest {plan(spec).seconds:.0f} s"
        failed = max((p.failed_checks for p in self.release.points), default=point.failed_checks)
        return f"{self.release.canary.name}: {point} · failed checks: {failed} (rolls back at {threshold}) · {took}"

    def _pods(self) -> Table:
        canary = self.release.canary
        rows = []
        for pod in canary.cluster.list("pods", canary.namespace):
            statuses = pod.get("status", {}).get("containerStatuses") or []
            image = pod["spec"]["containers"][0]["image"].rpartition("/")[2]
            if not pod["metadata"]["name"].startswith(canary.target):
                continue
            ready = f"{sum(s['ready'] for s in statuses)}/{len(statuses)}"
            state = "Terminating" if "deletionTimestamp" in pod["metadata"] else pod["status"].get("phase", "")
            rows.append([pod["metadata"]["name"], image, ready, state])
        return Table(["pod", "version", "ready", "state"], rows)

    def html(self) -> str:
        release, canary = self.release, self.release.canary
        point = release.points[-1] if release.points else canary.observe()
        bar = (
            "<div style='display:flex;height:1.4em;border-radius:4px;overflow:hidden;font-size:.85em;text-align:center'>"
            + "".join(
                f"<div style='width:{share}%;background:{ROLES[name].colour};color:{INK[name]}'>{label} {share}%</div>"
                for name, share, label in (("primary", point.primary, "primary"), ("shifted", point.canary, "canary"))
                if share
            )
            + "</div>"
        )
        mirror = "<div>+ every request mirrored to the canary</div>" if point.mirror else ""
        coming = ""
        if not release.ended:
            obj = canary.obj
            due = when_next(obj, time.time())
            coming = f"<p><b>Next{'' if due is None else f' (in about {due:.0f} s)'}:</b> {escape(what_next(obj, point))}</p>"
        events = "".join(
            f"<li>{'⚠ ' if e.type == 'Warning' else ''}{escape(e.message)} "
            f"<span style='opacity:.6'>{e.time - release.began:.0f} s</span></li>"
            for e in release.events[-EVENTS:]
        )
        return card(
            escape(self._headline(point)), f"{bar}{mirror}{coming}{self._pods()._repr_html_()}<ul>{events}</ul>"
        )

    # -- on the screen

    def _ipython_display_(self) -> None:
        from IPython.display import display

        try:
            self._display()
        except TutorialError as error:  # raised here, it would come with a traceback
            told = {"text/html": card("The board cannot see the cluster", escape(str(error))), "text/plain": str(error)}
            display(told, raw=True)  # type: ignore[no-untyped-call]

    def _display(self) -> None:
        from IPython.display import display

        if not someone_watches() or self.release.ended:
            if self.release.ended:
                self._show_finished()
            else:
                display({"text/plain": self.text()}, raw=True)  # type: ignore[no-untyped-call]
            return
        import ipywidgets

        self._figure = live_figure(board_chart(self.release))
        self._page = ipywidgets.HTML(self.html())
        self._handles = [display(each, display_id=True) for each in (self._page, self._figure)]  # type: ignore[no-untyped-call]
        self._stop.clear()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        last = 0.0
        while not self._stop.wait(REFRESH):
            try:
                self._page.value = self.html()
                update_figure(self._figure, board_chart(self.release))
            except TutorialError as error:
                self._page.value = card("The board cannot see the cluster", escape(str(error)))
            if self.release.ended:
                last = last or time.time()
                if time.time() - last > AFTERMATH:
                    break
            elif self.release._stop.is_set():
                break
        self._settle()

    def _settle(self) -> None:
        """Leave the plain page and picture in the place of the living ones."""
        finished = ({"text/html": self.html(), "text/plain": self.text()}, bundle(board_chart(self.release)))
        for handle, output in zip(self._handles, finished, strict=True):
            handle.update(output, raw=True)
        for widget in (self._page, self._figure):
            widget.close()
        self._handles = []

    def _show_finished(self) -> None:
        from IPython.display import display

        display({"text/html": self.html(), "text/plain": self.text()}, raw=True)  # type: ignore[no-untyped-call]
        display(bundle(board_chart(self.release)), raw=True)  # type: ignore[no-untyped-call]
