"""A record as plain data in which everything that varies by chance has a name. Pure.

statuses   of each Canary: every status that differs from the one before, without times
events     every write of an event: its type, its count and its text
routes     every VirtualService, DestinationRule and Lease written, with metadata, where it differs from the one before
hooks      calls of webhooks with their payload; alerts: what each chat room heard; queries: each PromQL once
writes     of Deployments how many pods of which images, of other objects all of it, where it changes
objects    what is there at the end, in full
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from parity.answers import Script
from parity.recorder import Record, Recorder

Obj = dict[str, Any]
COMBINED = "(combined from similar events): "
SIMILAR = 10  # from so many texts on, which of them is combined is chance
TEXTS = [
    (re.compile(r"127\.0\.0\.1:\d+"), "{server}"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "{time}"),
    # how far a primary is that was created a moment ago
    (re.compile(r"(-primary\.[^:]+ not ready: waiting for rollout to finish: ).*"), r"\1{progress}"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "{id}"),
]
MEASURED = [  # where requests are real, their rates are as well
    (re.compile(r"success rate \d+\.\d\d%"), "success rate {measured}"),
    (re.compile(r"request duration [\d.]+(ms|s)\b"), "request duration {measured}"),
]
CHANCE = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "clusterIP", "clusterIPs")
TIMES = ("lastTransitionTime", "lastUpdateTime", "deletionTimestamp", "timestamp")


class Names:
    """A name for each value of a kind, in order of appearance: revision-1, revision-2."""

    def __init__(self, kind: str) -> None:
        self._kind, self._known = kind, dict[str, str]()

    def __call__(self, value: str) -> str:
        return self._known.setdefault(value, f"{{{self._kind}-{len(self._known) + 1}}}") if value else value


class Normal:
    """Names that hold for one whole record."""

    def __init__(self, measured: bool = False) -> None:
        self._texts = TEXTS + (MEASURED if measured else [])
        self.revision, self.checksum, self.holder = Names("revision"), Names("checksum"), Names("holder")
        self.cookies: dict[str, str] = {}

    def text(self, text: str) -> str:
        for pattern, to in self._texts:
            text = pattern.sub(to, text)
        for cookie, name in self.cookies.items():
            text = text.replace(cookie, name)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """Any JSON value."""
        if isinstance(value, dict):
            return {k: self.value(v, k) for k, v in value.items() if k not in CHANCE}
        if isinstance(value, list):
            return [self.value(each, key) for each in value]
        if key in TIMES and value:
            return "{time}"
        if key in ("lastAppliedSpec", "lastPromotedSpec"):
            return self.revision(value)
        if key == "checksum":
            return self.checksum(value)
        if key.endswith("essionAffinityCookie") and value:
            self._cookie(value)
        return self.text(value) if isinstance(value, str) else value

    def _cookie(self, cookie: str) -> None:
        random = cookie.partition("=")[2]
        if random and random not in self.cookies:
            self.cookies[random] = f"{{cookie-{len(self.cookies) + 1}}}"


def recording(recorder: Recorder, script: Script, namespace: str) -> Obj:
    """The whole record of a namespace."""
    normal, record = Normal(bool(script.measured)), recorder.records[namespace]
    return {
        "statuses": _statuses(normal, record),
        "events": _events(normal, record),
        "routes": _routes(normal, record),
        "hooks": normal.value(script.calls),
        "alerts": _alerts(normal, script),
        "queries": script.queries,
        "writes": _writes(normal, record),
        "objects": {named(obj): _object(normal, obj) for obj in recorder.final(namespace)},
        **({"measured": script.measured} if script.measured else {}),
    }


def _statuses(normal: Normal, record: Record) -> Obj:
    found: defaultdict[str, list[Obj]] = defaultdict(list)
    for canary in sorted(record.canaries, key=lambda each: each["metadata"]["name"]):  # of one name in order of time
        status = normal.value(canary.get("status") or {})
        seen = found[canary["metadata"]["name"]]
        if not seen or seen[-1] != status:
            seen.append(status)
    return dict(found)


def _events(normal: Normal, record: Record) -> Obj:
    """By object: "TYPE xCOUNT TEXT"; where chance decides which texts are combined, without a count."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    texts: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for event in record.events:
        about, type_, message = event["involvedObject"]["name"], event["type"], event["message"]
        known = texts[about, type_]
        known.add(message.removeprefix(COMBINED))
        many = len(known) >= SIMILAR
        text = normal.text(message.removeprefix(COMBINED) if many else message)
        found[about].append(f"{type_} {'many' if many else 'x' + str(event['count'])} {text}")
    return dict(found)


def _routes(normal: Normal, record: Record) -> Obj:
    return _history((named(obj), type_, _object(normal, obj)) for type_, obj in record.routes)


def _writes(normal: Normal, record: Record) -> Obj:
    return _history(
        (named(obj), type_, _pods(obj) if obj["kind"] == "Deployment" else _object(normal, obj))
        for type_, obj in record.others
    )


def _pods(deployment: Obj) -> str:
    """How many of which images: 2 x stefanprodan/podinfo:2.1.1"""
    spec = deployment["spec"]
    images = [container["image"] for container in spec["template"]["spec"]["containers"]]
    return f"{spec['replicas']} x {', '.join(images)}"


def _history(seen: Iterable[tuple[str, str, Any]]) -> Obj:
    """By object: every state that differs from the one before."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for name, type_, shown in seen:
        if type_ == "DELETED":
            found[name].append("deleted")
        elif not found[name] or found[name][-1] != shown:
            found[name].append(shown)
    return dict(sorted(found.items()))


def _alerts(normal: Normal, script: Script) -> Obj:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for alert in script.alerts:
        found[alert["to"]].append(normal.value(alert["body"]))
    return dict(found)


def named(obj: Obj) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _object(normal: Normal, obj: Obj) -> Obj:
    shown: Obj = normal.value({key: value for key, value in obj.items() if key != "status"})
    if obj["kind"] == "Lease":
        shown["spec"] = {key: value for key, value in shown["spec"].items() if key not in ("acquireTime", "renewTime")}
        shown["spec"]["holderIdentity"] = normal.holder(obj["spec"].get("holderIdentity", ""))
    if obj["kind"] == "Service":  # Flagger keeps the ports that it discovers in a map: their order is chance
        first, *discovered = shown["spec"]["ports"]
        shown["spec"]["ports"] = [first, *sorted(discovered, key=lambda port: port["port"])]
    return shown
