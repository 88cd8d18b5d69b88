"""Make `canary_tutorial/lab/schemas/kinds.json.gz`: the published schemas of the kinds that the lab serves.

    uv run --with kubernetes-validate==1.37.0 python tools/make_schemas.py

`kubernetes-validate` (Apache-2.0) weighs 117 MB, which is too much to depend on; what the lab needs of it is the
shape of some hundred types: field names, types, required fields, merge keys. Those are kept, the prose is not.
Run it again when a kind is added to the registry, or the Kubernetes version that the lab reports moves on.
"""

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from canary_tutorial.lab.api.kinds.registry import RESOURCES

VERSION = "v1.32.0"
WANTED = {("autoscaling/v1", "Scale")} | {
    (api_version, each.kind.kind) for each in RESOURCES for api_version in (each.kind.api_version, *each.forms)
}
KEPT = {
    "$ref", "type", "format", "properties", "additionalProperties", "items", "required",
    "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
}  # fmt: skip
SPECIAL = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"x-kubernetes-int-or-string": True},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"x-quantity": True},
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": {"x-kubernetes-preserve-unknown-fields": True},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": {
        "x-kubernetes-preserve-unknown-fields": True
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": {
        "x-kubernetes-preserve-unknown-fields": True
    },
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": {
        "x-kubernetes-preserve-unknown-fields": True
    },
}


def main() -> None:
    definitions = published()
    kinds, todo = {}, []
    for name, schema in definitions.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            api_version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            if (api_version, gvk["kind"]) in WANTED:
                kinds[f"{api_version}/{gvk['kind']}"] = name
                todo.append(name)
    kept: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in kept:
            kept[name] = SPECIAL.get(name) or compact(definitions[name])
            todo += references(kept[name])
    text = json.dumps({"kinds": kinds, "definitions": kept}, sort_keys=True, separators=(",", ":"))
    target = Path(__file__).parents[1] / "canary_tutorial/lab/schemas/kinds.json.gz"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(
        f"{len(kinds)} kinds, {len(kept)} types, {len(text):,} characters, {target.stat().st_size:,} bytes compressed"
    )


def published() -> dict[str, Any]:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        sys.exit("kubernetes-validate is not installed for this Python; see the top of this file")
    file = Path(spec.origin).parent / "kubernetes-json-schema" / f"{VERSION}-local" / "_definitions.json"
    definitions: dict[str, Any] = json.loads(file.read_text())["$defs"]
    return definitions


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without prose; "or null" is left out too, as Kubernetes takes null for absent everywhere."""
    small: dict[str, Any] = {}
    for key, value in schema.items():
        if key not in KEPT:
            continue
        if key == "type" and isinstance(value, list):
            value = value[0]
        elif key == "$ref":
            value = value.rsplit("/", 1)[1]
        elif key == "properties":
            value = {field: compact(inner) for field, inner in value.items()}
        elif isinstance(value, dict):
            value = compact(value)
        small[key] = value
    return small


def references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in references(item)]
    if not isinstance(schema, dict):
        return []
    found = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return found + [name for value in schema.values() for name in references(value)]


if __name__ == "__main__":
    main()
