"""What a lesson brings with it: the stage it plays on, and exercises that look at the cluster. I/O: through a Cluster.

Each lesson runs alone, so each begins by asking for what it needs; what is there already is left as it is.
"""

from __future__ import annotations

import copy
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from canary_tutorial import manifests
from canary_tutorial.api import MERGE
from canary_tutorial.cluster import is_ours
from canary_tutorial.errors import Refused, TutorialError
from canary_tutorial.pictures import live
from canary_tutorial.timeline import RUNNING
from canary_tutorial.waiting import until

if TYPE_CHECKING:
    from canary_tutorial.canary import Canary
    from canary_tutorial.cluster import Cluster

# manifest -> what shows that it, or the same from elsewhere, is there: kind, name, namespace
STAGE = {
    "mesh.yaml": ("customresourcedefinitions", "virtualservices.networking.istio.io", None),
    "prometheus.yaml": ("services", "prometheus", "istio-system"),
    "telemetry.yaml": ("telemetries", "canary-tutorial-request-host", "istio-system"),
    "flagger-crd.yaml": ("customresourcedefinitions", "canaries.flagger.app", None),
    "flagger-account.yaml": ("serviceaccounts", "flagger", "istio-system"),
    "flagger-deployment.yaml": ("deployments", "flagger", "istio-system"),
    "test-podinfo.yaml": ("deployments", "podinfo", None),
    "test-loadtester.yaml": ("deployments", "flagger-loadtester", None),
}
CONTROL_LOOP = "1s"  # how soon Flagger takes up a new or edited Canary; its manifest says 10s


class NotYet(TutorialError):
    """An exercise is not solved; raised only where nobody looks on, so that tests see it."""


def ready(
    cluster: Cluster,
    *,
    canary: bool = True,
    interval: str = "4s",
    window: str = "3s",
    min_ready_seconds: int = 1,
) -> Canary | None:
    """Bring what a lesson needs: whatever of mesh, Prometheus, Flagger, podinfo and load tester is missing.

    With `canary`, also the Canary with these settings, at rest: a run that is under way is waited for.
    Returns the Canary (None without). Raises TookTooLong, Refused.
    """
    missing = [name for name, found in STAGE.items() if cluster.find(*found) is None]
    for name in missing:
        if name == "flagger-deployment.yaml":
            for obj in manifests.read(manifests.find(name)):
                cluster.apply_object(quick(obj))
        else:
            cluster.apply(name, **({"min_ready_seconds": min_ready_seconds} if name == "test-podinfo.yaml" else {}))
    wake(cluster)
    for namespace, names in (("istio-system", ("prometheus", "flagger")), (None, ("podinfo", "flagger-loadtester"))):
        here = [f"deployment/{name}" for name in names if cluster.find("deployments", name, namespace)]
        cluster.wait_for_rollout(*here, namespace=namespace)
    found = cluster.canary("podinfo") if canary else None
    if found:
        put_back(cluster)
        applied = cluster.apply("canary-podinfo.yaml", interval=interval, window=window)
        if any(row["result"] != "unchanged" for row in applied):
            time.sleep(1.5)  # a little over CONTROL_LOOP: until then Flagger looks at the old interval
        at_rest(found)
    brought = f"applied {', '.join(missing)}; " if missing else ""
    print(f"Ready: {brought}{found or 'no canary yet'}")
    return found


def quick(obj: dict[str, Any]) -> dict[str, Any]:
    """Flagger's Deployment with a shorter control loop: a lesson should not wait ten seconds for Flagger to wake."""
    pod = obj["spec"]["template"]["spec"] if obj["kind"] == "Deployment" else {}
    for container in pod.get("containers", []):
        container["args"] = [
            f"-control-loop-interval={CONTROL_LOOP}" if word.startswith("-control-loop-interval=") else word
            for word in container.get("args", [])
        ]
    return obj


def wake(cluster: Cluster) -> None:
    """What of ours is asleep: a load tester or a Prometheus at 0 pods, as a broken-off experiment may leave them, and
    Flagger as its manifest has it, which lesson 1 applies."""
    for name, namespace in (("prometheus", "istio-system"), ("flagger", "istio-system"), ("flagger-loadtester", None)):
        found = cluster.find("deployments", name, namespace)
        if found and is_ours(found) and not found["spec"].get("replicas"):
            cluster.scale(f"deployment/{name}", 1, namespace)
        if found and is_ours(found) and name == "flagger" and quick(copy.deepcopy(found)) != found:
            for obj in manifests.read(manifests.find("flagger-deployment.yaml")):
                cluster.apply_object(quick(obj))


def put_back(cluster: Cluster) -> None:
    """Take away what an earlier lesson added to the Canary: gates, pauses, another strategy; and an abort's signal."""
    if cluster.find("services", "gates"):
        body: dict[str, Any] = {"name": "podinfo", "namespace": cluster.namespace}
        with suppress(Refused):  # no pod of it is there to be told
            cluster.api.request("POST", cluster.page("gates:80", "rollback/close"), body, accept="*/*", parse=False)
    (wanted,) = manifests.read(manifests.find("canary-podinfo.yaml"))
    current = cluster.find("canaries", wanted["metadata"]["name"])
    if current is None:
        return
    spec, analysis = current["spec"], current["spec"].get("analysis", {})
    change: dict[str, Any] = {key: None for key in ("suspend", "skipAnalysis") if spec.get(key)}
    added = {key: None for key in analysis if key not in wanted["spec"]["analysis"]}
    if added or change:
        kept = {key: value for key, value in wanted["spec"]["analysis"].items() if key not in analysis}
        body = {"spec": {**change, "analysis": {**added, **kept}}}
        cluster.patch("canaries", wanted["metadata"]["name"], body, how=MERGE)


def at_rest(canary: Canary, timeout: float = 180, *, promoted: bool = False) -> None:
    """Wait until no run is under way and the canary has been taken up; with `promoted`, also until users get the very
    image that its target is set to. Raises TookTooLong."""

    def resting() -> tuple[bool, str]:
        phase = canary.phase
        under_way = f"a release is under way ({phase})" if phase in RUNNING else phase
        if not phase or phase == "Initializing" or phase in RUNNING:
            return False, under_way or "not yet seen by Flagger"
        missed = promoted and canary.image() != canary.image(primary=True)
        return not missed, f"{phase}; users do not get {canary.image().rpartition('/')[2]} yet" if missed else phase

    until(resting, "the canary to be at rest", timeout, next_step="canary.why() says what it waits for.")
    primary = f"deployment/{canary.target}-primary"
    canary.cluster.wait_for_rollout(primary, namespace=canary.namespace)
    deadline = time.monotonic() + 10
    while not canary.cluster.find("virtualservices", canary.target, canary.namespace) and time.monotonic() < deadline:
        time.sleep(0.2)


def check(question: str, answer: bool, hint: str = "") -> None:
    """Say whether an exercise is solved, with a hint where it is not. Headless, an unsolved one raises NotYet."""
    print(f"✔ {question}" if answer else f"✘ {question}" + (f"\n  Hint: {hint}" if hint else ""))
    if not answer and not live():
        raise NotYet(f"not solved: {question}", hint)


def near(answer: Any, wanted: float, within: float) -> bool:
    """Whether an exercise's answer is a number nearer than `within` to what is wanted; any other answer is not."""
    return isinstance(answer, int | float) and abs(answer - wanted) < within
