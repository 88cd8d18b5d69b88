"""The three Services and two DestinationRules that Flagger creates for a target. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from canary_tutorial.flagger import owned
from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.routes import TOOLKIT
from canary_tutorial.flagger.spec import Canary, name_of


def ports(c: Canary, target: Obj) -> list[Obj]:
    service = c.service
    port = int(service.get("port") or 0)
    main: Obj = {
        "name": service.get("portName") or "http",
        "protocol": "TCP",
        "port": port,
        "targetPort": port if service.get("targetPort") in (None, 0, "", "0") else service["targetPort"],
    }
    if service.get("appProtocol"):
        main["appProtocol"] = service["appProtocol"]
    found = [main]
    if service.get("portDiscovery"):
        found += _discovered(target, main["targetPort"])
    return found


def _discovered(target: Obj, main: int | str) -> list[Obj]:
    found = []
    for container in owned.pod_spec(target).get("containers") or []:
        if name_of(container) in ("istio-proxy", "envoy"):
            continue
        for index, port in enumerate(container.get("ports") or []):
            number = int(port.get("containerPort") or 0)
            if main in (number, port.get("name")):
                continue
            name = port.get("name") or f"tcp-{name_of(container)}-{index}"
            found.append({"name": name, "protocol": "TCP", "port": number, "targetPort": number})
    return found


class Wanted(NamedTuple):
    """One of the three Services: its name, its role (apex, primary, canary), what it selects, its ports."""

    name: str
    role: str
    label: str
    selects: str
    ports: list[Obj]

    def metadata(self, c: Canary) -> dict[str, Obj]:
        """Labels and annotations: the Canary's for this role, and Flagger's own."""
        own = c.service.get(self.role) or {}
        return {
            "labels": {**(own.get("labels") or {}), self.label: self.name},
            "annotations": {**(own.get("annotations") or {}), **TOOLKIT},
        }


def service(c: Canary, wanted: Wanted) -> Obj:
    """A Service as it is made the first time."""
    spec: Obj = {"type": "ClusterIP", "selector": {wanted.label: wanted.selects}, "ports": wanted.ports}
    if c.service.get("headless"):
        spec["clusterIP"] = "None"
    if c.service.get("trafficDistribution"):
        spec["trafficDistribution"] = c.service["trafficDistribution"]
    return owned.new(c, "v1", "Service", wanted.name, wanted.metadata(c), spec=spec)


def reconciled_service(c: Canary, current: Obj, wanted: Wanted) -> Obj | None:
    """The Service put right, or None. Labels and annotations are only managed on Services that this Canary owns."""
    spec, meta = current["spec"], current["metadata"]
    present = spec.get("ports") or []
    given = {port.get("name"): port["nodePort"] for port in present if port.get("nodePort")}
    ports = [{**port, "nodePort": given[port["name"]]} if port["name"] in given else port for port in wanted.ports]
    selector = {wanted.label: wanted.selects}
    changed: Obj = {}
    if selector != spec.get("selector") or (ports != present and _by_number(ports) != _by_number(present)):
        changed["spec"] = {**spec, "ports": ports, "selector": selector}
    managed: Obj = {}
    if owned.owning_canary(current) == c.name:
        kept = unmanaged(c, current)
        for field, values in wanted.metadata(c).items():
            values |= kept.get(field, {})
            if values != (meta.get(field) or {}):
                managed[field] = values
    if not (changed or managed):
        return None
    annotations = {**(managed.get("annotations") or meta.get("annotations") or {}), **TOOLKIT}
    return {**current, **changed, "metadata": {**meta, **managed, "annotations": annotations}}


def unmanaged(c: Canary, current: Obj) -> dict[str, Obj]:
    """The `labels` and `annotations` of a Service of this Canary that the Canary leaves to others."""
    left = c.service.get("unmanagedMetadata")
    if not left or owned.owning_canary(current) != c.name:
        return {}
    meta = current["metadata"]
    return {
        field: {key: meta[field][key] for key in left.get(field) or [] if key in (meta.get(field) or {})}
        for field in ("labels", "annotations")
    }


def _by_number(listed: list[Obj] | None) -> list[tuple[Any, ...]]:
    return sorted(
        (
            int(port["port"]),
            port.get("name") or "",
            port.get("protocol") or "TCP",
            str(port.get("targetPort")),
            port.get("appProtocol") or "",
            port.get("nodePort") or 0,
        )
        for port in listed or []
    )


def destinationrule_spec(c: Canary, host: str) -> Obj:
    policy = c.service.get("trafficPolicy")
    return {"host": host, "trafficPolicy": policy} if policy else {"host": host}


def destinationrule(c: Canary, host: str, spec: Obj) -> Obj:
    return owned.new(c, "networking.istio.io/v1beta1", "DestinationRule", host, {}, spec=spec)
