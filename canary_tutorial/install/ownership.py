"""Decides whether the tutorial created an object, from the object's own metadata. Pure.

The tutorial's objects have LABEL, set by a server-side apply of the field manager MANAGER. Both are required: a label
alone may have been copied, and an object that existed before never gets it. All other objects belong to somebody else,
and are neither changed nor deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from canary_tutorial.kube.cluster import MANAGER
from canary_tutorial.kube.objects import Obj

LABEL = {"app.kubernetes.io/part-of": "canary-tutorial"}
FLAGGER = "flagger"  # the field manager that takes over a Service once a Canary names it
SELECTOR = ",".join(f"{key}={value}" for key, value in LABEL.items())


def is_ours(obj: Obj) -> bool:
    """Whether the tutorial created this object."""
    labels = obj["metadata"].get("labels") or {}
    return LABEL.items() <= labels.items() and any(
        entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and _sets_label(entry)
        for entry in obj["metadata"].get("managedFields") or []
    )


def _sets_label(entry: Obj) -> bool:
    node: Any = entry.get("fieldsV1") or {}
    for step in ("f:metadata", "f:labels"):
        node = node.get(step) or {}
    return all(f"f:{key}" in node for key in LABEL)


def labelled(obj: Obj) -> Obj:
    """A copy of `obj` with LABEL."""
    labels = {**(obj["metadata"].get("labels") or {}), **LABEL}
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def owner(obj: Obj) -> str:
    """Who made this object, in a few words: "Helm release shop", "field manager kubectl-create"."""
    metadata = obj["metadata"]
    if release := (metadata.get("annotations") or {}).get("meta.helm.sh/release-name"):
        return f"Helm release {release}"
    if is_ours(obj):
        return "the tutorial"
    managers = [entry.get("manager") for entry in metadata.get("managedFields") or [] if entry.get("manager")]
    if managers:
        return f"field manager {managers[0]}"
    by = (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by")
    return str(by or "somebody else")


def holds(live: Any, wanted: Any) -> bool:
    """Whether `live` says everything that `wanted` says; what the cluster added does not matter."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(holds(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(live, list) and len(live) == len(wanted)
        return same and all(map(holds, live, wanted))
    return bool(live == wanted)


def usable(live: Obj, wanted: Obj) -> bool:
    """Whether somebody else's object can stand in for `wanted` as it is: a Namespace always, anything else if it
    already says the same."""
    return wanted["kind"] == "Namespace" or holds(live, wanted)


def title(obj: Obj) -> str:
    """`Deployment test/podinfo`, `Namespace test`: an object as a table or a message names it."""
    metadata = obj["metadata"]
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{obj['kind']} {where}{metadata['name']}"


def by_kind(objects: Iterable[Obj]) -> str:
    """The objects in a few words: `Namespace istio-system, test; Deployment test/podinfo`."""
    kinds: dict[str, list[str]] = {}
    for obj in objects:
        kind, _, name = title(obj).partition(" ")
        names = kinds.setdefault(kind, [])
        if name not in names:
            names.append(name)
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items())


def conflicting_managers(causes: Sequence[Obj]) -> dict[str, list[str]]:
    """{field manager: its fields} of the causes in the API server's answer to an apply that conflicts."""
    found: dict[str, list[str]] = {}
    for cause in causes:
        if cause.get("reason") == "FieldManagerConflict":
            _, _, rest = str(cause.get("message", "")).partition('"')
            found.setdefault(rest.partition('"')[0], []).append(str(cause.get("field", "")))
    return found
