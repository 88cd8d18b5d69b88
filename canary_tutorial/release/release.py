"""Watches a release, from the change of the image to its end; changes nothing in the cluster.

Background threads collect its data (watches of the Canary and its VirtualService, Flagger's log; no polling) until the
release ends. `follow` prints each change; in a live front end it draws a chart, which becomes a static picture at
the end.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import Any, ClassVar, Protocol

from canary_tutorial.errors import Missing, TookTooLong, TutorialError, Unreachable
from canary_tutorial.kube.objects import Obj
from canary_tutorial.metrics.prometheus import Impact
from canary_tutorial.metrics.series import Series, rate, role
from canary_tutorial.release import flagger_log, ticks, timeline
from canary_tutorial.release.explain import why_ended
from canary_tutorial.release.flagger_log import event_of_line, read_event
from canary_tutorial.release.state import BACK, CanaryState
from canary_tutorial.release.timeline import ENDED, RUNNING, Event, Point, Step, interval
from canary_tutorial.screen import progress
from canary_tutorial.screen.tables import Table

LEAD = 10.0  # seconds before the release that its plot shows
AFTERMATH = 4.0  # seconds that the plot goes on after the end
MOST = 300  # samples of one line in its picture
LAST = re.compile("Promotion completed!|Canary failed!|Promotion of .* failed")  # the last event of a release
LAST_PATIENCE, HOOKS = 10.0, 0.7  # seconds to wait for it after the last status; and after it, for what hooks answered
PATIENCE = 15.0  # seconds for a cluster that does not answer, and beyond two intervals for Flagger to detect it


class Picture(Protocol):
    """A plot of a release on the screen, live until it is closed."""

    def wait(self, seconds: float) -> None:
        """Let the plot run on for a while."""

    def close(self) -> None:
        """Leave a lasting picture in its place."""


class Release:
    """One release of `canary`: of `image`, or of whichever comes next if that is "".

    `points` and `events` grow while it is watched; times in seconds since the epoch.
    """

    draw: ClassVar[Callable[[Release], Picture] | None] = None  # set where there is a screen to draw on

    def __init__(self, canary: CanaryState, image: str, before: str, flags: list[str]) -> None:
        self.canary, self.image, self.before, self.flags = canary, image, before, flags
        self.began, self.ended = time.time(), 0.0
        self.points: list[Point] = []
        self.events: list[Event] = []
        self.spec, self.window = canary.spec, canary.window
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._news: queue.Queue[Point | Event | None] = queue.Queue()
        self.problem: Exception | None = None  # why it is no longer watched
        self._detected = self._busy = False  # by Flagger; whether another release ran when this one was begun
        self._earlier = self._revision = ""  # of the target's template, as Flagger names it: before, and this one's

    def __repr__(self) -> str:
        state = self.points[-1] if self.points else "not yet watched"
        took = f" after {self.seconds:.0f} s" if self.ended else ""
        return (
            f"<Release {self.before.rpartition('/')[2]} → {self.image.rpartition('/')[2] or 'the next'}: {state}{took}>"
        )

    # -- what came of it ----------------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return self.points[-1].phase if self.points else ""

    @property
    def running(self) -> bool:
        """Whether Flagger has detected the release and not yet ended it."""
        return not self.ended and any(p.phase in RUNNING for p in self.points)

    @property
    def seconds(self) -> float:
        """From the change of the image to the end (or to now)."""
        return (self.ended or time.time()) - self.began

    @property
    def detected_after(self) -> float | None:
        """Seconds from the change of the image until Flagger detected it; None if it has not."""
        return next((point.time - self.began for point in self.points if point.phase in RUNNING), None)

    def ticks(self) -> ticks.Ticks:
        """What Flagger's log says of each tick of this release; each check with its sample count. Raises Missing where
        no Flagger is found, Refused where the log may not be read."""
        found = ticks.since(ticks.of_canary(self.canary), self.began)
        ticks.count_samples(found, self.canary)
        return ticks.Ticks(found)

    @property
    def picture_end(self) -> float:
        """Where the picture of this release ends: a little after its end, as far as that is past."""
        return min(time.time(), self.ended + AFTERMATH) if self.ended else time.time()

    @property
    def step(self) -> float:
        """Seconds between two samples of its picture: one, and more where there would be over MOST of them."""
        return max(1.0, ceil((self.picture_end - self.began) / MOST))

    @property
    def weights(self) -> list[int]:
        return timeline.weights_reached(self.points)

    @property
    def reason(self) -> str:
        """Why it ended as it did, by the event that decided it; why it has not, while it runs."""
        return why_ended(self.phase, self.messages)

    @property
    def messages(self) -> list[str]:
        """The texts of Flagger's events, in order."""
        return [event.message for event in self.events]

    def impact(self) -> Impact:
        """What users saw from the change of the image to the end (or to now), counted from Prometheus."""
        return self.canary.metrics.impact(self.began, self.ended + 1 if self.ended else None, self.canary.target)

    def series(self) -> list[Series]:
        """The webinar's plot of this release: its own two workloads, whatever else runs in the namespace. What its target
        answered before Flagger detected this release is not of this release, and left out."""
        metrics = self.canary.metrics
        found = self._own(metrics.request_rate(self.began - LEAD, self.picture_end, self.window, self.step))
        first = inf if self.detected_after is None else self.began + self.detected_after
        own = [
            series if role(series.labels) == "primary" else Series(series.labels, series.between(first, inf))
            for series in found
        ]
        return [series for series in own if series.samples]

    def requests_by_step(self, settle: float = 0.5) -> Table:
        """For each step and series: requests per second counted in its steady part (from `settle` seconds after its
        beginning to its end), and what the weights make of all requests of users in it."""
        end = self.ended or time.time()
        return requests_by_step(
            timeline.steps(self.points, end), self._own(self.canary.metrics.counters(self.began, end)), settle
        )

    def _own(self, found: list[Series]) -> list[Series]:
        target = self.spec["targetRef"]["name"]
        return [s for s in found if s.labels.get("destination_workload") in (target, f"{target}-primary")]

    # -- watching -----------------------------------------------------------------------------------------------

    def start(self) -> Release:
        """Begin to watch, in the background."""
        canary = self.canary
        obj = canary.obj
        self._objects: dict[str, Obj] = {"canaries": obj}
        self._earlier = obj.get("status", {}).get("lastAppliedSpec", "")
        self._busy = obj.get("status", {}).get("phase") in RUNNING
        self._seen: set[tuple[str, int]] = {_version(e) for e in canary.cluster.events(canary.name, canary.namespace)}
        for kind, name in (("canaries", canary.name), ("virtualservices", timeline.service_names(obj)[0])):
            threading.Thread(target=self._watch, args=(kind, name), daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def stop(self, problem: Exception | None = None) -> None:
        """Watch no longer, because of a `problem` or not; what is collected stays."""
        self.problem = problem or self.problem
        self._stop.set()
        self._news.put(None)

    def wait(self) -> None:
        """Block until nobody watches any more: at the end of the release, or when the cluster is gone."""
        self._stop.wait()

    def __iter__(self) -> Iterator[Point | Event]:
        """Points and events as they come, to the end. Raises Unreachable if the cluster goes, TookTooLong if Flagger
        does not detect the release."""
        return (news for news in self._news_and_pauses() if news)

    def _news_and_pauses(self) -> Iterator[Point | Event | None]:
        """As iteration, and None where nothing has come for half a second."""
        while True:
            try:
                news = self._news.get(timeout=0.5)
            except queue.Empty:
                self._check()
                if self._stop.is_set():  # printed to its end before
                    return
                yield None
                continue
            if news is None:
                self._check()
                return
            yield news

    def wait_for(
        self, *, weight: int | None = None, mirroring: bool | None = None, phase: str = "", event: str = ""
    ) -> Release:
        """Print what happens until the canary's weight, mirroring or phase is as named, or an event says `event`; at
        once if it is so already, and at the end of the release at the latest. Returns the release itself."""

        def reached(news: Point | Event) -> bool:
            if isinstance(news, Event):
                return bool(event) and event in news.message
            asked = [(weight, news.canary), (mirroring, news.mirror), (phase or None, news.phase)]
            return not event and all(wanted in (None, now) for wanted, now in asked)

        so_far: list[Point | Event] = [*self.points[-1:], *self.events]
        if any(map(reached, so_far)):
            return self
        wanted = event or phase or ("mirroring" if mirroring else "" if weight is None else f"{weight}%")
        self._print_news(f"Waiting for {wanted}", reached)
        return self

    def _print_news(
        self,
        what: str,
        reached: Callable[[Point | Event], bool] = lambda news: False,
        show: bool = True,
        line: bool = True,
    ) -> None:
        """Each change as a row, if `show`, until one is `reached`; between them, if `line`, how it stands for how long."""
        with progress.StatusLine(what) as status:
            for news in self._news_and_pauses():
                if news and show:
                    status.clear()
                    print(as_line(news, self.began), flush=True)
                elif line and (status.in_place or not show):
                    status.say(str(self.points[-1]) if self.points else "")
                if news and reached(news):
                    break
            if show:
                status.clear()

    def follow(self, show: bool = True) -> Release:
        """Print what happens until it ends, with a plot; returns the release itself. Interrupt it when you like:
        the release goes on without you, and so does the watching."""
        picture = Release.draw(self) if show and Release.draw else None
        try:
            self._print_news(
                f"The release of {self.image.rpartition('/')[2] or 'the next version'}", show=show, line=not picture
            )
            if picture:
                picture.wait(AFTERMATH)
        except KeyboardInterrupt:
            print("No longer followed. The release goes on; follow() takes it up again.")
        finally:
            if picture:
                picture.close()
        return self

    def _check(self) -> None:
        if self.problem:
            raise self.problem
        limit = 2 * interval(self.spec) + PATIENCE
        if not self.ended and not self.running and self.seconds > limit and not self._stop.is_set():
            self.stop()
            raise TookTooLong(f"No release has started {self.seconds:.0f} s after the change.", self.canary.explain())

    def _watch(self, kind: str, name: str) -> None:
        """One thread: what one watch brings, for as long as the release runs and the cluster answers."""
        failing = 0.0
        while not self._stop.is_set():
            try:
                for what, obj in self.canary.cluster.watch(kind, self.canary.namespace, name, self._stop):
                    failing = 0.0
                    if (what, kind) == ("DELETED", "canaries"):
                        raise Missing(f"the Canary {name} was deleted during its release", BACK, 404)
                    self._observe(kind, obj)
            except Unreachable as exc:
                failing = failing or time.time()
                if time.time() - failing > PATIENCE:
                    return self.stop(exc)
                self._stop.wait(1)
            except Exception as exc:  # a mistake of ours, too: whoever follows would wait for ever
                return self.stop(exc)
        return None

    def _listen(self) -> None:
        """One thread: Flagger's log as it is written; its events where the log may not be read."""
        lines: set[str] = set()
        while not self._stop.is_set():
            try:
                for line in flagger_log.log(self.canary.cluster, self.began, follow=True):
                    event = event_of_line(line, self.canary.name, self.canary.namespace, time.time(), self.began)
                    if event and line not in lines and not self._stop.is_set():
                        lines.add(line)
                        self._tell(event)
            except Unreachable:
                self._stop.wait(1)  # Flagger's pod is being replaced, or the cluster is gone: _watch tells which
            except TutorialError:
                return self._watch("events", "")
            except Exception as exc:
                return self.stop(exc)
        return None

    def _observe(self, kind: str, obj: Obj) -> None:
        with self._lock:
            if self._stop.is_set():
                return
            if kind == "events":
                self._observe_event(obj)
                return
            self._objects[kind] = obj
            point = timeline.observe(self._objects["canaries"], self._objects.get("virtualservices"), time.time())
            revision = self._objects["canaries"].get("status", {}).get("lastAppliedSpec", "")
            if point.phase in RUNNING and revision != self._earlier:
                if not self._revision:
                    self._revision = revision
                    replaced = self._is_another(self.canary.image())
                else:
                    replaced = revision != self._revision
                if replaced:
                    raise TutorialError(
                        f"The release of {self.image} was superseded: {self.canary.target} was changed while it ran, "
                        "and Flagger restarted the analysis.",
                        f"canary-tutorial trace {self.canary.name} -n {self.canary.namespace} -f",
                    )
            # Behind a gate that is closed before the rollout, Flagger has not yet written the new revision down.
            self._detected |= point.phase in RUNNING and (revision != self._earlier or not self._busy)
            if not self._detected:  # phase and failed checks are still those of the release before
                point = replace(point, phase="", failed_checks=0, iterations=0)
            if not self.points or not self.points[-1].same(point):
                self.points.append(point)
                self._news.put(point)
            if not self.ended and point.phase in ENDED and any(p.phase in RUNNING for p in self.points):
                self.ended = point.time
                heard = any(LAST.match(event.message) for event in self.events)  # a success's comes after its status
                self._stop_in(HOOKS if heard else LAST_PATIENCE)

    def _is_another(self, image: str) -> bool:
        """Whether Flagger has detected another version than this release's; one that waits for any takes this one."""
        self.image = self.image or image
        return image != self.image

    def _observe_event(self, obj: Obj) -> None:
        about = obj.get("involvedObject", {})
        if (about.get("kind"), about.get("name")) != ("Canary", self.canary.name) or _version(obj) in self._seen:
            return
        self._seen.add(_version(obj))
        said = read_event(obj)
        self._tell(Event(time.time(), said.type, said.message))  # the server's own time knows only whole seconds

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._news.put(event)
        if self.ended and LAST.match(event.message):
            self._stop_in(HOOKS)

    def _stop_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.stop)
        timer.daemon = True  # nobody's exit waits for it
        timer.start()


def requests_by_step(steps: Sequence[Step], counters: Sequence[Series], settle: float) -> Table:
    """The table of `Release.requests_by_step`, from its steps and the raw counters of its workloads."""
    rows: list[list[Any]] = []
    for step in steps:
        if not step.phase:
            continue
        measured = {
            name: rate([s for s in counters if role(s.labels) == name], step.start + settle, step.end)
            for name in ("primary", "shifted", "mirrored")
        }
        users = (measured["primary"] or 0) + (measured["shifted"] or 0)
        weights = {"primary": step.primary, "shifted": step.canary, "mirrored": 100 * step.mirror}
        for name, weight in weights.items():
            found, expected = measured[name], users * weight / 100
            if expected and found is not None:
                off = round(100 * (found / expected - 1), 1)
                rows.append([step.phase, name, f"{weight}%", round(expected, 1), round(found, 1), off])
    return Table(["phase", "series", "weight", "expected", "measured", "off by %"], rows, "requests per second")


def _version(event: Obj) -> tuple[str, int]:
    return event["metadata"]["uid"], event.get("count") or 1


def as_line(news: Point | Event, began: float) -> str:
    """One line of live text."""
    when = f"{news.time - began:6.1f} s  "
    if isinstance(news, Event):
        return f"{when}  {'!' if news.type == 'Warning' else ' '} {news.message}"
    failed = f", {news.failed_checks} failed checks" if news.failed_checks else ""
    looks = f", iteration {news.iterations}" if news.iterations else ""
    return f"{when}{news}{looks}{failed}"
