"""What the objects that Flagger creates have in common: owner reference, labels, the target's selector label. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.spec import Canary, name_of


def pod_spec(deployment: Obj) -> Obj:
    """The spec of a Deployment's pods."""
    found: Obj = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    return found


def replicas_of(deployment: Obj) -> int:
    """How many pods a Deployment asks for: 1 where it does not say."""
    replicas = (deployment.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def new(c: Canary, api_version: str, kind: str, name: str, meta: Obj, **body: Any) -> Obj:
    """An object that goes with the Canary. `meta`: labels, annotations (Flagger writes no empty ones), other owners."""
    own = {"name": name, "namespace": c.namespace, "ownerReferences": [*meta.get("ownerReferences", ()), owner(c)]}
    return {"apiVersion": api_version, "kind": kind, "metadata": own | some(meta), **body}


def some(meta: Obj) -> Obj:
    """Its `labels` and `annotations`, if they are not empty."""
    return {field: meta[field] for field in ("labels", "annotations") if meta.get(field)}


def owner(c: Canary) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": c.name,
        "uid": c.obj["metadata"].get("uid") or "",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owning_canary(obj: Obj) -> str | None:
    """The name of the Canary that controls the object, if one does."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == "Canary":
            return name_of(reference)
    return None


def selector_label(c: Canary, target: Obj, allowed: Sequence[str]) -> tuple[str, str]:
    """The label that tells primary from canary, and its value; refused if the target selects by none of `allowed`."""
    labels = (target["spec"].get("selector") or {}).get("matchLabels") or {}
    for label in allowed:
        if labels.get(label) is not None:
            return label, str(labels[label])
    raise Refused(
        f"getSelectorLabel failed: deployment {c.target}.{c.namespace} spec.selector.matchLabels must contain one of "
        f"[{' '.join(allowed)}]"
    )


def included(values: Obj | None, prefixes: Sequence[str]) -> Obj:
    """Labels or annotations that a primary inherits."""
    return {
        key: value
        for key, value in (values or {}).items()
        if "toolkit.fluxcd.io" not in key and any(p == "*" or key.startswith(p) for p in prefixes)
    }
