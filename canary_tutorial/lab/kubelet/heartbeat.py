"""The Node object, and its heartbeat: a Lease in kube-node-lease, renewed while the lab runs."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from datetime import datetime

import psutil

from canary_tutorial.lab.errors import ApiError
from canary_tutorial.lab.kinds import LEASES, NODES
from canary_tutorial.lab.objects import Obj, timestamp
from canary_tutorial.lab.store import Store

log = logging.getLogger(__name__)
NAMESPACE = "kube-node-lease"
RENEWAL = 10.0  # seconds, as a real kubelet's
DURATION = 40  # seconds after which a node without renewal is given up
LAB = "canary-tutorial.dev/lab"  # a manifest that only the lab can run names this label, and looks for it on the nodes
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def beat(store: Store, name: str) -> None:
    """Renew the node's Lease for ever; one that somebody deleted comes back."""
    while True:
        pause = RENEWAL
        try:
            renew(store, name)
        except ApiError:  # its namespace is not there yet, or no more
            pause = RENEWAL / 100
        except Exception:  # a Lease that somebody has changed into what cannot be read
            log.exception("the node's Lease")
        await asyncio.sleep(pause)


def renew(store: Store, name: str) -> None:
    """Say once that the node lives."""
    now = store.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if store.find(LEASES, name, NAMESPACE):
        store.change(
            LEASES, name, NAMESPACE, lambda lease: lease.update(spec=(lease.get("spec") or {}) | {"renewTime": now})
        )
        return
    uid = store.get(NODES, name)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    meta = {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner]}
    spec = {"holderIdentity": name, "leaseDurationSeconds": DURATION, "renewTime": now}
    store.create(LEASES, {"metadata": meta, "spec": spec})


def node(name: str, now: datetime) -> Obj:
    """The Node object: this machine, as far as a pod of the lab may use it."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    memory, disk = psutil.virtual_memory().total // 1024, shutil.disk_usage("/").total // 1024
    capacity = {"cpu": str(os.cpu_count() or 1), "ephemeral-storage": f"{disk}Ki", "memory": f"{memory}Ki"}
    capacity["pods"] = "110"
    labels = {f"{domain}kubernetes.io/arch": architecture for domain in ("beta.", "")}
    labels |= {f"{domain}kubernetes.io/os": "linux" for domain in ("beta.", "")}
    labels |= {"kubernetes.io/hostname": name, "node-role.kubernetes.io/control-plane": "", LAB: "true"}
    info = {
        "architecture": architecture,
        "bootID": "",
        "containerRuntimeVersion": "processes://1",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.32.4",
        "machineID": "",
        "operatingSystem": "linux",
        "osImage": "the lab",
        "systemUUID": "",
    }
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}]
    status = {"capacity": capacity, "allocatable": capacity, "conditions": conditions(timestamp(now))}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {},
        "status": {**status, "addresses": addresses, "nodeInfo": info},
    }


def conditions(now: str) -> list[Obj]:
    """Nothing presses, and the kubelet is ready: as long as the lab lives, its machine is taken to be well."""
    said = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return [
        {"type": t, "status": status, "reason": reason, "message": text, **times} for t, status, reason, text in said
    ]
