"""The columns that `kubectl get` shows for each built-in kind, wide ones (priority 1) included. Pure.

A `Column` makes its cell from the object and the present time. Ages are written as kubectl writes them: `5s`, `3m12s`,
`4h5m`, `2d3h`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from canary_tutorial.lab import kinds, selectors
from canary_tutorial.lab.objects import Obj

Cell = Callable[[Obj, datetime], Any]


@dataclass(frozen=True)
class Column:
    name: str
    cell: Cell
    priority: int = 0
    type: str = "string"
    format: str = ""


def duration(seconds: float) -> str:
    """Time passed, in kubectl's words: finer when short."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    if s < 120:
        return f"{max(s, 0)}s"
    minutes, hours, days, years = s // 60, s // 3600, s // 86400, s // (86400 * 365)
    if minutes < 10:
        return _two(minutes, "m", s % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}" + (f"{small}{small_unit}" if small else "")


def age_of(value: Any, now: datetime) -> str:
    """The age of an RFC 3339 time."""
    try:
        return duration((now - datetime.fromisoformat(str(value))).total_seconds())
    except (ValueError, TypeError):
        return "<unknown>"


def _field(path: str, default: Any = "<none>") -> Cell:
    steps = path.split(".")

    def cell(obj: Any, now: datetime) -> Any:
        for step in steps:
            obj = obj.get(step) if isinstance(obj, dict) else None
        return default if obj in (None, "", [], {}) and obj != 0 else obj

    return cell


def _integer(name: str, path: str, priority: int = 0) -> Column:
    return Column(name, _field(path, 0), priority, "integer")


def _count(name: str, path: str) -> Column:
    find = _field(path, {})
    return Column(name, lambda obj, now: len(find(obj, now)))


NAME = Column("Name", lambda obj, now: obj["metadata"]["name"])
AGE = Column("Age", lambda obj, now: age_of(obj["metadata"].get("creationTimestamp"), now))
CREATED = Column("Created At", lambda obj, now: obj["metadata"].get("creationTimestamp"))
PLAIN = [NAME, AGE]


# -- pods


def _pod_ready(obj: Obj, now: datetime) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    return f"{sum(bool(each.get('ready')) for each in statuses)}/{len(obj['spec'].get('containers') or [])}"


def pod_status(obj: Obj, now: datetime) -> str:
    """The STATUS of a pod: what its containers say, in the order in which kubectl believes them."""
    status = obj.get("status", {})
    reason = status.get("reason") or status.get("phase", "Unknown")
    inits = status.get("initContainerStatuses") or []
    for i, each in enumerate(inits):
        state = each.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended and ended.get("exitCode", 0) == 0:
            continue
        if ended:
            reason = f"Init:{_ended(ended)}"
        elif waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{i}/{len(obj['spec'].get('initContainers') or inits)}"
        break
    else:
        running = False
        for each in reversed(status.get("containerStatuses") or []):
            state = each.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                reason = state["waiting"]["reason"]
            elif state.get("terminated"):
                reason = _ended(state["terminated"])
            elif each.get("ready") and state.get("running"):
                running = True
        if reason == "Completed" and running:
            reason = "Running" if _condition(obj, "Ready") == "True" else "NotReady"
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    return str(reason)


def _ended(state: Obj) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _pod_restarts(obj: Obj, now: datetime) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    count = sum(each.get("restartCount", 0) for each in statuses)
    ends = [((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for each in statuses]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({age_of(last, now)} ago)" if count and last else str(count)


def _condition(obj: Obj, type_: str) -> str:
    conditions = obj.get("status", {}).get("conditions") or []
    return next((str(each.get("status")) for each in conditions if each.get("type") == type_), "")


def _gates(obj: Obj, now: datetime) -> str:
    gates = obj["spec"].get("readinessGates") or []
    return (
        f"{sum(_condition(obj, each['conditionType']) == 'True' for each in gates)}/{len(gates)}" if gates else "<none>"
    )


# -- workloads


def _containers(what: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        containers = ((obj["spec"].get("template") or {}).get("spec") or {}).get("containers") or []
        return ",".join(each.get(what, "") for each in containers)

    return cell


SELECTOR = Column("Selector", lambda obj, now: selectors.as_text(obj["spec"].get("selector")) or "<none>", 1)
CONTAINERS = [Column("Containers", _containers("name"), 1), Column("Images", _containers("image"), 1)]


def _deployment_ready(obj: Obj, now: datetime) -> str:
    return f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"


# -- network


def _service_ports(obj: Obj, now: datetime) -> str:
    return ",".join(_service_port(each) for each in obj["spec"].get("ports") or []) or "<none>"


def _service_port(port: Obj) -> str:
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


def _map_text(path: str) -> Cell:
    find = _field(path, {})
    return lambda obj, now: ",".join(f"{key}={value}" for key, value in sorted(find(obj, now).items())) or "<none>"


def _endpoints(obj: Obj, now: datetime) -> str:
    found = []
    for subset in obj.get("subsets") or []:
        for address in subset.get("addresses") or []:
            found += [f"{address['ip']}:{port['port']}" for port in subset.get("ports") or []] or [address["ip"]]
    return _some(found)


def _slice_ports(obj: Obj, now: datetime) -> str:
    return _some([str(each.get("port", "*")) for each in obj.get("ports") or []], "<unset>")


def _slice_addresses(obj: Obj, now: datetime) -> str:
    return _some([address for each in obj.get("endpoints") or [] for address in each.get("addresses") or []], "<unset>")


def _some(texts: list[str], none: str = "<none>") -> str:
    more = f" + {len(texts) - 3} more..." if len(texts) > 3 else ""
    return ",".join(texts[:3]) + more if texts else none


# -- the rest


def _node_status(obj: Obj, now: datetime) -> str:
    ready = {"True": "Ready", "False": "NotReady"}.get(_condition(obj, "Ready"), "Unknown")
    return ready + (",SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else "")


def _node_roles(obj: Obj, now: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _node_address(type_: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        addresses = obj.get("status", {}).get("addresses") or []
        return next((each["address"] for each in addresses if each["type"] == type_), "<none>")

    return cell


def _targets(obj: Obj, now: datetime) -> str:
    current = {each.get("resource", {}).get("name"): each for each in obj.get("status", {}).get("currentMetrics") or []}
    texts = []
    for each in obj["spec"].get("metrics") or []:
        resource = each.get("resource") or {}
        reported = (current.get(resource.get("name")) or {}).get("resource", {}).get("current") or {}
        found = reported.get("averageUtilization")
        wanted = (resource.get("target") or {}).get("averageUtilization", "<auto>")
        now_at = f"{found}%" if found is not None else "<unknown>"
        texts.append(f"{resource.get('name', each.get('type', ''))}: {now_at}/{wanted}%")
    return ", ".join(texts) or "<none>"


def _hpa_reference(obj: Obj, now: datetime) -> str:
    reference = obj["spec"].get("scaleTargetRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def _event_seen(obj: Obj, now: datetime) -> str:
    last = obj.get("lastTimestamp") or (obj.get("series") or {}).get("lastObservedTime") or obj.get("eventTime")
    return age_of(last or obj["metadata"].get("creationTimestamp"), now)


def _event_first(obj: Obj, now: datetime) -> str:
    return age_of(obj.get("firstTimestamp") or obj["metadata"].get("creationTimestamp"), now)


def _event_object(obj: Obj, now: datetime) -> str:
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _event_source(obj: Obj, now: datetime) -> str:
    source = obj.get("source") or {}
    parts = [source.get("component") or obj.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(part for part in parts if part)


def _data_count(obj: Obj, now: datetime) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


def _role(obj: Obj, now: datetime) -> str:
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def _subjects(kind: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        chosen = [each for each in obj.get("subjects") or [] if each.get("kind") == kind]
        names = [f"{each['namespace']}/{each['name']}" if each.get("namespace") else each["name"] for each in chosen]
        return ", ".join(names)

    return cell


BINDING = [NAME, Column("Role", _role), AGE, Column("Users", _subjects("User"), 1),
           Column("Groups", _subjects("Group"), 1),
           Column("ServiceAccounts", _subjects("ServiceAccount"), 1)]  # fmt: skip

FOR: dict[tuple[str, str], list[Column]] = {
    kinds.NAMESPACES.key: [NAME, Column("Status", _field("status.phase", "Active")), AGE],
    kinds.PODS.key: [
        NAME, Column("Ready", _pod_ready), Column("Status", pod_status), Column("Restarts", _pod_restarts), AGE,
        Column("IP", _field("status.podIP"), 1), Column("Node", _field("spec.nodeName"), 1),
        Column("Nominated Node", _field("status.nominatedNodeName"), 1), Column("Readiness Gates", _gates, 1),
    ],
    kinds.NODES.key: [
        NAME, Column("Status", _node_status), Column("Roles", _node_roles), AGE,
        Column("Version", _field("status.nodeInfo.kubeletVersion", "")),
        Column("Internal-IP", _node_address("InternalIP"), 1), Column("External-IP", _node_address("ExternalIP"), 1),
        Column("OS-Image", _field("status.nodeInfo.osImage", "<unknown>"), 1),
        Column("Kernel-Version", _field("status.nodeInfo.kernelVersion", "<unknown>"), 1),
        Column("Container-Runtime", _field("status.nodeInfo.containerRuntimeVersion", "<unknown>"), 1),
    ],
    kinds.SERVICES.key: [
        NAME, Column("Type", _field("spec.type")), Column("Cluster-IP", _field("spec.clusterIP")),
        Column("External-IP", _external_ip), Column("Port(s)", _service_ports), AGE,
        Column("Selector", _map_text("spec.selector"), 1),
    ],
    kinds.ENDPOINTS.key: [NAME, Column("Endpoints", _endpoints), AGE],
    kinds.ENDPOINTSLICES.key: [
        NAME, Column("AddressType", _field("addressType")), Column("Ports", _slice_ports),
        Column("Endpoints", _slice_addresses), AGE,
    ],
    kinds.CONFIGMAPS.key: [NAME, Column("Data", _data_count), AGE],
    kinds.SECRETS.key: [NAME, Column("Type", _field("type")), _count("Data", "data"), AGE],
    kinds.SERVICEACCOUNTS.key: [NAME, _count("Secrets", "secrets"), AGE],
    kinds.EVENTS.key: [
        Column("Last Seen", _event_seen), Column("Type", _field("type", "")), Column("Reason", _field("reason", "")),
        Column("Object", _event_object), Column("Subobject", _field("involvedObject.fieldPath", ""), 1),
        Column("Source", _event_source, 1), Column("Message", lambda obj, now: str(obj.get("message", "")).strip()),
        Column("First Seen", _event_first, 1),
        Column("Count", _field("count", 1), 1), Column("Name", NAME.cell, 1),
    ],
    kinds.DEPLOYMENTS.key: [
        NAME, Column("Ready", _deployment_ready), _integer("Up-to-date", "status.updatedReplicas"),
        _integer("Available", "status.availableReplicas"), AGE, *CONTAINERS, SELECTOR,
    ],
    kinds.REPLICASETS.key: [
        NAME, _integer("Desired", "spec.replicas"), _integer("Current", "status.replicas"),
        _integer("Ready", "status.readyReplicas"), AGE, *CONTAINERS, SELECTOR,
    ],
    kinds.AUTOSCALERS.key: [
        NAME, Column("Reference", _hpa_reference), Column("Targets", _targets),
        Column("MinPods", _field("spec.minReplicas")), _integer("MaxPods", "spec.maxReplicas"),
        _integer("Replicas", "status.currentReplicas"), AGE,
    ],
    kinds.LEASES.key: [NAME, Column("Holder", _field("spec.holderIdentity", "")), AGE],
    kinds.ROLES.key: [NAME, CREATED],
    kinds.CLUSTERROLES.key: [NAME, CREATED],
    kinds.ROLEBINDINGS.key: BINDING,
    kinds.CLUSTERROLEBINDINGS.key: BINDING,
    kinds.CRDS.key: [NAME, CREATED],
    kinds.MUTATINGWEBHOOKS.key: [NAME, _count("Webhooks", "webhooks"), AGE],
    kinds.VALIDATINGWEBHOOKS.key: [NAME, _count("Webhooks", "webhooks"), AGE],
}  # fmt: skip
