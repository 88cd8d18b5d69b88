"""Finds the mesh, Prometheus and Flagger on a cluster, wherever and however they were installed.

They are recognized by their images and by the labels that Helm charts and plain manifests set. An account that may not
list all namespaces sees its own and the usual ones; `Found.everywhere` says whether all were seen. I/O: through a
Cluster, reading only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from canary_tutorial.errors import Missing
from canary_tutorial.kube.objects import Obj

if TYPE_CHECKING:
    from canary_tutorial.kube.cluster import Cluster

ALL = "*"
USUAL = ("istio-system", "flagger-system", "monitoring")  # where to look if not everywhere
PROMETHEUS = "CANARY_TUTORIAL_PROMETHEUS"  # where another cluster has it: "monitoring/prometheus-server:80"
DEFAULT_PROMETHEUS = "istio-system/prometheus:9090"


@dataclass(frozen=True)
class Found:
    """Objects of one kind, and whether the account could look into all namespaces for them."""

    objects: Sequence[Obj]
    everywhere: bool

    @property
    def first(self) -> Obj | None:
        return self.objects[0] if self.objects else None


def search(cluster: Cluster, kind: str, fits: Callable[[Obj], bool]) -> Found:
    """The objects of `kind` that fit, in every namespace that the account may list."""
    if cluster.can_i("list", kind, ALL):
        return Found([obj for obj in cluster.list(kind, ALL) if fits(obj)], True)
    seen = [name for name in dict.fromkeys((cluster.namespace, *USUAL)) if cluster.can_i("list", kind, name)]
    return Found([obj for name in seen for obj in cluster.list(kind, name) if fits(obj)], False)


# -- Flagger


def flagger(cluster: Cluster) -> Found:
    """The Deployments that run Flagger: by image, else by label; those that watch the cluster's namespace first."""
    found = search(cluster, "deployments.apps", lambda d: runs(d, "flagger") or _labelled(d, "flagger"))
    by_image = [d for d in found.objects if runs(d, "flagger")] or found.objects
    return Found(sorted(by_image, key=lambda d: not watches(d, cluster.namespace)), found.everywhere)


def watches(flagger: Obj, namespace: str) -> bool:
    """Whether this Flagger watches Canaries in `namespace`: its flag -namespace may name another one."""
    return argument(flagger, "namespace") in ("", namespace)


def the_flagger(cluster: Cluster) -> Obj:
    """The Deployment of the Flagger that watches the cluster's namespace. Raises Missing, which says why none is
    known."""
    found = flagger(cluster)
    if found.first:
        return found.first
    if found.everywhere:
        raise Missing("no Flagger runs on this cluster", "cluster.preflight() says how to get it.", 404)
    raise Missing(
        "Flagger was not found, and your account may not list deployments in all namespaces",
        "Ask the cluster's owner for the right to list deployments and to get pods/log where Flagger runs.",
        404,
    )


# -- the mesh and Prometheus


def istiod(cluster: Cluster) -> Found:
    """The Deployments of Istio's control plane; `app: istiod` in every way to install it, revisions included."""
    return search(cluster, "deployments.apps", lambda d: _label(d, "app") == "istiod" or runs(d, "pilot"))


def prometheus(cluster: Cluster) -> str:
    """`namespace/service:port` of the Prometheus that counts the requests; "" if none was found.

    In this order: the one named by CANARY_TUTORIAL_PROMETHEUS, the one that Flagger asks, the one of the tutorial's own
    manifests, any other Service in front of a Prometheus.
    """
    if named := os.environ.get(PROMETHEUS):
        return named
    for deployment in flagger(cluster).objects:
        asked = service_of_url(argument(deployment, "metrics-server"), deployment["metadata"]["namespace"])
        if asked and _may_be_there(cluster, asked):
            return asked
    if _may_be_there(cluster, DEFAULT_PROMETHEUS, sure=True):
        return DEFAULT_PROMETHEUS
    return _search_prometheus(cluster)


def _search_prometheus(cluster: Cluster) -> str:
    programs = [
        obj
        for kind in ("deployments.apps", "statefulsets.apps")
        if cluster.serves(kind)
        for obj in search(cluster, kind, lambda obj: runs(obj, "prometheus")).objects
    ]
    for program in programs:
        where = program["metadata"]["namespace"]
        labels = (program["spec"]["template"]["metadata"].get("labels") or {}).items()
        for service in cluster.list("services", where) if cluster.can_i("list", "services", where) else []:
            selector = service["spec"].get("selector") or {}
            if selector and selector.items() <= labels and service["spec"].get("ports"):
                ports = service["spec"]["ports"]
                port = next((p for p in ports if str(p.get("name", "")).startswith(("http", "web"))), ports[0])
                return f"{where}/{service['metadata']['name']}:{port['port']}"
    return ""


def _may_be_there(cluster: Cluster, where: str, sure: bool = False) -> bool:
    """Whether that Service exists; where it may not be read, the opposite of `sure`."""
    namespace, _, service = where.partition("/")
    if not cluster.can_i("get", "services", namespace):
        return not sure
    return cluster.get_or_none("services", service.partition(":")[0], namespace) is not None


def service_of_url(url: str, namespace: str) -> str:
    """`monitoring/prometheus:9090` for http://prometheus.monitoring.svc.cluster.local:9090; "" for an address outside
    the cluster. A short name is one of `namespace`."""
    try:
        parts = urlsplit(url)
        name, _, rest = (parts.hostname or "").partition(".")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    inside = re.fullmatch(r"([a-z0-9-]*)(\.svc(\.cluster\.local)?)?", rest)
    if not name or not port or not inside or name in ("localhost", "127"):
        return ""
    return f"{inside[1] or namespace}/{name}:{port}"


# -- what an object says


def runs(obj: Obj, program: str) -> bool:
    """Whether a container's image is `program`, from whichever registry: the last word of its path, without the tag."""
    return any(program == image_name(container["image"]) for container in _containers(obj))


def image_name(image: str) -> str:
    """`flagger` for ghcr.io/fluxcd/flagger:1.44.0@sha256:..."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def version(obj: Obj) -> str:
    """The tag of an object's first image, or "" if it has none."""
    images = [container["image"].partition("@")[0] for container in _containers(obj)]
    return images[0].rpartition("/")[2].partition(":")[2] if images else ""


def argument(obj: Obj, flag: str) -> str:
    """The value of a Go flag in a Deployment's first container (-flag=value, or the two as words), else ""."""
    words = [str(word) for container in _containers(obj)[:1] for word in container.get("args") or []]
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if word.startswith("-") and name == flag:
            return value if equals else following
    return ""


def _containers(obj: Obj) -> list[Obj]:
    return list(((obj["spec"].get("template") or {}).get("spec") or {}).get("containers") or [])


def _label(obj: Obj, key: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(key, ""))


def _labelled(obj: Obj, name: str) -> bool:
    """By either convention: app=NAME of plain manifests, app.kubernetes.io/name=NAME of Helm's."""
    return name in (_label(obj, "app"), _label(obj, "app.kubernetes.io/name"))
