"""What Flagger makes and keeps: routes, Services, primary, autoscaler; and what others change in them."""

from __future__ import annotations

import copy
from typing import Any

from parity.stage import Stage

Obj = dict[str, Any]
VS, DR = "VirtualService", "DestinationRule"


def autoscaler(stage: Stage, name: str = "podinfo", low: int = 2, high: int = 4) -> Obj:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    return stage.obj("autoscaling/v2", "HorizontalPodAutoscaler", name, {"app.kubernetes.io/part-of": "web"}) | {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [{"type": "Resource", "resource": cpu}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
        }
    }


def by(name: str = "podinfo", **replicas: int) -> Obj:
    """An autoscalerRef; `replicas` are the primary's own."""
    reference: Obj = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": name}
    return reference | ({"primaryScalerReplicas": replicas} if replicas else {})


def replicas_of(stage: Stage, deployment: str) -> int:
    found: int = stage.find("Deployment", deployment)["spec"]["replicas"]
    return found


async def hpa(stage: Stage) -> None:
    """An autoscaler with other numbers for the primary; edited in mid-run, and the primary's follows at promotion."""
    await stage.apply(autoscaler(stage))
    await stage.initialized(stage.podinfo(replicas=2), autoscalerRef=by(minReplicas=3, maxReplicas=6))
    await stage.set_image("2.1.2")
    await stage.event("canary weight 20")
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 90}}
    labels = {"team": "web"}
    await stage.edit(
        "HorizontalPodAutoscaler",
        "podinfo",
        {"metadata": {"labels": labels}, "spec": {"maxReplicas": 5, "behavior": behavior}},
    )
    await stage.phase("Succeeded")
    await stage.edit_canary({"autoscalerRef": {"primaryScalerReplicas": {"maxReplicas": 8}}})
    await stage.set_image("2.1.3")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def wronghpa(stage: Stage) -> None:
    """The autoscaler is missing, so nothing goes on; then it is made."""
    await stage.apply(stage.podinfo(replicas=2), stage.canary(autoscalerRef=by("elsewhere")))
    await stage.event("elsewhere", times=2)
    await stage.apply(autoscaler(stage, "elsewhere"))
    await stage.phase("Initialized")
    await stage.beats(0)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def scale(stage: Stage) -> None:
    """Replicas of target and primary change as an autoscaler changes them, at rest and in mid-run: promoted, rolled back."""
    await stage.apply(autoscaler(stage, low=1, high=6))
    await stage.initialized(autoscalerRef=by(minReplicas=2))
    await stage.until(lambda: replicas_of(stage, "podinfo-primary") == 2, "the primary has 2 pods")
    await stage.scale("Deployment", "podinfo-primary", 3)
    await stage.available("podinfo-primary", 3)
    await stage.set_image("2.1.2")
    await stage.event("canary weight 20")
    await stage.scale("Deployment", "podinfo", 2)
    await stage.scale("Deployment", "podinfo-primary", 4)
    await stage.event("Promotion completed")
    await stage.beats(2)
    assert replicas_of(stage, "podinfo-primary") == 4, "a promotion leaves the primary's replicas to its autoscaler"
    await stage.scale("Deployment", "podinfo-primary", 3)
    await stage.set_image("2.1.3")
    await stage.event("canary weight 20", times=2)
    await stage.scale("Deployment", "podinfo", 3)
    stage.script.success_rate = 50.0
    await stage.phase("Failed")
    await stage.beats(2)


async def delegate(stage: Stage) -> None:
    """Routes for others to delegate to, without hosts; with gateways beside that refused; then without them."""
    cors = {"allowOrigins": [{"exact": "https://shop.example"}], "allowCredentials": False}
    await stage.initialized(service={"port": 9898, "delegation": True, "portDiscovery": True, "corsPolicy": cors})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.edit_canary({"service": {"gateways": ["public"]}})
    await stage.event("delegation", times=2)
    await stage.edit_canary({"service": {"gateways": None}})
    await stage.set_image("2.1.3")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def tcp(stage: Stage) -> None:
    """Routes for TCP, twice released: the second canary is rolled back."""
    count = {"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}}
    await stage.initialized(service={"port": 9898, "appProtocol": "TCP"}, analysis={"metrics": [count]})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    stage.script.success_rate = None
    await stage.set_image("2.1.3")
    await stage.phase("Failed")


async def refused(stage: Stage) -> None:
    """No target; then one without a label that Flagger selects by; then one as it should be."""
    await stage.apply(stage.canary())
    await stage.event("not found", times=2)
    odd = stage.podinfo()
    odd["spec"]["selector"] = {"matchLabels": {"run": "podinfo"}}
    odd["spec"]["template"]["metadata"]["labels"] = {"run": "podinfo"}
    await stage.apply(odd)
    await stage.event("matchLabels", times=2)
    await stage.delete("Deployment", "podinfo")
    await stage.gone("Deployment")
    await stage.apply(stage.podinfo())
    await stage.phase("Initialized")


async def edits(stage: Stage) -> None:
    """Routes, Services and primary are edited and deleted by hand; weights by hand; the Canary edited in mid-run."""
    await stage.initialized()
    await stage.delete("Deployment", "podinfo-primary")
    for kind, name in ((DR, "podinfo-primary"), ("Service", "podinfo-canary"), ("Service", "podinfo"), (VS, "podinfo")):
        await stage.delete(kind, name)
    await stage.gone(VS)
    await stage.until(lambda: stage.find(VS), "the routes are back")  # they are what a tick looks at last
    await stage.edit(DR, "podinfo-canary", {"spec": {"trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}})
    await stage.edit("Service", "podinfo", {"spec": {"selector": {"app": "podinfo"}}})
    await stage.edit("Service", "podinfo-canary", {"metadata": {"labels": {"app": "mine"}, "annotations": {"a": "b"}}})
    await stage.edit(VS, "podinfo", {"spec": {"hosts": ["mine"]}, "metadata": {"labels": {"mine": "yes"}}})
    await stage.until(lambda: stage.find(VS)["spec"]["hosts"] == ["mine"], "the routes are edited")
    await stage.until(lambda: stage.find(VS)["spec"]["hosts"] == ["podinfo"], "the routes are restored")
    await stage.beats(0)
    await stage.set_image("2.1.2")
    await _reaches(stage, 20)
    http = copy.deepcopy(stage.find(VS)["spec"]["http"])
    http[0]["route"][0]["weight"], http[0]["route"][1]["weight"] = 70, 30
    await stage.edit(VS, "podinfo", {"spec": {"http": http}})
    await _reaches(stage, 50)
    await stage.edit_analysis(maxWeight=70)
    await _reaches(stage, 70)
    await stage.edit_canary({"service": {"timeout": "15s"}})
    await stage.event("Promotion completed")
    await stage.edit(
        "Deployment", "podinfo-primary", {"metadata": {"labels": {"mine": "yes"}}, "spec": {"replicas": 2}}
    )
    await stage.beats(2)


async def _reaches(stage: Stage, weight: int) -> None:
    """The event is the last thing of its tick; the routes are seen by another watch."""
    await stage.event(f"canary weight {weight}")
    await stage.until(
        lambda: stage.find(VS)["spec"]["http"][0]["route"][1]["weight"] == weight, "the routes are written"
    )


async def rich(stage: Stage) -> None:
    """Names, metadata and routes of its own; ports discovered; pods with affinity, spread rules and a second container."""
    await stage.initialized(_rich_podinfo(stage), name="web", targetRef=TARGET, service=RICH_SERVICE)
    mine = {"mine": "yes", "another": "yes"}  # the first is left alone
    await stage.edit("Service", "shop", {"metadata": {"labels": mine, "annotations": mine}})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded", "web")


TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
RICH_SERVICE = {
    "name": "shop",
    "port": 80,
    "targetPort": "http",
    "portName": "http-shop",
    "portDiscovery": True,
    "appProtocol": "http",
    "trafficDistribution": "PreferClose",
    "unmanagedMetadata": {"labels": ["mine"], "annotations": ["mine"]},
    "gateways": ["public", "mesh"],
    "hosts": ["shop.example"],
    "timeout": "15s",
    "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"},
    "rewrite": {"uri": "/"},
    "match": [{"uri": {"prefix": "/shop"}, "ignoreUriCase": True}, {"method": {"exact": "PUT"}}],
    "headers": {"request": {"add": {"x-shop": "yes"}, "remove": ["x-old"]}, "response": {"set": {"x-by": "shop"}}},
    "corsPolicy": {
        "allowOrigins": [{"exact": "https://shop.example"}],
        "allowMethods": ["GET", "PUT"],
        "maxAge": "24h",
    },
    "trafficPolicy": {
        "loadBalancer": {"simple": "LEAST_REQUEST"},
        "connectionPool": {"http": {"http1MaxPendingRequests": 10}},
        "outlierDetection": {"consecutive5xxErrors": 5, "interval": "10s"},
    },
    "apex": {"labels": {"of": "apex"}, "annotations": {"a": "apex"}},
    "primary": {"labels": {"of": "primary"}, "annotations": {"a": "primary"}},
    "canary": {"labels": {"of": "canary"}, "annotations": {"a": "canary"}},
}


def _rich_podinfo(stage: Stage) -> Obj:
    name = "app.kubernetes.io/name"
    obj = stage.podinfo(
        **{"minReadySeconds": 1, "revisionHistoryLimit": 3, "progressDeadlineSeconds": 90},
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
    )
    annotations = {"team": "web", "kustomize.toolkit.fluxcd.io/reconcile": "enabled"}
    labels = {name: "podinfo", "app.kubernetes.io/part-of": "web", "team": "web"}
    obj["metadata"] |= {"labels": labels, "annotations": annotations}
    obj["spec"]["selector"] = {"matchLabels": {name: "podinfo"}}
    pod = obj["spec"]["template"]
    pod["metadata"] = {"labels": {name: "podinfo", "team": "web"}, "annotations": {"sidecar": "none"}}
    term = {"labelSelector": {"matchExpressions": [{"key": name, "operator": "In", "values": ["podinfo"]}]}}
    near = {"weight": 50, "podAffinityTerm": term | {"topologyKey": "kubernetes.io/hostname"}}
    spread = {"labelSelector": {"matchLabels": {name: "podinfo"}}, "maxSkew": 2}
    pod["spec"] |= {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [near]}},
        "topologySpreadConstraints": [
            spread | {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    }
    (container,) = pod["spec"]["containers"]
    container["ports"] += [{"name": "http-metrics", "containerPort": 9797}, {"containerPort": 9999}]
    return obj
