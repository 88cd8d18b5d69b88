"""Endpoints and EndpointSlice: the addresses of the pods behind a Service. Pure.

A pod that is being deleted is removed at once, so that traffic goes elsewhere while it ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of, namespace_of
from canary_tutorial.lab.controllers.effects import Create, Delete, Effect, Update
from canary_tutorial.lab.kinds import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES, Kind
from canary_tutorial.lab.objects import Obj, clone, is_deleted, is_ready, owner_reference
from canary_tutorial.lab.store import Event, Store


def concerns(event: Event, store: Store) -> Iterator[Key]:
    """A Service, and those that may select a pod. Endpoints that somebody made by hand concern nobody here."""
    if event.kind is SERVICES:
        yield key_of(SERVICES, event.object)
    if event.kind is PODS:
        yield from (key_of(SERVICES, service) for service in store.list(SERVICES, namespace_of(event.object)))


def reconcile(service: Obj, context: Context) -> list[Effect]:
    store, name, namespace = context.store, service["metadata"]["name"], service["metadata"]["namespace"]
    slices = store.list(ENDPOINTSLICES, namespace, slice_labels(name))
    return plan(service, store.list(PODS, namespace), store.find(ENDPOINTS, name, namespace), next(iter(slices), None))


def clean_up(service_name: str, namespace: str, context: Context) -> list[Effect]:
    return gone(context.store.find(ENDPOINTS, service_name, namespace), service_name, namespace)


def plan(service: Obj, pods: list[Obj], endpoints: Obj | None, endpointslice: Obj | None) -> list[Effect]:
    """The two objects as they should be; `pods` are those of the namespace."""
    selector = service["spec"].get("selector")
    if not selector:  # then somebody else keeps the endpoints
        return []
    chosen = [pod for pod in pods if _may_answer(pod) and selector.items() <= _labels(pod).items()]
    chosen.sort(key=lambda pod: pod["status"]["podIP"])
    return [
        *_write(ENDPOINTS, endpoints, _endpoints(service, chosen)),
        *_write(ENDPOINTSLICES, endpointslice, _slice(service, chosen)),
    ]


def gone(endpoints: Obj | None, service_name: str, namespace: str) -> list[Effect]:
    """What stays to do when the Service is gone (its EndpointSlice goes by its owner reference)."""
    return [Delete(ENDPOINTS, service_name, namespace)] if endpoints else []


def target_port(port: Obj, pod: Obj) -> int | None:
    """The number behind a Service port in one pod; names are looked up among its containers' ports."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for own in container.get("ports") or []:
            if own.get("name") == target:
                return int(own["containerPort"])
    return None


def _may_answer(pod: Obj) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed") and not is_deleted(pod)


def _answers(service: Obj, pod: Obj) -> bool:
    return is_ready(pod) or bool(service["spec"].get("publishNotReadyAddresses"))


def _labels(pod: Obj) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _reference(pod: Obj) -> Obj:
    meta = pod["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _ports(service: Obj, pod: Obj) -> tuple[Obj, ...]:
    ports = []
    for port in service["spec"].get("ports") or []:
        number = target_port(port, pod)
        if number is not None:
            entry = {"port": number, "protocol": port.get("protocol", "TCP")}
            extra = {key: port[key] for key in ("name", "appProtocol") if port.get(key)}
            ports.append(extra | entry)
    return tuple(ports)


def slice_labels(service_name: str) -> dict[str, str]:
    """The labels by which the slice of a Service is found: its name is a random one."""
    return {
        "kubernetes.io/service-name": service_name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }


def _meta(service: Obj, **name: str) -> Obj:
    labels = clone(service["metadata"].get("labels") or {})
    return {**name, "namespace": service["metadata"]["namespace"], "labels": labels}


def _endpoints(service: Obj, pods: list[Obj]) -> Obj:
    subsets: dict[str, Obj] = {}
    for pod in pods:
        ports = _ports(service, pod)
        subset = subsets.setdefault(repr(ports), {"ports": list(ports)})
        address = {
            "ip": pod["status"]["podIP"],
            "nodeName": pod["spec"].get("nodeName"),
            "targetRef": _reference(pod),
        }
        subset.setdefault("addresses" if _answers(service, pod) else "notReadyAddresses", []).append(address)
    meta = _meta(service, name=service["metadata"]["name"])
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta} | (
        {"subsets": [dict(sorted(subset.items())) for subset in subsets.values()]} if subsets else {}
    )


def _slice(service: Obj, pods: list[Obj]) -> Obj:
    name = service["metadata"]["name"]
    meta = _meta(service, generateName=f"{name}-")
    meta["labels"] |= slice_labels(name)
    meta["ownerReferences"] = [owner_reference(SERVICES, service)]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": _answers(service, pod), "serving": is_ready(pod), "terminating": False},
                "nodeName": pod["spec"].get("nodeName"),
                "targetRef": _reference(pod),
            }
            for pod in pods
        ],
        "ports": [{"name": ""} | port for port in _ports(service, pods[0])] if pods else [],
    }


def _write(kind: Kind, current: Obj | None, wanted: Obj) -> list[Effect]:
    if current is None:
        return [Create(kind, wanted)]
    fields = [key for key in (set(current) | set(wanted)) - {"metadata"} if current.get(key) != wanted.get(key)]
    labels = (current["metadata"].get("labels") or {}) == wanted["metadata"]["labels"]
    if not fields and labels:
        return []
    merged = clone(current)
    merged["metadata"]["labels"] = wanted["metadata"]["labels"]
    return [Update(kind, {"metadata": merged["metadata"]} | {k: v for k, v in wanted.items() if k != "metadata"})]


CONTROLLER = Controller(SERVICES, concerns, reconcile, clean_up)
