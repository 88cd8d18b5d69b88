"""Admission: what is added to an object on its way into the store.

`defaulted` fills in what its kind leaves open. `admit` adds what the cluster wants: the mesh's sidecar in new pods of
a namespace labelled `istio-injection=enabled`, where the mesh is installed (its `MutatingWebhookConfiguration` is
there). Controllers that write straight to the store call `admit` for their pods. Pure but for reading the store.

The webhooks themselves are not called: the lab has no TLS certificates for them, and this one's answer is known.
"""

from __future__ import annotations

from canary_tutorial.lab import quota
from canary_tutorial.lab.api.checks import schemas, structural
from canary_tutorial.lab.api.kinds import defaults, definitions
from canary_tutorial.lab.errors import Forbidden
from canary_tutorial.lab.kinds import CRDS, MUTATINGWEBHOOKS, NAMESPACES, PODS, Kind
from canary_tutorial.lab.objects import Obj, clone
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
    if kind.key == CRDS.key:
        return definitions.defaulted(obj)
    obj = clone(obj)
    complete = defaults.FOR.get(kind.key)
    if complete:
        complete(obj)
    return obj


def admit(store: Store, kind: Kind, obj: Obj) -> Obj:
    """The object as the cluster takes it in: for a new pod, with defaults, service account and perhaps sidecar.

    Raises Forbidden for a pod of a namespace that has as many as it may.
    """
    if kind.key == CRDS.key:
        return {**obj, "status": {"storedVersions": [definitions.kind_of(obj).version]}}
    if kind.key != PODS.key:
        return obj
    meta = obj["metadata"]
    if why := quota.PODS.exceeded(store.count(PODS, meta["namespace"]), store.count(PODS)):
        raise Forbidden.to(kind, meta["name"], why)
    obj = clone(obj)
    defaults.pod(obj["spec"])
    obj["spec"].setdefault("serviceAccountName", "default")
    obj["spec"].setdefault("serviceAccount", obj["spec"]["serviceAccountName"])
    obj["spec"].setdefault("priority", 0)
    obj["spec"].setdefault("preemptionPolicy", "PreemptLowerPriority")
    obj["spec"]["tolerations"] = tolerations(obj["spec"].get("tolerations") or [])
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    obj["status"].setdefault("qosClass", quality(obj["spec"]["containers"]))
    return injected(obj) if wants_sidecar(store, obj) else obj


def tolerations(own: list[Obj]) -> list[Obj]:
    """A pod's tolerations, and those that every pod has of a node that is gone for a while."""
    known = {(each.get("key"), each.get("effect")) for each in own}
    keys = [f"node.kubernetes.io/{name}" for name in ("not-ready", "unreachable")]
    added = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in keys]
    return own + [each for each in added if (each["key"], each["effect"]) not in known]


def quality(containers: list[Obj]) -> str:
    """A pod's class: Guaranteed if all containers have their limits as requests, BestEffort if none has any."""
    resources = [each.get("resources") or {} for each in containers]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    for each in resources:
        limits = each.get("limits") or {}
        if not {"cpu", "memory"} <= limits.keys() or limits != {**limits, **(each.get("requests") or {})}:
            return "Burstable"
    return "Guaranteed"


def wants_sidecar(store: Store, pod: Obj) -> bool:
    """The mesh's rule: the pod's own word (label or annotation) first, then its namespace's."""
    meta = pod["metadata"]
    if store.find(MUTATINGWEBHOOKS, INJECTOR) is None:
        return False
    if any(each.get("name") == "istio-proxy" for each in pod["spec"]["containers"]):
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
    proxy: Obj = {"name": "istio-proxy", "image": PROXY_IMAGE}
    proxy["ports"] = [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}]
    defaults.container(proxy)
    pod["spec"]["containers"] = [*pod["spec"]["containers"], proxy]
    meta = pod["metadata"]
    meta["annotations"] = (meta.get("annotations") or {}) | {STATUS: "injected"}
    meta["labels"] = (meta.get("labels") or {}) | {"security.istio.io/tlsMode": "istio"}
    return pod
