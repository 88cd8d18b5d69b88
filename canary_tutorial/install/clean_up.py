"""Deletes what the tutorial created, and nothing else.

The order: objects in the cluster's own namespace; then, unless somebody else still uses them, the parts that all share
(mesh, Prometheus, Flagger and their CRDs); last the namespaces, unless they hold anything else. Each deletion has the
object's uid as a precondition, so that a new object of the same name stays. I/O: through a Cluster.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import Missing, Refused, TookTooLong
from canary_tutorial.install.ownership import SELECTOR, is_ours, owner, title
from canary_tutorial.kube import manifests
from canary_tutorial.kube.api import Resource
from canary_tutorial.kube.objects import Obj
from canary_tutorial.kube.wait import wait_until
from canary_tutorial.screen.progress import StatusLine
from canary_tutorial.screen.tables import Table

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

ALL = "*"
SHARED = "istio-system"  # where the manifests put what all namespaces share
FIRST, LAST = ("Canary",), ("Deployment", "ServiceAccount", "CustomResourceDefinition")
PATIENCE = 60.0  # seconds in which the cluster should have collected what belonged to the deleted
# What a namespace holds without anybody's doing: kept up by controllers, or made with the namespace itself.
DERIVED = ("Event", "Endpoints", "EndpointSlice", "PodMetrics")
WITH_THE_NAMESPACE = (
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
)


def clean_up(cluster: Cluster) -> Table:
    """See `Cluster.clean_up`."""
    cluster.api.rediscover()
    work = CleanUp(cluster)
    work.delete(work.ours(cluster.namespace))
    work.delete_shared()
    cluster.api.rediscover()  # kinds are gone by now
    for namespace in dict.fromkeys((cluster.namespace, SHARED)):
        work.delete_namespace(namespace)
    work.name_other_namespaces()
    return Table(["object", "result"], work.rows)


class CleanUp:
    """One clean-up: what it has deleted so far, and a row for each object that it deleted or kept."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.rows: list[list[str]] = []
        self.deleted: set[str] = set()
        everything = [obj for path in manifests.home().glob("*.yaml") for obj in manifests.read(path)]
        kinds = dict.fromkeys((obj["apiVersion"], obj["kind"]) for obj in everything)
        self.resources = [found for version, kind in kinds if (found := self._resource(version, kind))]

    def _resource(self, version: str, kind: str) -> Resource | None:
        try:
            return self.cluster.api.resource_of({"apiVersion": version, "kind": kind})
        except Missing:
            return None

    # -- what there is

    def ours(self, namespace: str) -> list[Obj]:
        """What the tutorial created in a namespace, or ("") of the kinds that have none; Namespaces come last of all
        and not from here."""
        kinds = [r for r in self.resources if r.namespaced == bool(namespace) and r.kind != "Namespace"]
        return [obj for kind in kinds for obj in self.listed(kind, namespace, SELECTOR) if is_ours(obj)]

    def listed(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Obj]:
        """All objects of a kind, or nothing where the account may not list them."""
        try:
            return self._list(resource, namespace, labels)
        except Refused:
            return []

    def _list(self, resource: Resource, namespace: str, labels: str = "") -> list[Obj]:
        """All objects of a kind. Raises Refused, without asking for them, where the account may not list them."""
        kind = f"{resource.plural}.{resource.group}".rstrip(".")
        if not self.cluster.can_i("list", kind, namespace or ALL):
            raise Refused(f"your account cannot list {kind}", status=403)
        answer = self.cluster.api.request("GET", resource.path(None, namespace), query={"labelSelector": labels})
        head = {"apiVersion": resource.group_version, "kind": resource.kind}
        return [{**head, **item} for item in answer.get("items", [])]

    # -- deleting

    def delete(self, objects: Iterable[Obj]) -> None:
        """Delete these, in the order of their dependence, and wait until they are gone."""
        found = sorted(objects, key=lambda obj: (_rank(obj["kind"]), obj["kind"], obj["metadata"]["name"]))
        for obj in found:
            options = {"propagationPolicy": "Background", "preconditions": {"uid": obj["metadata"]["uid"]}}
            try:
                self.cluster.api.request("DELETE", self.cluster.path_of(obj), options)
            except Missing:
                continue
            except Refused as refused:
                self.rows.append([title(obj), f"kept: {refused.message}"])
                continue
            self.deleted.add(obj["metadata"]["uid"])
            self.rows.append([title(obj), "deleted"])
        with StatusLine("Deleting what the tutorial created") as line:
            for obj in found:
                if obj["metadata"]["uid"] in self.deleted:
                    self._wait_gone(obj, line)

    def _wait_gone(self, obj: Obj, line: StatusLine) -> None:
        """Wait until an object is gone; one that a finalizer holds back for long is said to be on its way."""
        uid = obj["metadata"]["uid"]

        def gone() -> tuple[bool, str]:
            live = self.cluster.live(obj)
            return live is None or live["metadata"].get("uid") != uid, f"{title(obj)} is still there"

        try:
            wait_until(gone, f"{title(obj)} to be gone", PATIENCE, line=line)
        except TookTooLong:
            row = next(row for row in self.rows if row[0] == title(obj))
            row[1] = f"deleted, but still there after {PATIENCE:.0f} s: a finalizer holds it"

    def delete_shared(self) -> None:
        """Mesh, Prometheus, Flagger and their kinds, unless somebody else uses what of them is ours."""
        cluster_wide = self.ours("")
        shared = [*(self.ours(SHARED) if self.cluster.namespace != SHARED else []), *cluster_wide]
        if not shared:
            return
        kinds = [obj for obj in cluster_wide if obj["kind"] == "CustomResourceDefinition"]
        users = [use for crd in kinds for use in self._instances(crd)] or list(self._injected())
        if users:
            self.rows += [[title(obj), f"kept: in use by {_some(users)}"] for obj in shared]
        else:
            self.delete(shared)

    def _instances(self, crd: Obj) -> list[str]:
        """The objects of a kind that this clean-up has not deleted, wherever they are."""
        versions = [v["name"] for v in crd["spec"]["versions"] if v.get("served")]
        resource = self._resource(f"{crd['spec']['group']}/{versions[0]}", crd["spec"]["names"]["kind"])
        if resource is None:
            return []
        try:
            return self._settled(lambda: self._list(resource, ""))
        except Refused as refused:
            return [f"whoever has {resource.plural} ({refused.message})"]

    def _injected(self) -> Iterator[str]:
        """Other people's namespaces whose pods get a sidecar of the mesh."""
        for obj in self.listed(self.cluster.api.resource("namespaces"), "", "istio-injection=enabled"):
            if not is_ours(obj):
                yield title(obj)

    def delete_namespace(self, name: str) -> None:
        """One of our namespaces, unless it holds what the tutorial did not make."""
        live = self.cluster.get_or_none("namespaces", name) if self.cluster.can_i("get", "namespaces", name) else None
        if live is None or not is_ours(live):
            return
        live = {"apiVersion": "v1", "kind": "Namespace", **live}
        try:
            others = self._settled(lambda: list(self._held(name)))
        except Refused as refused:
            others = [f"what your account may not see ({refused.message})"]
        if others:
            self.rows.append([title(live), f"kept: holds {_some(others)}"])
        else:
            self.delete([live])

    def _held(self, namespace: str) -> Iterator[Obj]:
        for resource in self.cluster.api.listable():
            if resource.namespaced and resource.kind not in DERIVED:
                yield from self._list(resource, namespace)

    def _settled(self, look: Any) -> list[str]:
        """What `look` finds that nothing of ours made, once the cluster has collected what belonged to the deleted."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = [obj for obj in look() if not _with_the_namespace(obj)]
            uids = {obj["metadata"]["uid"] for obj in found}
            roots = [obj for obj in found if not any(o["uid"] in uids for o in _owners(obj))]
            standing = [obj for obj in roots if not self._going(obj)]
            if standing or not roots or time.monotonic() > deadline:
                return [f"{title(obj)} ({owner(obj)})" for obj in standing or roots]
            time.sleep(0.2)

    def _going(self, obj: Obj) -> bool:
        """Whether the cluster is about to take an object away itself."""
        return "deletionTimestamp" in obj["metadata"] or any(o["uid"] in self.deleted for o in _owners(obj))

    def name_other_namespaces(self) -> None:
        """What the tutorial created under another connection's namespace is somebody's, if not yours."""
        for obj in self.listed(self.cluster.api.resource("namespaces"), "", SELECTOR):
            name = obj["metadata"]["name"]
            if is_ours(obj) and name not in (self.cluster.namespace, SHARED):
                self.rows.append([title(obj), f'kept: connect(..., namespace="{name}").clean_up() takes it away'])


def _owners(obj: Obj) -> list[Obj]:
    return obj["metadata"].get("ownerReferences") or []


def _with_the_namespace(obj: Obj) -> bool:
    token = obj["kind"] == "Secret" and obj.get("type") == "kubernetes.io/service-account-token"
    return token or (obj["kind"], obj["metadata"]["name"]) in WITH_THE_NAMESPACE


def _rank(kind: str) -> int:
    if kind in FIRST:
        return -1
    return LAST.index(kind) + 1 if kind in LAST else 0


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
