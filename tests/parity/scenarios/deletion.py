"""Canaries that are deleted: what comes back, what goes with them, and the same Canary made anew."""

from __future__ import annotations

from typing import Any

from parity.stage import Stage

Obj = dict[str, Any]


def before(stage: Stage) -> tuple[Obj, Obj]:
    """A Service and a VirtualService as somebody had them before Flagger; a route without a weight."""
    ports = [{"name": "http", "port": 9898, "targetPort": "http"}]
    service = stage.obj("v1", "Service", "podinfo", {"team": "web"})
    routes = stage.obj("networking.istio.io/v1beta1", "VirtualService", "podinfo", {"team": "web"})
    http = [{"route": [{"destination": {"host": "podinfo"}}], "timeout": "7s"}]
    return (
        service | {"spec": {"selector": {"app": "podinfo"}, "ports": ports}},
        routes | {"spec": {"hosts": ["podinfo"], "http": http}},
    )


async def revert(stage: Stage) -> None:
    """A Service and a VirtualService of before are taken over, and given back when the Canary is deleted."""
    service, routes = before(stage)
    await stage.apply(service)
    await stage.kube.create(routes)  # not applied: what Flagger gives back is what it kept itself
    await stage.initialized(revertOnDeletion=True)
    await stage.set_image("2.1.2")
    await stage.event("Promotion completed")
    await stage.delete("Canary", "podinfo")
    await stage.gone("Canary")
    await stage.gone("Deployment", "podinfo-primary")
    await stage.event("Terminated canary")


async def revertmid(stage: Stage) -> None:
    """Deleted in mid-run, with a Service that was created and a VirtualService that was applied."""
    service, routes = before(stage)
    await stage.kube.create(service)
    await stage.apply(routes)
    await stage.initialized(stage.podinfo(replicas=2), revertOnDeletion=True)
    await stage.set_image("2.1.2")
    await stage.event("canary weight 40")
    await stage.delete("Canary", "podinfo")
    await stage.gone("Canary")
    await stage.gone("Deployment", "podinfo-primary")
    await stage.event("Terminated canary")


async def delplain(stage: Stage) -> None:
    """revertOnDeletion is set and taken back; then the Canary is deleted, and the target stays at none."""
    await stage.initialized(revertOnDeletion=True)
    await stage.until(lambda: stage.find("Canary")["metadata"].get("finalizers"), "there is a finalizer")
    await stage.edit_canary({"revertOnDeletion": False})
    await stage.until(lambda: not stage.find("Canary")["metadata"].get("finalizers"), "it is gone")
    await stage.delete("Canary", "podinfo")
    for kind, name in (("Deployment", "podinfo-primary"), ("Service", "podinfo"), ("VirtualService", "podinfo")):
        await stage.gone(kind, name)


async def recreate(stage: Stage) -> None:
    """Deleted after a release and made anew: everything is made once more, and released."""
    await stage.initialized()
    await stage.set_image("2.1.2")
    await stage.event("Promotion completed")
    await stage.delete("Canary", "podinfo")
    for kind, name in (("Deployment", "podinfo-primary"), ("Service", "podinfo"), ("VirtualService", "podinfo")):
        await stage.gone(kind, name)
    await stage.beats(0)  # until Flagger has ended the old one's ticks
    await stage.initialized()
    await stage.set_image("2.1.3")
    await stage.phase("Succeeded")
