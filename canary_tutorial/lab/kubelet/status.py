"""A pod's status from the state of its containers, in Kubernetes' words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from canary_tutorial.lab.objects import Obj, condition, timestamp


@dataclass
class ContainerState:
    """What the kubelet knows of one container."""

    name: str
    image: str
    state: Obj = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    lastState: Obj = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restartCount: int = 0
    containerID: str = ""

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def terminated(self) -> Obj | None:
        return self.state.get("terminated")

    def as_status(self) -> Obj:
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"lab://{self.image}" if self.containerID else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restartCount,
            "state": self.state,
            "lastState": self.lastState,
        } | ({"containerID": self.containerID} if self.containerID else {})


def pod_status(
    pod: Obj, init: list[ContainerState], containers: list[ContainerState], ip: str | None, now: datetime
) -> Obj:
    """The whole status; times of conditions that did not change are kept."""
    before = pod.get("status") or {}
    initialized = all(state.terminated and state.terminated["exitCode"] == 0 for state in init)
    unready = [state.name for state in containers if not state.ready]
    phase = _phase(pod, init, containers, initialized)
    ended = phase in ("Succeeded", "Failed")
    conditions: list[tuple[str, bool, str, str]] = [
        ("PodReadyToStartContainers", ip is not None and not ended, "", ""),
        ("Initialized", initialized, "ContainersNotInitialized", _incomplete(init)),
        ("Ready", not unready and not ended, *_why_unready(phase, unready)),
        ("ContainersReady", not unready and not ended, *_why_unready(phase, unready)),
        ("PodScheduled", True, "", ""),
    ]
    status: Obj = {
        "phase": phase,
        "conditions": [_condition(before, *condition, now) for condition in conditions],
        "hostIP": "127.0.0.1",
        "startTime": before.get("startTime") or timestamp(now),
        "qosClass": before.get("qosClass", "BestEffort"),
        "containerStatuses": [state.as_status() for state in containers],
    }
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    if init:
        status["initContainerStatuses"] = [state.as_status() for state in init]
    return status


def _phase(pod: Obj, init: list[ContainerState], containers: list[ContainerState], initialized: bool) -> str:
    policy = pod["spec"].get("restartPolicy", "Always")
    if not initialized:
        failed = any(state.terminated and state.terminated["exitCode"] for state in init)
        return "Failed" if failed and policy == "Never" else "Pending"
    codes = [state.terminated["exitCode"] if state.terminated else None for state in containers]
    if policy != "Always" and None not in codes:
        if all(code == 0 for code in codes):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    waiting = [state for state in containers if "waiting" in state.state]
    return "Pending" if any(state.restartCount == 0 and not state.lastState for state in waiting) else "Running"


def _why_unready(phase: str, unready: list[str]) -> tuple[str, str]:
    if phase == "Succeeded":
        return "PodCompleted", ""
    if phase == "Failed":
        return "PodFailed", ""
    return "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"


def _incomplete(init: list[ContainerState]) -> str:
    names = [state.name for state in init if not (state.terminated and state.terminated["exitCode"] == 0)]
    return f"containers with incomplete status: [{' '.join(names)}]"


def _condition(before: Obj, type_: str, holds: bool, reason: str, message: str, now: datetime) -> Obj:
    value = "True" if holds else "False"
    old = condition({"status": before}, type_) or {}
    since = (old.get("lastTransitionTime") if old.get("status") == value else None) or timestamp(now)
    fresh: Obj = {"type": type_, "status": value, "lastProbeTime": None, "lastTransitionTime": since}
    if not holds and reason:
        fresh["reason"] = reason
        if message:
            fresh["message"] = message
    return fresh


def terminated(code: int, started: str, finished: datetime, container_id: str, reason: str | None = None) -> Obj:
    """The state of an ended container; exit codes over 128 tell the signal, as in a shell."""
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": started,
            "finishedAt": timestamp(finished),
            "containerID": container_id,
        }
    }


def back_off(restarts: int) -> float:
    """Seconds before a crashed container starts again: at once, then 10, 20, 40 ... 300."""
    return 0.0 if restarts == 0 else min(300.0, 10.0 * 2 ** (restarts - 1))
