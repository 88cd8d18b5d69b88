"""The ConfigMaps and Secrets that a pod's spec names, and the primary's copies of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from canary_tutorial.flagger import owned
from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.spec import Canary


def config_references(spec: Obj) -> dict[str, bool]:
    """`configmap/<name>` and `secret/<name>` that a pod spec names -> whether it may be missing."""
    found: dict[str, bool] = {}
    for kind, source, field in _sources(spec):
        if source and source.get(field):
            reference = f"{kind}/{source[field]}"
            found[reference] = found.get(reference, True) and bool(source.get("optional"))
    return found


def rename_configs(spec: Obj, configs: set[str]) -> None:
    """Let a pod spec name the primary's copies of the tracked ones."""
    for kind, source, field in _sources(spec):
        if source and f"{kind}/{source.get(field)}" in configs:
            source[field] += "-primary"


def _sources(spec: Obj) -> Iterator[tuple[str, Obj | None, str]]:
    """Where a pod spec may name a ConfigMap or a Secret: the kind, what stands there, its field for the name."""
    for volume in spec.get("volumes") or []:
        yield "configmap", volume.get("configMap"), "name"
        yield "secret", volume.get("secret"), "secretName"
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield "configmap", source.get("configMap"), "name"
            yield "secret", source.get("secret"), "name"
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for entry in container.get("env") or []:
            yield "configmap", (entry.get("valueFrom") or {}).get("configMapKeyRef"), "name"
            yield "secret", (entry.get("valueFrom") or {}).get("secretKeyRef"), "name"
        for entry in container.get("envFrom") or []:
            yield "configmap", entry.get("configMapRef"), "name"
            yield "secret", entry.get("secretRef"), "name"


def config_copy(c: Canary, obj: Obj, prefixes: Sequence[str]) -> Obj:
    """`<name>-primary` of a ConfigMap or Secret."""
    meta = obj["metadata"]
    others = [{**ref, "controller": False} for ref in meta.get("ownerReferences") or []]
    own = {"labels": owned.included(meta.get("labels"), prefixes), "ownerReferences": others}
    fields = ("data", "type") if obj["kind"] == "Secret" else ("data",)
    content = {field: obj[field] for field in fields if obj.get(field) is not None}
    return owned.new(c, "v1", obj["kind"], f"{meta['name']}-primary", own, **content)
