"""The parts that a release needs (mesh, Prometheus, Flagger): the manifests that install each, and the test whether it is
there already, whoever installed it. I/O: through a Cluster, reading only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from canary_tutorial.install import installed
from canary_tutorial.install.ownership import is_ours, title

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster
    from canary_tutorial.kube.objects import Obj

# The states of a part. ABSENT: not there, and its manifests may bring it. MISSING: not there, and they may not.
# UNKNOWN: what the account may not see.
THERE, ABSENT, MISSING, UNKNOWN = "there", "absent", "missing", "unknown"

ISTIO = ("virtualservices.networking.istio.io", "destinationrules.networking.istio.io")
CANARIES = "canaries.flagger.app"


class Seen(NamedTuple):
    """How a part stands: its state, what was found, and what to do where it is missing."""

    state: str
    what: str
    step: str = "Ask its owner, or use another cluster: connect() takes the lab"


@dataclass(frozen=True)
class Part:
    """Something a lesson needs: the manifests that bring it, and how to see that it is there already."""

    name: str
    files: tuple[str, ...]
    seen: Callable[[Cluster], Seen]


def _mesh(cluster: Cluster) -> Seen:
    versions = [cluster.api.versions(kind) for kind in ISTIO]
    found = installed.istiod(cluster)
    if found.first and all(versions):
        if not _injects(cluster):
            return Seen(ABSENT, f"{_where(found.first)} runs, but no webhook adds sidecars to pods")
        return Seen(THERE, f"{_where(found.first)}; networking.istio.io {', '.join(versions[0])}")
    if found.first:
        return Seen(ABSENT, f"{_where(found.first)} runs, but its kinds are not served")
    if all(versions) and not found.everywhere:
        return Seen(UNKNOWN, f"networking.istio.io is served; your account {_may_not('list', 'deployments')}")
    return Seen(ABSENT, "no istiod runs")


def _injects(cluster: Cluster) -> bool:
    kind = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
    if not cluster.can_i("list", kind, "*"):
        return True
    hooks = [hook for obj in cluster.list(kind, "*") for hook in obj.get("webhooks") or []]
    return any("sidecar-injector" in hook["name"] for hook in hooks)


def _prometheus(cluster: Cluster) -> Seen:
    if where := installed.prometheus(cluster):
        return Seen(THERE, f"service {where}")
    if not cluster.can_i("list", "services", "*"):
        step = f"If you know where it is: export {installed.PROMETHEUS}=NAMESPACE/SERVICE:PORT"
        return Seen(MISSING, f"not found, and your account {_may_not('list', 'services')}", step)
    return Seen(ABSENT, "no Service leads to a Prometheus")


def _request_host(cluster: Cluster) -> Seen:
    kind = "telemetries.telemetry.istio.io"
    versions = cluster.api.versions(kind)
    if versions and "v1" not in versions:
        return Seen(MISSING, f"telemetry.istio.io/v1 comes with Istio 1.22; served: {', '.join(versions)}")
    if not versions:
        return Seen(ABSENT, "telemetry.istio.io is not served")
    found = installed.search(cluster, kind, lambda obj: "request.host" in str(obj.get("spec")))
    used = [obj for obj in found.objects if obj["metadata"]["namespace"] in _heeded(cluster)]
    return Seen(THERE, title(used[0])) if used else Seen(ABSENT, "no Telemetry adds it")


def _heeded(cluster: Cluster) -> set[str]:
    """The namespaces whose Telemetry the mesh applies to ours: our own, and the one of istiod."""
    control_planes = installed.istiod(cluster).objects
    return {cluster.namespace, "istio-system", *(d["metadata"]["namespace"] for d in control_planes)}


def _flagger_kinds(cluster: Cluster) -> Seen:
    versions = cluster.api.versions(CANARIES)
    if "v1beta1" in versions:
        return Seen(THERE, f"flagger.app {', '.join(versions)}")
    if versions:
        return Seen(MISSING, f"flagger.app/v1beta1 is not served, only {', '.join(versions)}")
    return Seen(ABSENT, "flagger.app is not served")


def _flagger(cluster: Cluster) -> Seen:
    found = installed.flagger(cluster)
    if found.first:
        mesh = installed.argument(found.first, "mesh-provider") or "istio"
        if not installed.watches(found.first, cluster.namespace):
            only = installed.argument(found.first, "namespace")
            return Seen(MISSING, f"{_where(found.first)} watches the namespace {only} only")
        if not mesh.startswith("istio"):
            return Seen(MISSING, f"{_where(found.first)} is set up for {mesh}, and the lessons need istio")
        return Seen(THERE, _where(found.first))
    if not found.everywhere and _flagger_kinds(cluster).state == THERE:
        return Seen(UNKNOWN, f"flagger.app is served; your account {_may_not('list', 'deployments')}")
    return Seen(ABSENT, "no Flagger runs")


def _account(cluster: Cluster) -> Seen:
    """Flagger's account: Flagger's own affair where it runs."""
    seen = _flagger(cluster)
    if seen.state != ABSENT or not cluster.can_i("get", "serviceaccounts", "istio-system"):
        return seen
    mine = cluster.get_or_none("serviceaccounts", "flagger", "istio-system")
    return Seen(THERE, title(mine)) if mine and is_ours(mine) else seen


PARTS = (
    Part("mesh: Istio", ("mesh.yaml",), _mesh),
    Part("Prometheus", ("prometheus.yaml",), _prometheus),
    Part("label request_host", ("telemetry.yaml",), _request_host),
    Part("Flagger's kinds", ("flagger-crd.yaml",), _flagger_kinds),
    Part("Flagger's account", ("flagger-account.yaml",), _account),
    Part("Flagger", ("flagger-deployment.yaml",), _flagger),
)


def stand_in(cluster: Cluster, file: str) -> str:
    """What serves as well as a manifest's objects and is there already, made by whomever; "" if they are needed."""
    cluster.api.rediscover()
    for part in PARTS:
        if file in part.files:
            seen = part.seen(cluster)
            return "" if seen.state == ABSENT else seen.what
    return ""


def _where(deployment: Obj) -> str:
    return f"{title(deployment)} {installed.version(deployment)}".strip()


def _may_not(verb: str, resource: str) -> str:
    return f"cannot {verb} {resource} in all namespaces"
