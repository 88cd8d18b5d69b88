"""How far a Deployment's rollout is, and what blocks it, as sentences. Pure: computed from the objects.

The texts of `progress` are those of `kubectl rollout status`; `trouble` adds what you would look up next: the reason why
a pod's container does not start.
"""

from __future__ import annotations

from canary_tutorial.kube.objects import Obj

STARTING = (None, "ContainerCreating", "PodInitializing")


def progress(deployment: Obj) -> tuple[bool, str]:
    """(finished, kubectl's sentence) for a Deployment."""
    name, status = deployment["metadata"]["name"], deployment.get("status", {})
    wanted = deployment["spec"].get("replicas", 1)
    updated, total, available = (status.get(k, 0) for k in ("updatedReplicas", "replicas", "availableReplicas"))
    if deployment["metadata"]["generation"] > status.get("observedGeneration", 0):
        return False, "waiting for deployment spec update to be observed"
    waiting = f'deployment "{name}" rollout'
    if updated < wanted:
        return False, f"{waiting}: {updated} out of {wanted} new replicas have been updated"
    if total > updated:
        return False, f"{waiting}: {total - updated} old replicas are pending termination"
    if available < updated:
        return False, f"{waiting}: {available} of {updated} updated replicas are available"
    return True, f'deployment "{name}" successfully rolled out'


def blocking_reason(pods: list[Obj]) -> str:
    """What keeps these pods from running, or "" if nothing in particular does."""
    for pod in pods:
        status = pod.get("status", {})
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            state, where = container.get("state", {}), f"container {container['name']} of pod {pod['metadata']['name']}"
            waiting, ended = state.get("waiting"), state.get("terminated")
            if waiting and waiting.get("reason") not in STARTING:
                return f"{where}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            if ended and ended.get("exitCode"):
                why = ended.get("message") or ended.get("reason", "")
                return f"{where} ended with exit code {ended['exitCode']}: {why}"
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"pod {pod['metadata']['name']} is not scheduled: {condition.get('message', '')}"
    return ""


def selector(obj: Obj) -> str:
    """The label selector of an object's pods, as kubectl takes it."""
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())
