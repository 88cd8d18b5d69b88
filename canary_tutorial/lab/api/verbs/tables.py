"""Tables, which `kubectl get` prints. Columns of built-in kinds are in `kinds`, those of custom kinds come from
`additionalPrinterColumns`. Pure but for reading definitions and the clock from the store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from canary_tutorial.lab.api.checks import schemas
from canary_tutorial.lab.api.kinds import columns
from canary_tutorial.lab.api.kinds.columns import NAME, Column
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.wire import negotiation
from canary_tutorial.lab.objects import Obj, listed
from canary_tutorial.lab.store import Store

Find = Callable[[Any], list[Any]]
STEP = re.compile(
    r"\.?([A-Za-z0-9_$/-]+)|\['([^']+)'\]|\[\?\(@\.([\w.]+)\s*==\s*[\"']([^\"']*)[\"']\)\]|\[(\*|-?\d+)\]"
)


def table(store: Store, target: Target, objects: list[Obj], include: str) -> Obj:
    """A meta.k8s.io/v1 Table; `include` says how much of each object goes with its row (None, Metadata, Object)."""
    resource, now = resource_of(target.kind), store.now()
    chosen = _printer_columns(store, target) or resource.columns
    definitions = [
        {"name": each.name, "type": each.type, "format": each.format, "description": "", "priority": each.priority}
        for each in chosen
    ]  # fmt: skip
    rows = []
    for obj in objects:
        row: Obj = {"cells": [each.cell(obj, now) for each in chosen]}
        if include == "Object":
            row["object"] = resource.shown(obj, target.api_version)
        elif include != "None":
            row["object"] = negotiation.metadata_only(obj)
        rows.append(row)
    alone = objects[0]["metadata"].get("resourceVersion") if len(objects) == 1 else None
    head = {
        "kind": "Table",
        "apiVersion": negotiation.META,
        "metadata": {"resourceVersion": alone or str(store.version)},
    }
    return head | {"columnDefinitions": definitions, "rows": rows}


def _printer_columns(store: Store, target: Target) -> list[Column]:
    """Those of a custom kind, if its definition has any."""
    version = schemas.version_of(store, target.kind, target.version) if target.kind.custom else {}
    listed = version.get("additionalPrinterColumns")
    return [NAME, *(_printer_column(each) for each in listed)] if listed else []


def _printer_column(each: Obj) -> Column:
    find = path(each["jsonPath"])
    type_ = each.get("type", "string")

    def cell(obj: Obj, now: datetime) -> Any:
        found = find(obj)
        if not found:
            return None
        return _typed(found[0], type_, now)

    return Column(each["name"], cell, each.get("priority", 0), type_, each.get("format", ""))


def _typed(value: Any, type_: str, now: datetime) -> Any:
    if value is None:
        return None
    if type_ == "date":
        return columns.age_of(value, now)
    if type_ in ("integer", "number") and isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if type_ == "integer" else value
    if type_ == "boolean" and isinstance(value, bool):
        return value
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def path(text: str) -> Find:
    """The JSONPath that printer columns use: `.status.conditions[?(@.type=="Ready")].status`, `.spec.a[0]`."""
    steps = [_step(match) for match in STEP.finditer(text.strip().strip("{}"))]

    def find(obj: Any) -> list[Any]:
        values = [obj]
        for step in steps:
            values = [inner for value in values for inner in step(value)]
        return values

    return find


def _step(match: re.Match[str]) -> Find:
    """One step of a JSONPath: from a value to the values below it."""
    name, quoted, key, wanted, index = match.groups()
    field = name or quoted
    if field:
        return lambda value: [value[field]] if isinstance(value, dict) and field in value else []
    if key:
        find = path(f".{key}")
        return lambda value: [each for each in listed(value) if str((find(each) or [""])[0]) == wanted]
    if index == "*":
        return listed
    at = int(index)
    return lambda value: listed(value)[at:][:1] if -len(listed(value)) <= at else []
