"""Where a scenario is played: a namespace of its own, kubectl's verbs in it, and what it may wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from parity.answers import Answer, Answers, Script
from parity.kube import Kube
from parity.recorder import LIMIT, Recorder

Obj = dict[str, Any]
INTERVAL = 10.0  # seconds; the shortest that Flagger takes
REST = 1.0  # seconds for the rest of a tick: what was waited for is not the last thing that it does
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"}


class Stage:
    """A scenario's namespace on a cluster with a controller: which one, it cannot tell."""

    def __init__(self, namespace: str, kube: Kube, recorder: Recorder, answers: Answers) -> None:
        self.namespace, self.kube = namespace, kube
        self.script: Script = answers.of(namespace)
        self.url = f"{answers.url}/{namespace}"
        self._recorder = recorder

    # -- what is put there

    async def open(self, mesh: bool = False) -> None:
        """The namespace itself; its pods get a sidecar if there is a mesh."""
        labels = {"istio-injection": "enabled"} if mesh else {}
        await self.kube.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        )

    def podinfo(self, name: str = "podinfo", tag: str = "2.1.1", **spec: Any) -> Obj:
        labels = {"app": name}
        ports = [{"name": "http", "containerPort": 9898}]
        container = {"name": "podinfod", "image": f"stefanprodan/podinfo:{tag}", "ports": ports}
        template = {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        return self.obj("apps/v1", "Deployment", name, {"app": name}) | {
            # Ready so late that it is never ready in the tick that makes it, however long that tick takes.
            "spec": {
                "replicas": 1,
                "minReadySeconds": 2,
                "selector": {"matchLabels": labels},
                "template": template,
                **spec,
            }
        }

    def canary(self, name: str = "podinfo", **spec: Any) -> Obj:
        """A Canary that shifts 20, 40, 60 %; `analysis` replaces or (None) removes fields of its analysis."""
        analysis = {"interval": "10s", "threshold": 2, "stepWeight": 20, "maxWeight": 50, "metrics": [RATE, DURATION]}
        analysis |= spec.pop("analysis", {})
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        base = {"targetRef": target, "service": {"port": 9898}, "progressDeadlineSeconds": 60}
        base |= {"analysis": {key: value for key, value in analysis.items() if value is not None}}
        return self.obj("flagger.app/v1beta1", "Canary", name) | {"spec": base | spec}

    def obj(self, version: str, kind: str, name: str, labels: Obj | None = None) -> Obj:
        meta = {"name": name, "namespace": self.namespace} | ({"labels": labels} if labels else {})
        return {"apiVersion": version, "kind": kind, "metadata": meta}

    def hook(self, name: str, type_: str = "", **more: Any) -> Obj:
        """A webhook of the Canary that asks this scenario's script."""
        url = f"{self.url}/hooks/{name}"
        return {"name": name, "url": url, **({"type": type_} if type_ else {}), **more}

    # -- what a person does

    async def apply(self, *objects: Obj) -> None:
        for obj in objects:
            await self.kube.apply(obj)

    async def initialized(self, *objects: Obj, name: str = "podinfo", **canary: Any) -> None:
        """podinfo (or other `objects`) and a Canary for it, ready for its first release: the tick that says so is over."""
        await self.apply(*(objects or (self.podinfo(),)), self.canary(name, **canary))
        await self.phase("Initialized", name)
        await self.beats(0)

    async def set_image(self, tag: str, deployment: str = "podinfo") -> None:
        containers = [{"name": "podinfod", "image": f"stefanprodan/podinfo:{tag}"}]
        await self.edit(
            "Deployment", deployment, {"spec": {"template": {"spec": {"containers": containers}}}}, "strategic"
        )

    async def edit(self, kind: str, name: str, body: Any, how: str = "merge") -> None:
        await self.kube.patch(kind, name, self.namespace, body, how)

    async def edit_canary(self, spec: Obj, name: str = "podinfo") -> None:
        await self.edit("Canary", name, {"spec": spec})

    async def edit_analysis(self, **analysis: Any) -> None:
        await self.edit_canary({"analysis": analysis})

    async def restart(self, deployment: str = "podinfo") -> None:
        """As `kubectl rollout restart`, with a time of its own."""
        annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        await self.edit("Deployment", deployment, {"spec": {"template": {"metadata": {"annotations": annotations}}}})

    async def scale(self, kind: str, name: str, replicas: int) -> None:
        await self.edit(kind, name, {"spec": {"replicas": replicas}})

    async def delete(self, kind: str, name: str) -> None:
        await self.kube.delete(kind, name, self.namespace)

    # -- what it waits for

    def find(self, kind: str, name: str = "podinfo") -> Obj:
        """The object as last seen; empty if it is not there."""
        return self._recorder.latest.get((kind, self.namespace, name), {})

    def status(self, name: str = "podinfo") -> Obj:
        return self.find("Canary", name).get("status") or {}

    async def until(self, check: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
        found = await self._recorder.until(check, f"{self.namespace}: {what}", limit)
        await asyncio.sleep(REST)
        return found

    async def phase(self, phase: str, name: str = "podinfo") -> None:
        await self.until(lambda: self.status(name).get("phase") == phase, f"{name} is {phase}")

    async def weight(self, weight: int, name: str = "podinfo") -> None:
        await self.until(lambda: self.status(name).get("canaryWeight") == weight, f"{name} has weight {weight}")

    async def failed_checks(self, number: int) -> None:
        await self.until(lambda: self.status().get("failedChecks") == number, f"{number} failed checks")

    async def iteration(self, number: int) -> None:
        await self.until(lambda: self.status().get("iterations") == number, f"iteration {number}")

    async def event(self, text: str, times: int = 1) -> None:
        """Wait for an event that says this, written so many times since the beginning."""

        def count() -> int:
            return sum(text in event["message"] for event in self._recorder.records[self.namespace].events)

        await self.until(lambda: count() >= times, f"the event {text!r}, {times} times")

    async def gone(self, kind: str, name: str = "podinfo") -> None:
        await self.until(lambda: not self.find(kind, name), f"{kind} {name} is gone")

    async def available(self, deployment: str, replicas: int) -> None:
        def number() -> int:
            return int((self.find("Deployment", deployment).get("status") or {}).get("availableReplicas") or 0)

        await self.until(lambda: number() == replicas, f"{replicas} pods of {deployment} are available")

    async def called(self, hook: str, times: int = 1) -> None:
        """Wait until a hook was called so often; a call makes no news in the API, so this looks often."""
        async with asyncio.timeout(LIMIT):
            while sum(call["to"] == hook for call in self.script.calls) < times:
                await asyncio.sleep(0.05)

    async def beats(self, number: int = 1) -> None:
        """So many ticks pass, and the last one is over. For what a controller leaves alone: nothing else tells."""
        await asyncio.sleep(INTERVAL * (number + 0.5))

    # -- answers

    def answer(self, hook: str, status: int = 200, text: str = "", delay: float = 0.0) -> None:
        self.script.hooks[hook] = Answer(status, text, delay)
