"""Applies manifests without overwriting other people's objects: the code of `Cluster.apply` and `Cluster.install`.

It reads every object first, and writes only if all of them may be written. A conflict with another field manager is never
forced; one with the tutorial's own later patches is. I/O: through a Cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from canary_tutorial.errors import NEXT_STEP, NotOurs, NotReady, Refused
from canary_tutorial.install import ownership, parts
from canary_tutorial.install.ownership import is_ours, owner, title
from canary_tutorial.kube import manifests
from canary_tutorial.kube.api import APPLY
from canary_tutorial.kube.cluster import MANAGER, Cluster
from canary_tutorial.kube.objects import Obj
from canary_tutorial.screen.tables import Table

Files = Sequence[str | Path]
CRD = "CustomResourceDefinition"


def apply(cluster: Cluster, files: Files, settings: Mapping[str, Any]) -> Table:
    """See `Cluster.apply`."""
    read = {file: cluster.objects(file) for file in files}
    for file, objects in read.items():
        check_needs(cluster, file, objects)
    objects, changes = manifests.with_settings([obj for objects in read.values() for obj in objects], settings)
    found = [before(cluster, obj) for obj in objects]
    rows: list[list[str]] = []
    new_kinds: list[Obj] = []
    for obj, was in zip(objects, found, strict=True):
        if obj["kind"] != CRD:  # it may be of a kind that has just come; all of them are waited for together
            settle(cluster, new_kinds)
        rows.append([title(obj), write(cluster, obj, was)])
        new_kinds += [obj] if obj["kind"] == CRD else []
    settle(cluster, new_kinds)
    return Table(["object", "result"], rows, title="; ".join(changes))


def settle(cluster: Cluster, new_kinds: list[Obj]) -> None:
    """Wait until the API server has digested these CustomResourceDefinitions; empties the list."""
    while new_kinds:
        cluster.wait_established(new_kinds.pop(0)["metadata"]["name"])


def install(cluster: Cluster, files: Files, settings: Mapping[str, Any]) -> Table:
    """See `Cluster.install`; the preflight has passed."""
    rows, changes, started = [], [], []
    for file in files:
        if there := parts.stand_in(cluster, str(file)):
            rows.append([str(file), f"there already: {there}"])
        else:
            applied = apply(cluster, [file], settings)
            rows += [list(row) for row in applied.rows]
            changes += [applied.title] if applied.title else []
            started += [obj["metadata"] for obj in cluster.objects(file) if obj["kind"] == "Deployment"]
    for deployment in started:
        cluster.rollout_status(f"deployment/{deployment['name']}", namespace=deployment["namespace"])
    return Table(["object", "result"], rows, "; ".join(changes))


def check_needs(cluster: Cluster, file: str | Path, objects: list[Obj]) -> None:
    """Whether this cluster can run a file that says what it needs. Raises NotReady, with the installer to use."""
    label, elsewhere = manifests.needs(objects)
    if not label or cluster.has_node(label):
        return
    name = Path(file).name
    if not cluster.can_i("list", "nodes"):
        raise NotReady(
            f"{name} needs a node with the label {label}, and your account cannot list nodes",
            f"{NEXT_STEP[403]} On a cluster that is not the lab: {elsewhere}",
            status=403,
        )
    raise NotReady(
        f"{name} was not applied: it needs a node with the label {label}, and this cluster has none",
        elsewhere,
    )


def before(cluster: Cluster, obj: Obj) -> Obj | None:
    """The object as it is now. Raises NotOurs where it is somebody else's and says something else."""
    found = cluster.live(obj)
    if found and not is_ours(found) and not ownership.usable(found, obj):
        if obj["metadata"].get("namespace") == cluster.namespace:
            step = 'Choose a namespace of your own: connect(..., namespace="NAME")'
        else:
            step = "Leave it to its owner: cluster.preflight() says what is still missing beside it."
        raise _not_ours(f"{title(obj)} was not applied: {owner(found)} made it, not the tutorial", step)
    return found


def write(cluster: Cluster, obj: Obj, found: Obj | None) -> str:
    """Server-side apply of one object that is `found` now; says what came of it. Raises NotOurs."""
    if found and not is_ours(found):
        return f"left as it is: made by {owner(found)}"
    path, labelled = cluster.path_of(obj), ownership.labelled(obj)
    query = {"fieldManager": MANAGER, "force": None}
    try:
        after = cluster.api.request("PATCH", path, labelled, query, content_type=APPLY)
    except Refused as refused:
        managers = ownership.conflicting_managers(refused.causes)
        if refused.status != 409 or not managers:
            raise
        if set(managers) - {MANAGER, ownership.FLAGGER}:
            raise _conflict(obj, managers) from refused
        if ownership.FLAGGER in managers:  # a Service, once a Canary names it
            return "left to Flagger: " + ", ".join(managers[ownership.FLAGGER])
        after = cluster.api.request("PATCH", path, labelled, {**query, "force": "true"}, content_type=APPLY)
    if found is None:
        return "created"
    return "unchanged" if _without_server_fields(found) == _without_server_fields(after) else "configured"


def _conflict(obj: Obj, managers: Mapping[str, list[str]]) -> NotOurs:
    who = "; ".join(f"{manager} set {', '.join(fields)}" for manager, fields in managers.items() if manager != MANAGER)
    force = f"kubectl apply --server-side --force-conflicts --field-manager={MANAGER} -f FILE"
    said = f"{title(obj)} was not applied: {who} since the tutorial did"
    return _not_ours(said, f"Undo that edit, or take the fields back: {force}")


def _not_ours(said: str, step: str) -> NotOurs:
    return NotOurs(f"{said}. Nothing was changed", step, status=409, reason="Conflict")


def _without_server_fields(obj: Obj) -> Obj:
    """An object without what the cluster itself keeps up to date."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields", "generation")}
    return {**obj, "metadata": metadata, "status": None}
