"""Flagger itself: started anew, with other flags, one of two, with many Canaries."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from parity.controller import NAMESPACE
from parity.kube import path
from parity.scenarios.configs import source
from parity.scenarios.metrics import alert, check, provider, template
from parity.stage import RATE, Stage

Obj = dict[str, Any]
LEASE = "flagger-leader-election"
IN_TWO = {"stepWeight": 50, "maxWeight": 50}  # half of the requests, then all


async def pods_of(stage: Stage, flagger: str) -> list[str]:
    """Those that run."""
    found = await stage.kube.list("Pod", NAMESPACE, labelSelector=f"app={flagger}")
    return [pod["metadata"]["name"] for pod in found if pod["status"].get("phase") == "Running"]


async def restart(stage: Stage) -> None:
    """Flagger's pod is deleted in mid-run, and at rest: the next one goes on."""
    await stage.initialized()
    await stage.set_image("2.1.2")
    for state in ("canary weight 40", "Promotion completed"):
        await stage.event(state)
        for name in await pods_of(stage, "flagger"):
            await stage.kube.delete("Pod", name, NAMESPACE)
    await stage.set_image("2.1.3")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def flags(stage: Stage) -> None:
    """Flags: no config tracking, one namespace's references, all labels; an event hook, chat rooms; three releases."""
    rooms = ("slack", "discord", "msteams", "rocket", "gchat")
    podinfo = stage.podinfo()
    podinfo["metadata"]["labels"] |= {"team": "web"}
    podinfo["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "colours"}}]
    across = [RATE, check("depth", templateRef={"name": "depth", "namespace": "default"})]
    await stage.apply(
        *(source(stage, "colours", {"one": "red"}), template(stage, "depth", "depth")),
        *(provider(stage, room, room) for room in rooms),
        *(stage.podinfo("across"), stage.canary("across", analysis={"metrics": across})),
        *(
            stage.podinfo("told"),
            stage.canary("told", analysis={"alerts": [alert("slack", "info", namespace="default")]}),
        ),
    )
    stage.answer("gate", 403, "Forbidden")
    await stage.initialized(podinfo, analysis={"stepWeight": 25, "maxWeight": 50})
    await stage.edit("ConfigMap", "colours", {"data": {"one": "blue"}})
    await stage.beats(2)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    alerts = [alert(room, "info") for room in rooms]
    await stage.edit_analysis(alerts=alerts, webhooks=[stage.hook("gate", "confirm-promotion")])
    await stage.set_image("2.1.3")
    await stage.phase("WaitingPromotion")
    stage.answer("gate")
    await stage.phase("Succeeded")
    stage.script.success_rate = 50.0
    await stage.set_image("3.0.0")
    await stage.phase("Failed")


async def elsewhere(stage: Stage) -> None:
    """A Canary in another namespace than the one that Flagger watches is left alone."""
    await stage.apply(stage.podinfo(), stage.canary())
    await stage.beats(4)


async def watched(stage: Stage) -> None:
    """A Canary in the only namespace that Flagger watches is released."""
    await stage.initialized()
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def leader(stage: Stage) -> None:
    """Of two Flaggers one acts: it is stopped in mid-run, later the other is killed; the next one goes on with its Lease."""
    await stage.until(lambda: stage.find("Lease", LEASE), "there is a leader")
    await _second_flagger(stage)
    await stage.initialized(analysis=IN_TWO)
    await stage.set_image("2.1.2")
    await stage.event("canary weight 50")
    await stage.kube.patch("Deployment", "flagger-one", NAMESPACE, {"spec": {"replicas": 0}})
    await stage.event("Promotion completed")
    await stage.set_image("2.1.3")
    await stage.event("canary weight 50", times=2)
    for name in await pods_of(stage, "flagger-two"):
        await stage.kube.request("DELETE", path("Pod", NAMESPACE, name), {"gracePeriodSeconds": 0})
    await stage.event("Promotion completed", times=2)


async def _second_flagger(stage: Stage) -> None:
    """Beside the first and like it, but on another port; ready, and without the Lease."""
    first = await stage.kube.get("Deployment", "flagger-one", NAMESPACE)
    assert first
    (container,) = first["spec"]["template"]["spec"]["containers"]
    port = container["ports"][0]["containerPort"]
    keys = ("apiVersion", "kind", "spec")
    text = json.dumps({key: first[key] for key in keys} | {"metadata": {"name": "flagger-one", "namespace": NAMESPACE}})
    await stage.apply(json.loads(text.replace("flagger-one", "flagger-two").replace(str(port), str(port + 1))))
    while not await pods_of(stage, "flagger-two"):
        await asyncio.sleep(0.1)


async def twenty(stage: Stage) -> None:
    """Twenty Canaries are made at once, and released at once."""
    names = [f"podinfo-{number:02}" for number in range(20)]
    # Many pods start together: no primary may be ready in the tick that makes it, and each must be in the next one.
    slowly = {"interval": "20s", "stepWeight": 30, "maxWeight": 60}
    pods = [stage.podinfo(name, minReadySeconds=5) for name in names]
    await stage.apply(*pods)
    await asyncio.gather(*(stage.apply(stage.canary(name, analysis=slowly)) for name in names))
    await asyncio.gather(*(stage.phase("Initialized", name) for name in names))
    await stage.beats(0)
    await asyncio.gather(*(stage.set_image("2.1.2", name) for name in names))
    await asyncio.gather(*(stage.phase("Succeeded", name) for name in names))
    stage.script.queries.sort()  # which of them asks first is chance
