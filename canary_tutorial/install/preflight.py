"""Checks what a cluster has before the tutorial writes to it, and lists every object that would be created there.

`look` only reads. Each row of its table is `there`, `will create`, `missing` or `unknown`; `require` raises while one is
`missing`. `unknown` is what the account may not read: the lesson goes on, and fails with a message where that part is
needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import NEXT_STEP, Missing, NotReady
from canary_tutorial.install import installed, ownership
from canary_tutorial.install.ownership import by_kind, is_ours, owner, title
from canary_tutorial.install.parts import ABSENT, CANARIES, ISTIO, MISSING, PARTS, THERE, UNKNOWN
from canary_tutorial.kube import manifests
from canary_tutorial.kube.objects import Obj
from canary_tutorial.screen.progress import StatusLine
from canary_tutorial.screen.tables import Table

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

CREATE = "will create"
COLUMNS = ["needed", "state", "what", "next step"]

# What a release needs beyond creating objects: in the cluster's own namespace.
RIGHTS = (
    ("get", "deployments.apps"),
    ("patch", "deployments.apps"),
    ("list", "pods"),
    ("list", "events"),
    ("watch", CANARIES),
    ("patch", CANARIES),
    ("watch", ISTIO[0]),
)
WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "services", CANARIES)


@dataclass(frozen=True, repr=False)
class Preflight(Table):
    """The table, and in `creates` the objects that would be created, by the manifest that holds them."""

    creates: dict[str, list[Obj]] = field(default_factory=dict)
    status: int = 0  # 403 where a right is missing

    @property
    def missing(self) -> list[dict[str, Any]]:
        """The rows that are missing and that the tutorial may not bring."""
        return [row for row in self if row["state"] == MISSING]

    @property
    def objects(self) -> list[str]:
        """Every object that would be created, once: `Deployment test/podinfo`, `Namespace test`."""
        return list(dict.fromkeys(title(obj) for objects in self.creates.values() for obj in objects))

    def __repr__(self) -> str:
        """For a terminal: a count where the table would name many objects, and each of them below it."""
        rows = [
            [name, state, _counted(what) if state == CREATE else what, step] for name, state, what, step in self.rows
        ]
        listed = "".join(f"\n  {name}" for name in self.objects)
        return repr(_shown(rows)) + (f"\nObjects that would be created:{listed}" if listed else "")

    def _repr_html_(self) -> str:
        return _shown(self.rows)._repr_html_()

    def require(self) -> None:
        """Raises NotReady while a row is missing; its message names each."""
        if self.missing:
            named = "\n".join(f"  {row['needed']}: {row['what']}" for row in self.missing)
            steps = list(dict.fromkeys(row["next step"] for row in self.missing if row["next step"]))
            raise NotReady(
                f"The cluster lacks what the tutorial needs and may not bring. Nothing was written.\n{named}",
                "\n→ ".join(steps),
                status=self.status,
            )


def _shown(rows: Sequence[Sequence[str]]) -> Table:
    """As a reader sees it: without the last column where there is nothing to do."""
    if any(row[-1] for row in rows):
        return Table(COLUMNS, [[*row[:-1], row[-1] or "–"] for row in rows])
    return Table(COLUMNS[:-1], [row[:-1] for row in rows])


def _counted(names: str) -> str:
    number = names.count(",") + names.count(";") + 1
    return names if number == 1 else f"{number} objects"


def look(cluster: Cluster, more: Sequence[str | Path] = ()) -> Preflight:
    """What is there, what would be created, what is missing; for the usual manifests and `more` of them."""
    rows: list[list[str]] = [[f"Kubernetes {cluster.version}", THERE, cluster.api.server, ""]]
    creates: dict[str, list[Obj]] = {}
    with StatusLine("Looking at the cluster") as line:
        cluster.api.rediscover()
        for part in PARTS:
            line.say(part.name)
            state, what, step = part.seen(cluster)
            if state == ABSENT:
                state, what, step = _brought(cluster, part.files, creates, what)
            rows.append([part.name, state, what, step if state == MISSING else ""])
        brought = {file for part in PARTS for file in part.files}
        for file in dict.fromkeys((*APPLICATION, *(str(file) for file in more if str(file) not in brought))):
            state, what, step = _brought(cluster, (file,), creates, "")
            rows.append([Path(file).name, state, what, step])
        rows.insert(1, list(_namespace(cluster)))
        line.say("your rights")
        rights = _rights(cluster, [obj for objects in creates.values() for obj in objects])
        rows.insert(2, list(rights))
    return Preflight(COLUMNS, rows, "", creates, 403 if rights[1] == MISSING else 0)


APPLICATION = ("test-podinfo.yaml", "test-loadtester.yaml", "canary-podinfo.yaml")


# -- what would be created


def _brought(cluster: Cluster, files: Sequence[str], creates: dict[str, list[Obj]], found: str) -> tuple[str, str, str]:
    """(state, what, next step) of what `files` bring; notes in `creates` the objects that are not there yet."""
    planned = {title(obj) for objects in creates.values() for obj in objects}
    new: list[Obj] = []
    for file in files:
        objects = cluster.objects(file)
        label, elsewhere = manifests.needs(objects)
        if label and not cluster.has_node(label):
            return MISSING, found, elsewhere
        absent, foreign = _split(cluster, objects, changed=not label)
        if foreign:
            wanted, live = foreign[0]
            return MISSING, f"{title(wanted)} was made by {owner(live)}, not by the tutorial", _other(cluster, wanted)
        creates[file] = absent
        new += [obj for obj in absent if title(obj) not in planned]
    if not any(creates[file] for file in files):
        return THERE, found or "made by the tutorial", ""
    return CREATE, by_kind(new) or found, ""


def _split(cluster: Cluster, objects: Sequence[Obj], changed: bool) -> tuple[list[Obj], list[tuple[Obj, Obj]]]:
    """The objects that are not there, and those that somebody else made and that cannot stand in, each with theirs.
    `changed`: what the lessons will change later (an image, an interval) has to be the tutorial's own."""
    absent, foreign = [], []
    for obj in objects:
        live = cluster.live(obj)
        if live is None:
            absent.append(obj)
        elif not is_ours(live) and (not ownership.usable(live, obj) or (changed and obj["kind"] != "Namespace")):
            foreign.append((obj, live))
    return absent, foreign


def _other(cluster: Cluster, wanted: Obj) -> str:
    if wanted["metadata"].get("namespace") == cluster.namespace:
        step = (
            'Choose a namespace of your own: connect(..., namespace="NAME") or export CANARY_TUTORIAL_NAMESPACE=NAME.'
        )
        return f"{step} If you made it yourself, you may also delete it"
    return "Ask its owner, or use another cluster: connect() takes the lab"


def _namespace(cluster: Cluster) -> tuple[str, str, str, str]:
    """The row of the namespace that the lessons write to."""
    name, row = cluster.namespace, f"namespace {cluster.namespace}"
    if not cluster.can_i("get", "namespaces", name):
        return row, UNKNOWN, "your account cannot get namespaces", ""
    live = cluster.get_or_none("namespaces", name)
    if live is None:
        return row, CREATE, f"Namespace {name}", ""
    if is_ours(live):
        return row, THERE, "made by the tutorial", ""
    others = list(_others(cluster)) if not cluster.chosen else []
    if others:
        what = f"made by {owner(live)}, and holds {', '.join(others[:3])}{' and more' if len(others) > 3 else ''}"
        step = f'Another one, or this one by its name: connect(..., namespace="{name}")'
        return row, MISSING, what, f"{step} or export CANARY_TUTORIAL_NAMESPACE={name}"
    labels = live["metadata"].get("labels") or {}
    if labels.get("istio-injection") != "enabled" and "istio.io/rev" not in labels:
        return row, MISSING, "its pods get no sidecar", f"kubectl label namespace {name} istio-injection=enabled"
    return row, THERE, f"made by {owner(live)}; used as it is", ""


def _others(cluster: Cluster) -> Iterator[str]:
    """What somebody else has in the namespace: workloads, Services and Canaries that nothing of ours made."""
    for kind in WORKLOADS:
        if cluster.serves(kind) and cluster.can_i("list", kind):
            for obj in cluster.list(kind):
                if not is_ours(obj) and not obj["metadata"].get("ownerReferences") and not _theirs_by_nature(obj):
                    yield title(obj)


def _theirs_by_nature(obj: Obj) -> bool:
    return bool(obj["kind"] == "Service" and obj["metadata"]["name"] == "kubernetes")


# -- rights


def _rights(cluster: Cluster, planned: Sequence[Obj]) -> tuple[str, str, str, str]:
    """The row of what the account may do: what a release needs, and creating what is planned."""
    wanted = [(verb, kind, cluster.namespace) for verb, kind in RIGHTS]
    where = installed.prometheus(cluster).partition("/")[0]
    wanted += [("get", "services/proxy", where)] if where else []
    for obj in planned:
        kind = _kind(cluster, obj)
        wanted += [(verb, kind, obj["metadata"].get("namespace", "*")) for verb in ("create", "patch")]
    lacking = [
        f"{verb} {kind}" + (f" in {place}" if place != "*" else "")
        for verb, kind, place in dict.fromkeys(wanted)
        if not cluster.can_i(verb, kind, place)
    ]
    if lacking:
        return "your rights", MISSING, f"your account cannot {', '.join(lacking)}", NEXT_STEP[403]
    return "your rights", THERE, f"{len(dict.fromkeys(wanted))} needed, all granted", ""


def _kind(cluster: Cluster, obj: Obj) -> str:
    """`deployments.apps` for an object, also where its kind is only about to come."""
    group = obj["apiVersion"].rpartition("/")[0]
    try:
        plural = cluster.api.resource_of(obj).plural
    except Missing:
        plural = PLURALS.get(obj["kind"], obj["kind"].lower() + "s")
    return f"{plural}.{group}" if group else plural


PLURALS = {"Canary": "canaries", "Telemetry": "telemetries"}
