"""Real requests: Envoy carries, splits and mirrors them, Prometheus counts them, and Flagger judges by that."""

from __future__ import annotations

from typing import Any

from parity.stage import RATE, Stage

LOAD = "hey -z 24h -q 10 -c 2"
SHORT = [RATE | {"interval": "10s"}]  # of each check's window: what users meet now


async def staged(stage: Stage, *loads: str, annotations: dict[str, str] | None = None, **analysis: Any) -> None:
    """podinfo with a Canary, and a load generator for each of `loads`: more words of hey."""
    podinfo = stage.podinfo()
    if annotations:
        podinfo["spec"]["template"]["metadata"]["annotations"] = annotations
    await stage.initialized(podinfo, analysis={"metrics": SHORT, "mirror": True, **analysis})
    for number, words in enumerate(loads):
        name = f"load-{number}"
        obj = stage.podinfo(name)
        (container,) = obj["spec"]["template"]["spec"]["containers"]
        container["image"] = "ghcr.io/fluxcd/flagger-loadtester:0.38.0"
        container["command"] = [*LOAD.split(), *words.split(), f"http://podinfo.{stage.namespace}:9898/"]
        del container["ports"]
        await stage.apply(obj)
        await stage.available(name, 1)


async def users(stage: Stage) -> None:
    """A good version with real users: mirrored, 20, 40, 60 %, promoted."""
    await staged(stage, "")
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def faulty(stage: Stage) -> None:
    """A version that fails requests at random: found while they are mirrored, and rolled back."""
    await staged(stage, "")
    containers = [
        {
            "name": "podinfod",
            "image": "stefanprodan/podinfo:2.1.2",
            "command": ["./podinfo", "--port=9898", "--random-error=true"],
        }
    ]
    spec = {"template": {"spec": {"containers": containers}}}
    await stage.edit("Deployment", "podinfo", {"spec": spec}, "strategic")
    await stage.phase("Failed")


async def insiders(stage: Stage) -> None:
    """A/B: those who send a header get the canary, the others do not."""
    match = [{"headers": {"x-user": {"exact": "insider"}}}]
    await staged(
        stage, "", "-H x-user:insider", mirror=None, stepWeight=None, maxWeight=None, iterations=3, match=match
    )
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def nobody(stage: Stage) -> None:
    """No requests at all: no value is no proof, and the version is rolled back."""
    await staged(stage)
    await stage.set_image("2.1.2")
    await stage.phase("Failed")


async def scraped(stage: Stage) -> None:
    """No requests, but pods that Prometheus scrapes."""
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": "9898"}
    await staged(stage, annotations=scrape)
    await stage.set_image("2.1.2")
    await stage.until(lambda: stage.status().get("phase") in ("Succeeded", "Failed"), "it has ended")
