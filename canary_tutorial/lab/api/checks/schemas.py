"""The schema of a kind: the published one of a built-in kind, or the one in its CustomResourceDefinition."""

from __future__ import annotations

from canary_tutorial.lab import schema
from canary_tutorial.lab.kinds import CRDS, Kind
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.schema import Schema
from canary_tutorial.lab.store import Store


def schema_of(store: Store, kind: Kind, version: str, group: str | None = None) -> Schema:
    """The schema that objects of a kind must keep in one version; `group` if it is another form's."""
    if not kind.custom:
        group = kind.group if group is None else group
        api_version = f"{group}/{version}" if group else version
        return schema.builtin(api_version, kind.kind) or schema.FREE
    openapi = (version_of(store, kind, version).get("schema") or {}).get("openAPIV3Schema")
    return schema.custom(openapi) if openapi else schema.FREE


def stored_schema(store: Store, kind: Kind, version: str) -> Schema:
    """The schema of an object as it is stored: custom kinds keep the version's own, built-in ones have one form."""
    return schema_of(store, kind, version if kind.custom else kind.version)


def version_of(store: Store, kind: Kind, version: str) -> Obj:
    """The entry of `spec.versions`: schema, printer columns, sub-resources."""
    definition = store.find(CRDS, kind.resource)
    versions = definition["spec"]["versions"] if definition else []
    return next((each for each in versions if each["name"] == version), {})
