"""Why a canary halts, as a sentence with the next step. Pure: computed from objects, events and measured values.

Flagger's text for the most frequent halt ("no values found ... probably not receiving traffic") has several causes;
`why_halted` names the one that applies. `why_nothing_happens` is for a release that Flagger does not detect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from canary_tutorial.kube import rollouts
from canary_tutorial.kube.objects import Obj
from canary_tutorial.release.timeline import Event


def why_nothing_happens(
    canary: Obj, target: Obj, flagger: Sequence[Obj], pods: Sequence[Obj], events: Sequence[Event], seen: bool = True
) -> str:
    """The first of the known causes that applies; the last event if none does. `seen`: whether the account could look
    for Flagger in all namespaces."""
    status, name = canary.get("status", {}), canary["metadata"]["name"]
    if canary["spec"].get("suspend"):
        return f"The canary is suspended. Let it go on: set spec.suspend of {name} to false."
    if not flagger and seen:
        return "Flagger is not installed: cluster.preflight() says how to get it."
    if flagger and not any(d.get("status", {}).get("availableReplicas") for d in flagger):
        return "Flagger is installed, but none of its pods is available: cluster.get('pods', namespace='*') shows why."
    if status.get("phase") in ("Waiting", "WaitingPromotion"):
        return "A gate is closed: the canary waits for approval."
    if trouble := rollouts.blocking_reason(list(pods)):
        return f"The new version does not start: {trouble}."
    if status.get("phase") in ("Initialized", "Succeeded", "Failed") and target["spec"].get("replicas") == 0:
        return (
            "Flagger detects no new revision: the pod template is the one that it promoted last, or that it has already "
            "rejected. Choose another image."
        )
    return f"Flagger's last event: {events[-1].message}" if events else "Flagger has sent no event about it yet."


def why_ended(phase: str, messages: Sequence[str]) -> str:
    """Why a release ended as it did, from the texts of Flagger's events in order: the one that decided it."""
    halts = [text for text in messages if re.search(r"^(\(combined .*\): )?Halt ", text) and "approval" not in text]
    if phase == "Succeeded":
        if any("analysis was skipped" in text for text in messages):
            return "promoted without checks (skipAnalysis)"
        return f"promoted after {len(halts)} failed checks; the last: {halts[-1]}" if halts else "every check passed"
    if phase != "Failed":
        return f"not finished: {messages[-1]}" if messages else "not finished"
    decided = next((text for text in messages if re.search(r"^Rolling back |progress deadline", text)), "")
    if decided and "failed checks threshold" not in decided:
        return decided
    return halts[-1] if halts else decided or "Flagger sent no event that says why"


def why_halted(message: str, *, requests: float, window: float, scrape: float = 1, counted: bool = True) -> str:
    """What an event that begins with "Halt" means. `requests`: how many the canary got in the window (seconds).

    `scrape` is Prometheus' interval in seconds, `counted` whether it knows the canary's metric at all.
    """
    if "no values found" in message:
        if window < 2 * scrape:
            return f"A window of {window:g} s holds fewer than two scrapes ({scrape:g} s apart), too few for a rate."
        if not counted:
            return (
                "Prometheus has never seen this metric of the canary: has its pod a sidecar (READY 2/2), does the load "
                "test run, and is the metric's name right?"
            )
        if not requests:
            return "The canary got no requests in the window. Is the load test running, and aimed at the service?"
        if "success-rate" in message:
            return "Every request failed: with no success at all the query has nothing to divide, and answers nothing."
        if "request-duration" in message:
            return "The canary got its first requests a moment ago: the next check will have values."
        return (
            "The canary gets requests, but its MetricTemplate's query finds nothing: check the names of the metric and of "
            "the labels in it, in Prometheus' own page."
        )
    if found := re.search(r"success rate ([\d.]+)% < ([\d.]+)%", message):
        rate = float(found[1])
        failed = (
            f"About {requests * (1 - rate / 100):.0f} of {requests:.0f} requests" if requests else f"{100 - rate:g}%"
        )
        return f"{failed} failed: {found[1]}% succeeded; the threshold is {found[2]}%."
    if found := re.search(r"request duration (\S+) > (\S+)", message):
        return f"One request in a hundred took longer than {found[1]}; the threshold is {found[2]}."
    if "approval" in message:
        return "A gate is closed: the canary waits until it is opened."
    if "not ready" in message:
        return "The new version's pods are not ready yet; this does not count as a failed check."
    return "A check of this canary's own failed."
