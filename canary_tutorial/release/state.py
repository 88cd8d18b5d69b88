"""A Canary's state: its object, phase, weights, images, events, and why nothing happens.

Properties read the cluster anew each time, so that a cell always shows the present state. I/O: through a Cluster,
reading only.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from canary_tutorial.errors import Missing, TutorialError
from canary_tutorial.install import installed
from canary_tutorial.kube import rollouts
from canary_tutorial.kube.cluster import Cluster
from canary_tutorial.kube.exec import main_container
from canary_tutorial.kube.objects import Obj
from canary_tutorial.metrics.prometheus import Metrics
from canary_tutorial.release import timeline
from canary_tutorial.release.explain import why_nothing_happens
from canary_tutorial.release.flagger_log import FlaggerLog, read_event
from canary_tutorial.release.timeline import Events, Point, interval

BACK = "Bring it back: prepare(cluster), or the lesson's first cells."


class CanaryState:
    """The Canary `name` in `namespace`, as it stands on the cluster. `metrics` finds the cluster's Prometheus."""

    def __init__(self, cluster: Cluster, name: str, namespace: str, metrics: Callable[[], Metrics]) -> None:
        self.cluster, self.name, self.namespace = cluster, name, namespace
        self._find_metrics = metrics
        self._log = FlaggerLog(cluster, name, namespace)

    def __repr__(self) -> str:
        try:
            obj = self.cluster.get_or_none("canaries", self.name, self.namespace)
            if obj is None:
                return f"<Canary {self.name}: not there>"
            point = self.observe(obj)
        except TutorialError as error:  # raised here, it would come with a traceback
            return f"<Canary {self.name}: {error}>"
        threshold = obj["spec"].get("analysis", {}).get("threshold", 1)
        return f"<Canary {self.name} {point}, failed checks: {point.failed_checks} (rolls back at {threshold})>"

    # -- reading ------------------------------------------------------------------------------------------------

    @property
    def obj(self) -> Obj:
        """The object itself. Raises Missing."""
        found = self.cluster.get_or_none("canaries", self.name, self.namespace)
        if found is None:
            raise Missing(
                f'Canary "{self.name}" not found in namespace "{self.namespace}".',
                'cluster.apply("canary-podinfo.yaml"), as in lesson 2',
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
        """Seconds between two ticks."""
        return interval(self.spec)

    @property
    def shortest_release(self) -> float:
        """Seconds that a release needs at least, once Flagger has detected it: the sum of its intervals."""
        from canary_tutorial.release.plan import plan  # Flagger's rules: not needed by everyone who connects

        return plan(self.spec).seconds

    @property
    def window(self) -> str:
        """The window of the first metric: over how long Flagger, and so the plot, averages."""
        metrics = self.spec.get("analysis", {}).get("metrics") or [{}]
        return str(metrics[0].get("interval") or "1m")

    def observe(self, obj: Obj | None = None) -> Point:
        """Phase, weights and failed checks now."""
        obj = obj or self.obj
        routes = self.cluster.get_or_none("virtualservices", timeline.service_names(obj)[0], self.namespace)
        return timeline.observe(obj, routes, time.time())

    def image(self) -> str:
        """The image that the target is set to: the version to be released."""
        return str(self.container_of(self.deployment())["image"])

    def primary_image(self) -> str:
        """The image of the primary: the version that users get."""
        return str(self.container_of(self.deployment(primary=True))["image"])

    def deployment(self, primary: bool = False) -> Obj:
        """The target, or its primary. Raises Missing."""
        name = self.target + "-primary" * primary
        found = self.cluster.get_or_none("deployments", name, self.namespace)
        if found is None:
            step = "Flagger makes it: canary.explain() says what it waits for." if primary else BACK
            raise Missing(f'Deployment "{name}" not found in namespace "{self.namespace}".', step, 404)
        return found

    def events(self, since: float = 0) -> Events:
        """What Flagger said about this canary from `since` (seconds since the epoch) on, oldest first: by its log, and
        before that (or where the log may not be read) by its events."""
        events = [read_event(e) for e in self.cluster.events(self.name, self.namespace, "Canary")]
        logged = self._log.events()
        if logged:
            events = [event for event in events if event.time < int(logged[0].time)]
        return Events(event for event in (*events, *logged) if event.time >= int(since))

    @property
    def metrics(self) -> Metrics:
        """Queries to the cluster's Prometheus."""
        return self._find_metrics()

    def explain(self) -> str:
        """Why nothing happens, or what this canary waits for: one sentence, with the next step."""
        target = self.cluster.get_or_none("deployments", self.target, self.namespace)
        if target is None:
            return f"Its target is gone: there is no Deployment {self.target}. {BACK}"
        flagger = installed.flagger(self.cluster)
        pods = self.cluster.list("pods", self.namespace, rollouts.selector(target))
        return why_nothing_happens(self.obj, target, flagger.objects, pods, self.events(), seen=flagger.everywhere)

    def container_of(self, deployment: Obj) -> Obj:
        template = deployment["spec"]["template"]
        name = main_container({"metadata": template.get("metadata", {}), "spec": template["spec"]})
        return next(dict(c) for c in template["spec"]["containers"] if c["name"] == name)
