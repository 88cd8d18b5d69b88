"""Events, of the core group and of `events.k8s.io/v1`, which names their fields differently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from canary_tutorial.lab.api.kinds.columns import NAME, Column, age_of, field
from canary_tutorial.lab.api.kinds.resource import READ, Form, Grant, Resource
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import EVENTS
from canary_tutorial.lab.objects import Obj


def _seen(obj: Obj, now: datetime) -> str:
    last = obj.get("lastTimestamp") or (obj.get("series") or {}).get("lastObservedTime") or obj.get("eventTime")
    return age_of(last or obj["metadata"].get("creationTimestamp"), now)


def _first(obj: Obj, now: datetime) -> str:
    return age_of(obj.get("firstTimestamp") or obj["metadata"].get("creationTimestamp"), now)


def _object(obj: Obj, now: datetime) -> str:
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _source(obj: Obj, now: datetime) -> str:
    source = obj.get("source") or {}
    parts = [source.get("component") or obj.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(part for part in parts if part)


class NewEvents(Form):
    fields: Mapping[str, str] = {
        "note": "message",
        "regarding": "involvedObject",
        "reportingController": "reportingComponent",
        "deprecatedSource": "source",
        "deprecatedFirstTimestamp": "firstTimestamp",
        "deprecatedLastTimestamp": "lastTimestamp",
        "deprecatedCount": "count",
    }
    nulls = ("eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp")


class Events(Resource):
    columns = (
        Column("Last Seen", _seen), Column("Type", field("type", "")), Column("Reason", field("reason", "")),
        Column("Object", _object), Column("Subobject", field("involvedObject.fieldPath", ""), 1),
        Column("Source", _source, 1), Column("Message", lambda obj, now: str(obj.get("message", "")).strip()),
        Column("First Seen", _first, 1), Column("Count", field("count", 1), 1), Column("Name", NAME.cell, 1),
    )  # fmt: skip
    selectable = frozenset({
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    })  # fmt: skip
    nulls = ("eventTime", "firstTimestamp", "lastTimestamp")
    forms: Mapping[str, Form] = {"events.k8s.io/v1": NewEvents()}
    grants = (Grant("view", "events", READ), Grant("edit", "events", "create patch update"))

    def check(self, obj: Obj) -> Iterable[Cause]:
        """An Event is in its object's namespace; one about an object without namespace in any, `default` by custom."""
        about, own = (obj.get("involvedObject") or {}).get("namespace") or "", obj["metadata"].get("namespace", "")
        if about and about != own:
            yield Cause.invalid("involvedObject.namespace", about, "does not match event.namespace")


RESOURCES = [Events(EVENTS)]
