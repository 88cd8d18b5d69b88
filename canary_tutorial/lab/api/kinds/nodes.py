"""Nodes (a lab has one), and Leases: by them a node shows that it is alive, and a controller that it is the leader."""

from __future__ import annotations

from datetime import datetime

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Cell, Column, field
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource
from canary_tutorial.lab.kinds import LEASES, NODES
from canary_tutorial.lab.objects import Obj, condition


def _status(obj: Obj, now: datetime) -> str:
    ready = {"True": "Ready", "False": "NotReady"}.get((condition(obj, "Ready") or {}).get("status", ""), "Unknown")
    return ready + (",SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else "")


def _roles(obj: Obj, now: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _address(type_: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        addresses = obj.get("status", {}).get("addresses") or []
        return next((each["address"] for each in addresses if each["type"] == type_), "<none>")

    return cell


class Nodes(Resource):
    columns = (
        NAME, Column("Status", _status), Column("Roles", _roles), AGE,
        Column("Version", field("status.nodeInfo.kubeletVersion", "")),
        Column("Internal-IP", _address("InternalIP"), 1), Column("External-IP", _address("ExternalIP"), 1),
        Column("OS-Image", field("status.nodeInfo.osImage", "<unknown>"), 1),
        Column("Kernel-Version", field("status.nodeInfo.kernelVersion", "<unknown>"), 1),
        Column("Container-Runtime", field("status.nodeInfo.containerRuntimeVersion", "<unknown>"), 1),
    )  # fmt: skip
    selectable = frozenset({"spec.unschedulable"})


class Leases(Resource):
    columns = (NAME, Column("Holder", field("spec.holderIdentity", "")), AGE)
    grants = (Grant("edit", "leases", f"{READ} {WRITE}"),)


RESOURCES = [Nodes(NODES), Leases(LEASES)]
