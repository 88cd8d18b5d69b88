"""Pods: the columns of `kubectl get`, what the server adds to a new one, what an update may change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from canary_tutorial.lab.api.kinds import pod_specs
from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, age_of, field
from canary_tutorial.lab.api.kinds.resource import PROXY, READ, WRITE, Grant, Resource, Subresource, fill
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import PODS
from canary_tutorial.lab.objects import Obj, condition, is_deleted, is_ready, without

FROZEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _ready(obj: Obj, now: datetime) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    return f"{sum(bool(each.get('ready')) for each in statuses)}/{len(obj['spec'].get('containers') or [])}"


def status_of(obj: Obj, now: datetime) -> str:
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
            reason = "Running" if is_ready(obj) else "NotReady"
    if is_deleted(obj):
        return "Terminating"
    return str(reason)


def _ended(state: Obj) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _restarts(obj: Obj, now: datetime) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or []
    count = sum(each.get("restartCount", 0) for each in statuses)
    ends = [((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for each in statuses]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({age_of(last, now)} ago)" if count and last else str(count)


def _gates(obj: Obj, now: datetime) -> str:
    gates = obj["spec"].get("readinessGates") or []
    passed = [(condition(obj, each["conditionType"]) or {}).get("status") == "True" for each in gates]
    return f"{sum(passed)}/{len(gates)}" if gates else "<none>"


def _tolerations(own: list[Obj]) -> list[Obj]:
    """A pod's tolerations, and those that every pod has of a node that is gone for a while."""
    known = {(each.get("key"), each.get("effect")) for each in own}
    keys = [f"node.kubernetes.io/{name}" for name in ("not-ready", "unreachable")]
    added = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in keys]
    return own + [each for each in added if (each["key"], each["effect"]) not in known]


def _quality_of_service(containers: list[Obj]) -> str:
    """A pod's class: Guaranteed if all containers have their limits as requests, BestEffort if none has any."""
    resources = [each.get("resources") or {} for each in containers]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    for each in resources:
        limits = each.get("limits") or {}
        if not {"cpu", "memory"} <= limits.keys() or limits != {**limits, **(each.get("requests") or {})}:
            return "Burstable"
    return "Guaranteed"


def _frozen(spec: Obj) -> Obj:
    frozen = without(spec, "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    for group in ("containers", "initContainers"):
        if group in frozen:
            frozen[group] = [without(each, "image") for each in frozen[group]]
    return frozen


class Pods(Resource):
    columns = (
        NAME, Column("Ready", _ready), Column("Status", status_of), Column("Restarts", _restarts), AGE,
        Column("IP", field("status.podIP"), 1), Column("Node", field("spec.nodeName"), 1),
        Column("Nominated Node", field("status.nominatedNodeName"), 1), Column("Readiness Gates", _gates, 1),
    )  # fmt: skip
    selectable = frozenset({
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    })  # fmt: skip
    subresources = (
        Subresource("attach", "PodAttachOptions", "create get"),
        # There is no group named policy: it would be empty, and kubectl asks for an empty group anew with every command.
        Subresource("eviction", "Eviction", "create", "policy"),
        Subresource("exec", "PodExecOptions", "create get"),
        Subresource("log", "Pod", "get"),
        Subresource("portforward", "PodPortForwardOptions", "create get"),
        Subresource("proxy", "PodProxyOptions", PROXY),
    )
    grants = (
        Grant("view", "pods pods/log pods/status", READ),
        Grant("edit", "pods/attach pods/exec pods/portforward pods/proxy", READ),
        Grant("edit", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
        Grant("edit", "pods/eviction", "create"),
    )

    def default(self, obj: Obj) -> None:
        """Some defaults a pod has and a Deployment's template has not."""
        spec = obj["spec"]
        pod_specs.default(spec)
        fill(spec, enableServiceLinks=True)
        for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
            resources = each.get("resources") or {}
            if resources.get("limits"):
                each["resources"]["requests"] = {**resources["limits"], **(resources.get("requests") or {})}

    def complete_new(self, obj: Obj) -> None:
        spec, status = obj["spec"], obj.setdefault("status", {})
        self.default(obj)
        fill(spec, serviceAccountName="default")
        fill(spec, serviceAccount=spec["serviceAccountName"], priority=0, preemptionPolicy="PreemptLowerPriority")
        spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
        fill(status, phase="Pending", qosClass=_quality_of_service(spec["containers"]))

    def warnings(self, obj: Obj) -> list[str]:
        said = (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
        )
        return [f"{said}is recommended: [must not contain dots]"] if "." in obj["metadata"]["name"] else []

    def check(self, obj: Obj) -> Iterable[Cause]:
        return pod_specs.check(obj["spec"], "spec")

    def check_change(self, old: Obj, new: Obj) -> Iterable[Cause]:
        for group in ("containers", "initContainers"):
            if len(old["spec"].get(group) or []) != len(new["spec"].get(group) or []):
                yield Cause.forbidden(f"spec.{group}", "pod updates may not add or remove containers")
                return
        if _frozen(old["spec"]) != _frozen(new["spec"]):
            yield Cause.forbidden("spec", FROZEN)


RESOURCES = [Pods(PODS)]
