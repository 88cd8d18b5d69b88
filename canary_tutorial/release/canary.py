"""One Canary: what it says of itself, and what one does with it. Everything goes through the Kubernetes API.

`release` changes the image of the target as `kubectl set image` does; the rest is Flagger's work, which `Release`
(release.py) watches. Properties read the cluster anew each time, so that a cell always shows what is true now.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import BadInput, Missing, TookTooLong, TutorialError
from canary_tutorial.install import installed
from canary_tutorial.kube.api import STRATEGIC, Obj
from canary_tutorial.kube.exec import main_container
from canary_tutorial.kube.wait import until
from canary_tutorial.release import timeline
from canary_tutorial.release.explain import why_nothing_happens
from canary_tutorial.release.flagger_log import Memory
from canary_tutorial.release.release import BACK, Release
from canary_tutorial.release.timeline import RUNNING, Event, Point
from canary_tutorial.screen.tables import Table

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

FAULTS = ("--random-error", "--random-delay", "--unhealthy", "--unready")  # podinfo's own switches, with their values


class Canary:
    """The Canary `name` in `namespace`; what `cluster.canary()` returns."""

    def __init__(self, cluster: Cluster, name: str, namespace: str) -> None:
        self.cluster, self.name, self.namespace = cluster, name, namespace
        self._heard = Memory(cluster, name, namespace)

    def __repr__(self) -> str:
        try:
            obj = self.cluster.find("canaries", self.name, self.namespace)
            if obj is None:
                return f"<Canary {self.name}: not there>"
            point = self.observe(obj)
        except TutorialError as error:  # raised here, it would come with a traceback
            return f"<Canary {self.name}: {error}>"
        threshold = obj["spec"].get("analysis", {}).get("threshold", 1)
        return f"<Canary {self.name} {point}, {point.failed_checks} of {threshold} checks failed>"

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def obj(self) -> Obj:
        """The object itself. Raises Missing."""
        found = self.cluster.find("canaries", self.name, self.namespace)
        if found is None:
            raise Missing(
                f"there is no Canary {self.name} in the namespace {self.namespace}",
                'Apply it first: cluster.apply("canary-podinfo.yaml"), as lesson 2 does.',
                404,
            )
        return found

    @property
    def spec(self) -> Obj:
        return dict(self.obj["spec"])

    @property
    def phase(self) -> str:
        return str(self.obj.get("status", {}).get("phase", ""))

    @property
    def target(self) -> str:
        return str(self.spec["targetRef"]["name"])

    @property
    def interval(self) -> float:
        """Seconds between two of Flagger's looks at this canary."""
        return timeline.interval(self.spec)

    @property
    def shortest(self) -> float:
        """Seconds that a release needs at least, once it is noticed: the sum of its intervals."""
        spec = self.spec
        return timeline.ticks(spec) * timeline.interval(spec)

    @property
    def window(self) -> str:
        """The window of the first metric: over how long Flagger, and so the plot, averages."""
        metrics = self.spec.get("analysis", {}).get("metrics") or [{}]
        return str(metrics[0].get("interval") or "1m")

    def observe(self, obj: Obj | None = None) -> Point:
        """Phase, weights and failed checks now."""
        obj = obj or self.obj
        routes = self.cluster.find("virtualservices", timeline.names(obj)[0], self.namespace)
        return timeline.observe(obj, routes, time.time())

    def image(self, primary: bool = False) -> str:
        """The image of the target, or of the primary: what users get."""
        return str(self._container(self.deployment(primary))["image"])

    def deployment(self, primary: bool = False) -> Obj:
        """The target, or its primary. Raises Missing."""
        name = self.target + "-primary" * primary
        found = self.cluster.find("deployments", name, self.namespace)
        if found is None:
            step = "Flagger makes it: canary.why() says what it waits for." if primary else BACK
            raise Missing(f"there is no Deployment {name} in the namespace {self.namespace}", step, 404)
        return found

    def events(self, since: float = 0) -> list[Event]:
        """What Flagger said about this canary from `since` (seconds since the epoch) on, oldest first: by its log, and
        before that (or where the log may not be read) by its events."""
        said = [read_event(e) for e in self.cluster.events(self.name, self.namespace, "Canary")]
        heard = self._heard.events()
        if heard:
            said = [event for event in said if event.time < int(heard[0].time)]
        return [event for event in (*said, *heard) if event.time >= int(since)]

    def history(self, since: float = 0) -> Table:
        """What Flagger said, as a table."""
        rows = [[datetime.fromtimestamp(e.time).strftime("%H:%M:%S"), e.type, e.message] for e in self.events(since)]
        return Table(["time", "type", "message"], rows)

    # -- doing --------------------------------------------------------------------------------------------------

    def wait(self, *phases: str, timeout: float | None = None) -> None:
        """Until the canary is in one of `phases`. Raises TookTooLong, saying what keeps it."""
        timeout = timeout or 60 + 4 * self.interval

        def reached() -> tuple[bool, str]:
            phase = self.phase
            return phase in phases, f"it is {phase or 'new'}"

        try:
            until(reached, f"the canary {self.name} to be {' or '.join(phases)}", timeout)
        except TookTooLong as exc:
            raise TookTooLong(exc.message, self.why()) from exc

    def release(
        self, image: str, *, flags: Sequence[str] | None = None, watch: bool = True, show: bool = True
    ) -> Release:
        """Set the target's image, as `kubectl set image` does; returns the Release, already being watched. Prints the
        command, if `show`.

        `flags` also sets podinfo's fault switches (["--random-error=true"]), [] removes them, None leaves them alone.
        Raises BadInput where Flagger would ignore the change, since nothing would happen.
        """
        target = self.deployment()
        container = self._container(target)
        command = container.get("command") or [] if flags is None else with_flags(container.get("command") or [], flags)
        if image == container["image"] and command == (container.get("command") or []):
            raise BadInput(
                f"{self.target} is already set to {image}: Kubernetes sees no change, and Flagger no new revision",
                "Choose another tag.",
            )
        if show and self.phase in RUNNING:
            print("A release is under way. Flagger gives it up, and begins anew with this version.")
        release = Release(self, image, self.image(primary=True), list(flags or []))
        if watch:
            release.start()
        name = container["name"]
        if show:
            print(f"kubectl -n {self.namespace} set image deployment/{self.target} {name}={image}")
        if show and flags is not None:
            print(f"... and its command: {' '.join(command)}")
        if flags is None:
            self.cluster.set_image(f"deployment/{self.target}", self.namespace, **{name: image})
        else:
            change = {"containers": [{"name": name, "image": image, "command": command}]}
            body = {"spec": {"template": {"spec": change}}}
            self.cluster.patch("deployments", self.target, body, self.namespace, how=STRATEGIC)
        return release

    def why(self) -> str:
        """Why nothing happens, or what this canary waits for: one sentence, with the next step."""
        target = self.cluster.find("deployments", self.target, self.namespace)
        if target is None:
            return f"Its target is gone: there is no Deployment {self.target}. {BACK}"
        flagger = installed.flagger(self.cluster)
        pods = self.cluster.list("pods", self.namespace, installed.selector(target))
        return why_nothing_happens(self.obj, target, flagger.objects, pods, self.events(), seen=flagger.everywhere)

    def _container(self, deployment: Obj) -> Obj:
        template = deployment["spec"]["template"]
        name = main_container({"metadata": template.get("metadata", {}), "spec": template["spec"]})
        return next(dict(c) for c in template["spec"]["containers"] if c["name"] == name)


def with_flags(command: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A container's command with podinfo's fault switches taken out and `flags` put in."""
    return [word for word in command if not word.startswith(FAULTS)] + list(flags)


def read_event(obj: Obj) -> Event:
    """A core/v1 Event in three words."""
    when: Any = obj.get("eventTime") or obj.get("lastTimestamp") or obj["metadata"]["creationTimestamp"]
    return Event(datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp(), obj["type"], obj["message"])
