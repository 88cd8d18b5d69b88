"""A node in name only, for a control plane without machines: it binds every pod and says that it runs.

What a scheduler and a kubelet would write is written, and nothing is started. A pod with the tag `broken` stays
without its image, as in the lab.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2

Obj = dict[str, Any]
NAME = "lab"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NAME}"
HEALTH = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
]
LABELS = {
    "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "canary-tutorial.dev/lab": "true",
    "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux",
    "node-role.kubernetes.io/control-plane": "",
}  # fmt: skip


def now(digits: str = "seconds") -> str:
    return datetime.now(UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def node_status() -> Obj:
    size = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "10Gi", "pods": "110"}
    heard = {"lastHeartbeatTime": now(), "lastTransitionTime": now()}
    return {
        "capacity": size,
        "allocatable": size,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NAME}],
        "conditions": [{"type": t, "status": s, "reason": r, "message": m, **heard} for t, s, r, m in HEALTH],
        "nodeInfo": dict.fromkeys(
            [
                "bootID",
                "containerRuntimeVersion",
                "kernelVersion",
                "kubeProxyVersion",
                "machineID",
                "osImage",
                "systemUUID",
            ],
            "",
        )
        | {"kubeletVersion": "v1.32.4", "operatingSystem": "linux", "architecture": "amd64"},
    }


def container_status(container: Obj) -> Obj:
    ready = not container["image"].endswith(":broken")
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"] if ready else "",
        "containerID": f"none://{container['name']}" if ready else "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": {"running": {"startedAt": now()}} if ready else waiting,
    }


def pod_status(pod: Obj, number: int) -> Obj:
    containers = [container_status(each) for each in pod["spec"]["containers"]]
    ready = all(each["ready"] for each in containers)
    address = f"10.244.{number // 250 % 250}.{number % 250 + 1}"
    true = [
        "PodReadyToStartContainers",
        "Initialized",
        *(["Ready", "ContainersReady"] if ready else []),
        "PodScheduled",
    ]
    return {
        "phase": "Running" if ready else "Pending",
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now(),
        "qosClass": pod["status"].get("qosClass"),
        "conditions": [{"type": each, "status": "True", "lastTransitionTime": now()} for each in true],
        "containerStatuses": containers,
    }


class Node:
    def __init__(self, http: httpx2.Client) -> None:
        self.http = http
        self.number = 0

    def register(self) -> None:
        metadata = {"name": NAME, "labels": LABELS}
        self.http.post("/api/v1/nodes", json={"metadata": metadata, "status": node_status()}).raise_for_status()

    def beat(self) -> None:
        """Renew the Lease and the conditions, as a kubelet does, lest the controllers take the node for lost."""
        spec = {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": now("microseconds")}
        apply = {"Content-Type": "application/apply-patch+yaml"}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}, "spec": spec}
        self.http.patch(f"{LEASE}?fieldManager=kubelet&force=true", json=lease, headers=apply)

    def event(self, pod: Obj, component: str, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        about = {"kind": "Pod", "apiVersion": "v1", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
        event = {
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": metadata["namespace"]},
            "involvedObject": about,
            "source": {"component": component},
            "reportingComponent": component,
            "reason": reason,
            "message": message,
            "type": "Normal",
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
        }
        self.http.post(f"/api/v1/namespaces/{metadata['namespace']}/events", json=event)

    def serve(self, pod: Obj) -> None:
        """One step for one pod: gone if it is to go, bound if it is new, running if it is bound."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if "deletionTimestamp" in pod["metadata"]:
            self.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
        elif "nodeName" not in pod["spec"]:
            binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": NAME}}
            self.http.post(f"{path}/binding", json=binding)
            self.event(pod, "default-scheduler", "Scheduled", f"Successfully assigned {namespace}/{name} to {NAME}")
        elif "containerStatuses" not in pod["status"]:
            self.number += 1
            status = pod_status(pod, self.number)
            for container in status["containerStatuses"]:
                if container["ready"]:
                    image = f'Container image "{container["image"]}" already present on machine'
                    self.event(pod, "kubelet", "Pulled", image)
                    self.event(pod, "kubelet", "Created", f"Created container: {container['name']}")
                    self.event(pod, "kubelet", "Started", f"Started container {container['name']}")
            merge = {"Content-Type": "application/merge-patch+json"}
            self.http.patch(f"{path}/status", json={"status": status}, headers=merge)

    def run(self, stop: threading.Event) -> None:
        beaten = 0.0
        while not stop.wait(0.1):
            if time.monotonic() - beaten > 5:
                self.beat()
                beaten = time.monotonic()
            for pod in self.http.get("/api/v1/pods").json().get("items", []):
                self.serve(pod)


@contextmanager
def running(http: httpx2.Client) -> Iterator[None]:
    node, stop = Node(http), threading.Event()
    node.register()
    thread = threading.Thread(target=node.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)
        http.close()
