"""The published schemas of built-in kinds, and functions that walk any schema.

The file `schemas/kinds.json.gz` (made by `tools/make_schemas.py`) holds types by name, which refer to each other with
`$ref`. A CustomResourceDefinition brings its own schema, without references. The functions here walk both alike.
Pure but for reading that file once, on first use.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

FILE = Path(__file__).parent / "schemas" / "kinds.json.gz"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
TYPE_META = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
FREE: Schema = {"x-kubernetes-preserve-unknown-fields": True}


@cache
def published() -> dict[str, Any]:
    """`kinds`: type name by `apiVersion/kind`; `definitions`: schema by type name."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return loaded


def builtin(api_version: str, kind: str) -> Schema | None:
    """The schema of a built-in kind, e.g. `builtin("apps/v1", "Deployment")`."""
    name = published()["kinds"].get(f"{api_version}/{kind}")
    return resolve({"$ref": name}) if name else None


def custom(openapi: Schema) -> Schema:
    """A custom kind's schema as objects must have it: with apiVersion, kind and the usual metadata."""
    if openapi.get("type") != "object":
        return openapi
    properties = openapi.get("properties") or {}
    return {**openapi, "properties": {**properties, **TYPE_META, "metadata": {"$ref": OBJECT_META}}}


def resolve(schema: Schema | None) -> Schema:
    """Follow a reference; nothing known is a schema that allows everything."""
    if schema is None:
        return FREE
    name = schema.get("$ref")
    if not name:
        return schema
    target: Schema = published()["definitions"].get(name, FREE)
    # What stands beside the reference (merge keys, say) belongs to the field and wins.
    return target if len(schema) == 1 else {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def field(schema: Schema, name: str) -> Schema | None:
    """The schema of a field or map entry; None if the schema knows no such field."""
    properties = schema.get("properties")
    if properties and name in properties:
        return resolve(properties[name])
    extra = schema.get("additionalProperties")  # a map: any key, one schema for all values
    if isinstance(extra, dict):
        return resolve(extra)
    if extra is True or schema.get("x-kubernetes-preserve-unknown-fields"):
        return FREE
    return None


def items(schema: Schema) -> Schema:
    """The schema of a list's items."""
    return resolve(schema.get("items"))


def merge_key(schema: Schema) -> str | None:
    """The field by which a strategic merge patch matches the items of this list, if it merges them at all."""
    if "merge" not in schema.get("x-kubernetes-patch-strategy", "").split(","):
        return None
    return str(schema.get("x-kubernetes-patch-merge-key", ""))
