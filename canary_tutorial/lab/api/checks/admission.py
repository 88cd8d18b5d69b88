"""Admission: what is added to an object before it is stored.

`defaulted` sets the defaults of its kind. `admit` injects the mesh's sidecar into new pods of a namespace labeled
`istio-injection=enabled`, where the mesh is installed (its `MutatingWebhookConfiguration` exists). Controllers that write
straight to the store call `admit` for their pods. Pure but for reading the store.

The webhooks themselves are not called: the lab has no TLS certificates for them, and this one's answer is known.
"""

from __future__ import annotations

from collections.abc import Iterable

from canary_tutorial.lab import quota
from canary_tutorial.lab.api.checks import schemas, structural
from canary_tutorial.lab.api.kinds import pod_specs
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.errors import Cause, Forbidden, InternalError, Invalid
from canary_tutorial.lab.kinds import MUTATINGWEBHOOKS, NAMESPACES, PODS, SERVICES, Kind
from canary_tutorial.lab.objects import SIDECAR, Obj, clone, has_sidecar
from canary_tutorial.lab.store import Store

INJECTOR = "istio-sidecar-injector"
PROXY_IMAGE = "canary-tutorial/proxy:1.0"
INJECT = "sidecar.istio.io/inject"
STATUS = "sidecar.istio.io/status"


def defaulted(store: Store, kind: Kind, version: str, obj: Obj) -> Obj:
    """A complete copy of a decoded object."""
    if kind.custom:
        filled: Obj = structural.defaulted(obj, schemas.schema_of(store, kind, version))
        return filled
    obj = clone(obj)
    resource_of(kind).default(obj)
    return obj


def admit(store: Store, kind: Kind, obj: Obj) -> Obj:
    """The object as the cluster takes it in: for a new pod, with defaults, service account and perhaps sidecar.

    Raises Forbidden for a pod of a namespace that has as many as it may.
    """
    if kind is PODS:
        meta = obj["metadata"]
        if why := quota.PODS.exceeded(store.count(PODS, meta["namespace"]), store.count(PODS)):
            raise Forbidden.to(kind, meta["name"], why)
    obj = clone(obj)
    resource_of(kind).complete_new(obj)
    return injected(obj) if kind is PODS and wants_sidecar(store, obj) else obj


def addressed(store: Store, service: Obj, addresses: Iterable[str]) -> Obj:
    """A Service with a clusterIP: the one that it asks for, or the first that no other has."""
    spec, name = service["spec"], service["metadata"]["name"]
    taken = {other["spec"].get("clusterIP") for other in store.list(SERVICES)}
    wanted = spec.get("clusterIP")
    if wanted and wanted != "None" and wanted in taken:
        why = f'Invalid value: []string{{"{wanted}"}}: failed to allocate IP {wanted}: provided IP is already allocated'
        raise Invalid.of(SERVICES, name, [Cause("spec.clusterIPs", "FieldValueInvalid", why)])
    addresses = [*addresses]
    if wanted or spec["type"] == "ExternalName" or not addresses:
        return service
    free = next((address for address in addresses if address not in taken), None)
    if free is None:
        raise InternalError("Internal error occurred: failed to allocate a serviceIP: range is full")
    return {**service, "spec": {**spec, "clusterIP": free, "clusterIPs": [free]}}


def wants_sidecar(store: Store, pod: Obj) -> bool:
    """The mesh's rule: the pod's own word (label or annotation) first, then its namespace's."""
    meta = pod["metadata"]
    if store.find(MUTATINGWEBHOOKS, INJECTOR) is None:
        return False
    if has_sidecar(pod):
        return False
    asked = (meta.get("labels") or {}).get(INJECT) or (meta.get("annotations") or {}).get(INJECT)
    space = store.find(NAMESPACES, meta.get("namespace", ""))
    labels = (space or {"metadata": {}})["metadata"].get("labels") or {}
    if labels.get("istio-injection") == "disabled":
        return False
    return asked == "true" or (asked != "false" and labels.get("istio-injection") == "enabled")


def injected(pod: Obj) -> Obj:
    """The pod with its proxy container."""
    pod = clone(pod)
    proxy: Obj = {"name": SIDECAR, "image": PROXY_IMAGE}
    proxy["ports"] = [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}]
    pod_specs.default_container(proxy)
    pod["spec"]["containers"] = [*pod["spec"]["containers"], proxy]
    meta = pod["metadata"]
    meta["annotations"] = (meta.get("annotations") or {}) | {STATUS: "injected"}
    meta["labels"] = (meta.get("labels") or {}) | {"security.istio.io/tlsMode": "istio"}
    return pod
