"""Sets up the cluster for a lesson: installs what is missing, and makes the Canary idle. I/O: through a Cluster.

Each lesson runs alone, so each begins with `prepare`; what is installed already stays as it is.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import Refused
from canary_tutorial.install.ownership import by_kind, is_ours
from canary_tutorial.kube import manifests
from canary_tutorial.kube.objects import Obj

if TYPE_CHECKING:
    from canary_tutorial.connection import Cluster
    from canary_tutorial.release.canary import Canary

CONTROL_LOOP = "1s"  # how soon Flagger takes up a new or edited Canary; its manifest says 10s


def prepare(
    cluster: Cluster,
    *,
    canary: bool = True,
    interval: str = "4s",
    window: str = "3s",
    min_ready_seconds: int = 1,
) -> Canary | None:
    """Install what a lesson needs and the cluster lacks: mesh, Prometheus, Flagger, podinfo, load tester.

    `cluster.preflight()` runs first, and says what will be created. With `canary`, also the Canary with these settings,
    idle: a release that runs is waited for. Returns the Canary (None without). Raises NotReady, NotOurs,
    TookTooLong, Refused.
    """
    found = cluster.preflight()
    found.require()
    settings = {"interval": interval, "window": window}
    creates = {file: objects for file, objects in found.creates.items() if canary or file != "canary-podinfo.yaml"}
    create(cluster, creates, {"min_ready_seconds": min_ready_seconds})
    scale_up_interrupted(cluster)
    for namespace, names in (("istio-system", ("prometheus", "flagger")), (None, ("podinfo", "flagger-loadtester"))):
        if cluster.can_i("get", "deployments", namespace):
            here = [f"deployment/{name}" for name in names if _is_there_and_ours(cluster, name, namespace)]
            cluster.rollout_status(*here, namespace=namespace)
    prepared = cluster.canary("podinfo") if canary else None
    if prepared:
        reset_canary(cluster)
        applied = cluster.apply("canary-podinfo.yaml", **settings)
        if any(row["result"] != "unchanged" for row in applied):
            time.sleep(1.5)  # a little over CONTROL_LOOP: until then Flagger looks at the old interval
        prepared.wait_until_idle()
    print(f"Ready: {prepared or 'no canary yet'}")
    return prepared


def create(cluster: Cluster, creates: Mapping[str, Sequence[Obj]], settings: Mapping[str, Any]) -> None:
    """Say what will be created, and create it; the Canary's own turn comes when everything that it judges is there."""
    if new := by_kind(obj for objects in creates.values() for obj in objects):
        print(f"Creating on {cluster.name}: {new}")
    for file, objects in creates.items():
        if file == "canary-podinfo.yaml":
            continue
        changed, _ = manifests.with_settings(list(objects), settings if file == "test-podinfo.yaml" and objects else {})
        for obj in changed:
            cluster.apply_object(with_short_control_loop(obj) if file == "flagger-deployment.yaml" else obj)


def _is_there_and_ours(cluster: Cluster, name: str, namespace: str | None) -> bool:
    found = cluster.get_or_none("deployments", name, namespace)
    return found is not None and (namespace is None or is_ours(found))


def with_short_control_loop(obj: dict[str, Any]) -> dict[str, Any]:
    """Flagger's Deployment with a shorter control loop: a lesson should not wait ten seconds for Flagger to wake."""
    pod = obj["spec"]["template"]["spec"] if obj["kind"] == "Deployment" else {}
    for container in pod.get("containers", []):
        container["args"] = [
            f"-control-loop-interval={CONTROL_LOOP}" if word.startswith("-control-loop-interval=") else word
            for word in container.get("args", [])
        ]
    return obj


def scale_up_interrupted(cluster: Cluster) -> None:
    """Scale up what an interrupted lesson left at 0 pods (load tester, Prometheus), and give Flagger its short control
    loop again, which lesson 1 removes by applying the manifest."""
    for name, namespace in (("prometheus", "istio-system"), ("flagger", "istio-system"), ("flagger-loadtester", None)):
        found = (
            cluster.get_or_none("deployments", name, namespace)
            if cluster.can_i("get", "deployments", namespace)
            else None
        )
        if found and is_ours(found) and not found["spec"].get("replicas"):
            cluster.scale(f"deployment/{name}", 1, namespace)
        if found and is_ours(found) and name == "flagger" and with_short_control_loop(copy.deepcopy(found)) != found:
            for obj in manifests.read(manifests.find("flagger-deployment.yaml")):
                cluster.apply_object(with_short_control_loop(obj))


def reset_canary(cluster: Cluster) -> None:
    """Take away what an earlier lesson added to the Canary: gates, pauses, another strategy; and an abort's signal."""
    gates = cluster.get_or_none("services", "gates")
    if gates and is_ours(gates):
        with suppress(Refused):  # it has no pod that could answer
            cluster.canary().withdraw_abort()
    (wanted,) = cluster.objects("canary-podinfo.yaml")
    current = cluster.get_or_none("canaries", wanted["metadata"]["name"])
    if current is None or not is_ours(current):
        return
    spec, analysis = current["spec"], current["spec"].get("analysis", {})
    change: dict[str, Any] = {key: None for key in ("suspend", "skipAnalysis") if spec.get(key)}
    added = {key: None for key in analysis if key not in wanted["spec"]["analysis"]}
    if added or change:
        kept = {key: value for key, value in wanted["spec"]["analysis"].items() if key not in analysis}
        body = {"spec": {**change, "analysis": {**added, **kept}}}
        cluster.patch("canaries", wanted["metadata"]["name"], body)
