"""The scenarios, in groups: each group has a lab and a Flagger of its own, and is played side by side.

A scenario is a coroutine that gets a `Stage`; its name is that of its namespace, its docstring the row in docs/parity.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from parity.scenarios import configs, controllers, deletion, gates, metrics, objects, strategies, traffic, weighted
from parity.stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Group:
    """Scenarios that share a Flagger with these flags; `{url}` in a flag is where the scripted answers are."""

    name: str
    scenarios: tuple[Scenario, ...]
    flags: tuple[str, ...] = ("-include-label-prefix=app.kubernetes.io",)
    flaggers: tuple[str, ...] = ("flagger",)  # names of its Deployments
    mesh: bool = False  # whether Envoy carries real requests, and Prometheus counts them


COMMON: tuple[Scenario, ...] = (
    *(weighted.success, weighted.errors, weighted.badimage, weighted.notraffic, weighted.abort, weighted.steps),
    *(weighted.weight100, weighted.midrun, weighted.skip, weighted.suspend, weighted.primarydies, weighted.thresholds),
    *(strategies.ab, strategies.mixmatch, strategies.bluegreen, strategies.bluegreen2),
    *(strategies.affinity, strategies.twice),
    *(gates.gated, gates.hooksfail, gates.slowhook),
    *(configs.config, configs.twoconf, configs.optional),
    *(deletion.revert, deletion.revertmid, deletion.delplain, deletion.recreate),
    *(objects.hpa, objects.wronghpa, objects.scale, objects.delegate, objects.edits, objects.rich),
    *(objects.tcp, objects.refused),
    *(metrics.metrics, metrics.inline, metrics.legacy, metrics.badserver),
)
TRAFFIC: tuple[Scenario, ...] = (traffic.users, traffic.faulty, traffic.insiders, traffic.nobody, traffic.scraped)
OTHER_FLAGS = (
    *("-enable-config-tracking=false", "-no-cross-namespace-refs", "-include-label-prefix=*"),
    *("-event-webhook={url}/flags/hooks/events", "-cluster-name=blue"),
    *("-slack-url={url}/flags/alerts/all", "-slack-channel=releases", "-slack-user=canary"),
)
ONE_NAMESPACE = ("-namespace=watched", "-slack-url={url}/watched/alerts/all")
LEADING = ("-enable-leader-election=true", "-leader-election-namespace=leader")
GROUPS = (
    Group("common", COMMON),
    Group("traffic", TRAFFIC, mesh=True),
    Group("restart", (controllers.restart,)),
    Group("flags", (controllers.flags,), OTHER_FLAGS),
    Group("elsewhere", (controllers.elsewhere, controllers.watched), ONE_NAMESPACE),
    Group("leader", (controllers.leader,), LEADING, ("flagger-one",)),
    Group("twenty", (controllers.twenty,)),
)


def name_of(scenario: Scenario) -> str:
    return scenario.__name__.replace("_", "-")
