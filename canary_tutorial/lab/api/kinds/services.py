"""Services, and the pods' addresses behind them: Endpoints and EndpointSlices."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime

from canary_tutorial.lab.api.kinds import formats
from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, field, pairs
from canary_tutorial.lab.api.kinds.resource import PROXY, READ, WRITE, Grant, Resource, Subresource, fill
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import ENDPOINTS, ENDPOINTSLICES, SERVICES
from canary_tutorial.lab.objects import Obj


def _ports(obj: Obj, now: datetime) -> str:
    return ",".join(_port(each) for each in obj["spec"].get("ports") or []) or "<none>"


def _port(port: Obj) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _external_ip(obj: Obj, now: datetime) -> str:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    if spec.get("type") == "LoadBalancer":
        ingress = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        return ",".join(each.get("ip") or each.get("hostname", "") for each in ingress) or "<pending>"
    return ",".join(spec.get("externalIPs") or []) or "<none>"


def _endpoints(obj: Obj, now: datetime) -> str:
    found = []
    for subset in obj.get("subsets") or []:
        for address in subset.get("addresses") or []:
            found += [f"{address['ip']}:{port['port']}" for port in subset.get("ports") or []] or [address["ip"]]
    return _three(found)


def _slice_ports(obj: Obj, now: datetime) -> str:
    return _three([str(each.get("port", "*")) for each in obj.get("ports") or []], "<unset>")


def _slice_addresses(obj: Obj, now: datetime) -> str:
    endpoints = obj.get("endpoints") or []
    return _three([address for each in endpoints for address in each.get("addresses") or []], "<unset>")


def _three(texts: list[str], none: str = "<none>") -> str:
    more = f" + {len(texts) - 3} more..." if len(texts) > 3 else ""
    return ",".join(texts[:3]) + more if texts else none


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Services(Resource):
    columns = (
        NAME, Column("Type", field("spec.type")), Column("Cluster-IP", field("spec.clusterIP")),
        Column("External-IP", _external_ip), Column("Port(s)", _ports), AGE, pairs("Selector", "spec.selector"),
    )  # fmt: skip
    selectable = frozenset({"spec.clusterIP", "spec.type"})
    name, name_limit = formats.DNS_LABEL_1035, 63
    subresources = (Subresource("proxy", "ServiceProxyOptions", PROXY),)
    grants = (
        Grant("view", "services services/status", READ),
        Grant("edit", "services/proxy", READ),
        Grant("edit", "services services/proxy", WRITE),
    )

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        fill(spec, type="ClusterIP", sessionAffinity="None")
        if spec["type"] != "ExternalName":
            fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
            if spec.get("clusterIP"):
                fill(spec, clusterIPs=[spec["clusterIP"]])
        for port in spec.get("ports") or []:
            fill(port, protocol="TCP")
            fill(port, targetPort=port["port"])

    def carry_over(self, old: Obj, new: Obj) -> None:
        before, after = old.get("spec") or {}, new.setdefault("spec", {})
        if before.get("clusterIP") and not after.get("clusterIP") and after.get("type") != "ExternalName":
            after |= {"clusterIP": before["clusterIP"], "clusterIPs": before.get("clusterIPs") or [before["clusterIP"]]}

    def check(self, obj: Obj) -> Iterable[Cause]:
        """A real server looks at nothing else where the address is not one."""
        wrong = obj["spec"].get("clusterIP") or "None"
        if wrong == "None" or _is_address(wrong):
            yield from self._faults(obj)
        else:
            hint = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield Cause.invalid("spec.clusterIPs[0]", wrong, hint)

    def check_change(self, old: Obj, new: Obj) -> Iterable[Cause]:
        before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
        if before and after != before and new["spec"]["type"] != "ExternalName":
            wrong = f'Invalid value: []string{{"{after or ""}"}}: may not change once set'
            yield Cause("spec.clusterIPs[0]", "FieldValueInvalid", wrong)

    def _faults(self, obj: Obj) -> Iterable[Cause]:
        spec = obj["spec"]
        yield from formats.one_of(spec["type"], "spec.type", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
        ports = spec.get("ports") or []
        if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
            yield Cause.required("spec.ports")
        names: set[str] = set()
        for i, port in enumerate(ports):
            path = f"spec.ports[{i}]"
            if len(ports) > 1 and not port.get("name"):
                yield Cause.required(f"{path}.name")
            elif port.get("name"):
                if not formats.DNS_LABEL.fullmatch(port["name"]):
                    yield Cause.invalid(f"{path}.name", port["name"], formats.SAID[formats.DNS_LABEL])
                if port["name"] in names:
                    yield formats.duplicate(f"{path}.name", port["name"])
                names.add(port["name"])
            yield from formats.port_number(port["port"], f"{path}.port")
            yield from formats.port_number(port.get("targetPort"), f"{path}.targetPort")
            yield from formats.one_of(port.get("protocol"), f"{path}.protocol", "SCTP", "TCP", "UDP")
        yield from formats.label_faults(spec.get("selector") or {}, "spec.selector")


class Endpoints(Resource):
    columns = (NAME, Column("Endpoints", _endpoints), AGE)
    grants = (Grant("view", "endpoints", READ), Grant("edit", "endpoints", WRITE))


class EndpointSlices(Resource):
    columns = (
        NAME, Column("AddressType", field("addressType")), Column("Ports", _slice_ports),
        Column("Endpoints", _slice_addresses), AGE,
    )  # fmt: skip
    nulls = ("endpoints", "ports")
    grants = (Grant("view", "endpointslices", READ),)


RESOURCES = [Services(SERVICES), Endpoints(ENDPOINTS), EndpointSlices(ENDPOINTSLICES)]
