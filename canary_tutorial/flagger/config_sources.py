"""The ConfigMaps and Secrets that a pod's spec names, and the primary's copies of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from canary_tutorial.flagger import owned
from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.routes import some
from canary_tutorial.flagger.spec import Canary


def config_references(spec: Obj) -> dict[str, bool]:
    """`configmap/<name>` and `secret/<name>` that a pod spec names -> whether it may be missing."""
    found: dict[str, bool] = {}

    def add(kind: str, source: Obj | None, key: str = "name") -> None:
        if source and source.get(key):
            reference = f"{kind}/{source[key]}"
            found[reference] = found.get(reference, True) and bool(source.get("optional"))

    for volume in spec.get("volumes") or []:
        add("configmap", volume.get("configMap"))
        add("secret", volume.get("secret"), "secretName")
        for source in (volume.get("projected") or {}).get("sources") or []:
            add("configmap", source.get("configMap"))
            add("secret", source.get("secret"))
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for entry in container.get("env") or []:
            add("configmap", (entry.get("valueFrom") or {}).get("configMapKeyRef"))
            add("secret", (entry.get("valueFrom") or {}).get("secretKeyRef"))
        for entry in container.get("envFrom") or []:
            add("configmap", entry.get("configMapRef"))
            add("secret", entry.get("secretRef"))
    return found


def rename_configs(spec: Obj, configs: set[str]) -> None:
    """Let a pod spec name the primary's copies of the tracked ones."""

    def rename(kind: str, source: Obj | None, key: str = "name") -> None:
        if source and f"{kind}/{source.get(key)}" in configs:
            source[key] += "-primary"

    for volume in spec.get("volumes") or []:
        rename("configmap", volume.get("configMap"))
        rename("secret", volume.get("secret"), "secretName")
        for source in (volume.get("projected") or {}).get("sources") or []:
            rename("configmap", source.get("configMap"))
            rename("secret", source.get("secret"))
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for entry in container.get("env") or []:
            rename("configmap", (entry.get("valueFrom") or {}).get("configMapKeyRef"))
            rename("secret", (entry.get("valueFrom") or {}).get("secretKeyRef"))
        for entry in container.get("envFrom") or []:
            rename("configmap", entry.get("configMapRef"))
            rename("secret", entry.get("secretRef"))


def config_copy(c: Canary, obj: Obj, prefixes: Sequence[str]) -> Obj:
    """`<name>-primary` of a ConfigMap or Secret."""
    meta = obj["metadata"]
    others = [{**ref, "controller": False} for ref in meta.get("ownerReferences") or []]
    made = {
        "apiVersion": "v1",
        "kind": obj["kind"],
        "metadata": {
            "name": f"{meta['name']}-primary",
            "namespace": meta["namespace"],
            **some(labels=owned.included(meta.get("labels"), prefixes)),
            "ownerReferences": [*others, owned.owner_reference(c)],
        },
    }
    fields = ("data", "type") if obj["kind"] == "Secret" else ("data",)
    return made | {field: obj[field] for field in fields if obj.get(field) is not None}
