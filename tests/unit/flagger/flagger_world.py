"""A small world for Flagger's rules: objects in a dict, a clock that only tests move, scripted hooks and metrics.

`World.tick()` drives one tick of the real rules and returns what was said. Deployments become ready at once before each
tick, but for those named in `stuck`.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from canary_tutorial.flagger.effects import (
    Alert,
    CallHook,
    Checked,
    Create,
    Emit,
    Gauge,
    Get,
    Log,
    Now,
    Patch,
    Query,
    RandomLetters,
    Refused,
    Rules,
    Update,
    Uuid,
    Value,
    WriteStatus,
)
from canary_tutorial.flagger.rules import advance
from canary_tutorial.flagger.spec import Canary, Settings
from canary_tutorial.flagger.status import with_fields

Obj = dict[str, Any]
NS = "test"
PLURALS = {
    "Deployment": 'deployments.apps "{}" not found',
    "VirtualService": 'virtualservices.networking.istio.io "{}" not found',
    "Service": 'services "{}" not found',
    "ConfigMap": 'configmaps "{}" not found',
    "Secret": 'secrets "{}" not found',
    "HorizontalPodAutoscaler": 'horizontalpodautoscalers.autoscaling "{}" not found',
}
METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "30s"},
    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"},
]


def podinfo(name: str = "podinfo", image: str = "podinfo:1", **spec: Any) -> Obj:
    labels = {"app": name}
    container = {"name": "podinfod", "image": image, "ports": [{"name": "http", "containerPort": 9898}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS, "labels": dict(labels), "generation": 1},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(labels)},
            "strategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def canary(analysis: Obj | None = None, service: Obj | None = None, name: str = "podinfo", **spec: Any) -> Obj:
    base = {"interval": "30s", "threshold": 2, "metrics": METRICS}
    strategy = (
        {} if analysis and {"iterations", "stepWeights"} & analysis.keys() else {"stepWeight": 20, "maxWeight": 50}
    )
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": NS, "uid": f"uid-{name}"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "service": {"port": 9898, "timeout": "30s", **(service or {})},
            "analysis": {**base, **strategy, **(analysis or {})},
            "progressDeadlineSeconds": 60,
            **spec,
        },
        "status": with_fields({}, {"phase": "Initializing"}, "Deployment", datetime(2026, 1, 1, tzinfo=UTC)),
    }


class World:
    """Everything outside the rules."""

    def __init__(self, *objects: Obj, settings: Settings | None = None) -> None:
        self.objects: dict[tuple[str, str], Obj] = {}
        self.settings = settings or Settings()
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
        self.stuck: dict[str, Obj] = {}  # Deployment name -> its status
        self.values: dict[str, Value] = {"request-success-rate": Value(100.0), "request-duration": Value(12.0)}
        self.hooks: dict[str, str | None] = defaultdict(lambda: None)  # hook name -> why it says no
        self.refuse: Callable[[Any], str | None] = lambda effect: None
        self.logs: list[str] = []
        self.alerts: list[tuple[str, str]] = []
        self.gauges: list[tuple[str, Obj]] = []
        self.called: list[tuple[str, str]] = []  # (hook name, payload's phase)
        self.checked: list[Checked] = []
        self.emitted: list[Emit] = []
        self.effects: list[Any] = []
        self.queries: list[Query] = []
        self.name = "podinfo"
        self._randoms = 0
        for obj in objects or (podinfo(), canary()):
            self.put(obj)
            if obj["kind"] == "Canary":
                self.name = obj["metadata"]["name"]

    # -- what tests read

    def __getitem__(self, key: str) -> Obj:
        kind, _, name = key.partition("/")
        return self.objects[kind, name]

    @property
    def canary(self) -> Canary:
        return Canary(self["Canary/" + self.name])

    @property
    def status(self) -> Obj:
        return self.canary.status

    @property
    def phase(self) -> str:
        return self.canary.phase

    @property
    def http(self) -> list[Obj]:
        return self["VirtualService/" + self.canary.apex]["spec"]["http"]  # type: ignore[no-any-return]

    @property
    def weights(self) -> tuple[int, int, bool]:
        """primary, canary, mirrored"""
        rule = next(rule for rule in reversed(self.http) if len(rule["route"]) == 2)
        primary, canary = (each["weight"] for each in rule["route"])
        return primary, canary, "mirror" in rule

    @property
    def replicas(self) -> int:
        return int(self["Deployment/podinfo"]["spec"]["replicas"])

    # -- what tests do

    def put(self, obj: Obj) -> None:
        self.objects[obj["kind"], obj["metadata"]["name"]] = copy.deepcopy(obj)

    def change(self, key: str, **spec: Any) -> None:
        """Edit a spec as a user does; `__` goes deeper."""
        kind, _, name = key.partition("/")
        obj = self.objects[kind, name]
        for path, value in spec.items():
            at, words = obj["spec"], path.split("__")
            for word in words[:-1]:
                at = at.setdefault(word, {})
            at[words[-1]] = value
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1

    def set_image(self, image: str) -> None:
        template = self["Deployment/podinfo"]["spec"]["template"]
        template["spec"]["containers"][0]["image"] = image
        self["Deployment/podinfo"]["metadata"]["generation"] += 1

    def tick(self, times: int = 1) -> list[str]:
        """Events of the tick(s), in order; Warnings begin with "! "."""
        said: list[str] = []
        for _ in range(times):
            said += self.drive(advance(self.name, NS, self.settings))
            self.now += timedelta(seconds=30)
        return said

    def until(self, phase: str, limit: int = 300) -> list[str]:
        said: list[str] = []
        while self.phase != phase:
            said += self.tick()
            limit -= 1
            assert limit > 0, f"still {self.phase}: {said}"
        return said

    def initialized(self) -> World:
        self.until("Initialized")
        return self

    def released(self, image: str = "podinfo:2") -> World:
        """Up to the detection of a new image."""
        self.initialized().set_image(image)
        self.until("Progressing")
        return self

    # -- the interpreter

    def drive(self, rules: Rules[Any]) -> list[str]:
        self._settle()
        said: list[str] = []
        answer: Any = None
        error: Refused | None = None
        while True:
            try:
                effect = rules.throw(error) if error else rules.send(answer)
            except StopIteration:
                return said
            answer, error = None, None
            self.effects.append(effect)
            refusal = self.refuse(effect)
            if refusal:
                error = Refused(refusal)
                continue
            try:
                answer = self._perform(effect)
            except Refused as refused:
                error = refused
            if isinstance(effect, Emit):
                self.emitted.append(effect)
                said.append(("! " if effect.type == "Warning" else "") + effect.message)

    def _perform(self, effect: Any) -> Any:
        match effect:
            case Get(kind, name, _):
                return copy.deepcopy(self._find(kind, name))
            case Create(kind, obj):
                made = copy.deepcopy(obj)
                json.dumps(made)
                made["metadata"] |= {"generation": 1, "uid": f"uid-{kind}-{made['metadata']['name']}"}
                self.objects[kind, made["metadata"]["name"]] = made
                return made
            case Update(kind, obj):
                old, new = self._find(kind, obj["metadata"]["name"]), copy.deepcopy(obj)
                if old.get("spec") != new.get("spec"):
                    new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
                self.objects[kind, obj["metadata"]["name"]] = new
                return new
            case Patch(kind, name, _, body):
                obj = self._find(kind, name)
                if obj["spec"].get("replicas") != body["spec"]["replicas"]:
                    obj["spec"]["replicas"] = body["spec"]["replicas"]
                    obj["metadata"]["generation"] += 1
                return obj
            case WriteStatus(name, _, fields):
                obj = self._find("Canary", name)
                obj["status"] = with_fields(obj.get("status") or {}, fields, "Deployment", self.now)
                return copy.deepcopy(obj)
            case CallHook(_, hook, phase):
                self.called.append((hook["name"], phase))
                return self.hooks[hook["name"]]
            case Query(_, promql, name):
                self.queries.append(effect)
                return Value(1.0) if promql == "vector(1)" and name not in self.hooks else self.values[name]
            case Log(_, message):
                self.logs.append(message)
            case Alert(_, message, severity):
                self.alerts.append((severity, message))
            case Gauge(_, name, values):
                self.gauges.append((name, values))
            case Checked():
                self.checked.append(effect)
            case Now():
                return self.now
            case RandomLetters(length):
                self._randoms += 1
                return chr(96 + self._randoms) * length
            case Uuid():
                self._randoms += 1
                return f"id-{self._randoms}"
        return None

    def _find(self, kind: str, name: str) -> Obj:
        try:
            return self.objects[kind, name]
        except KeyError:
            text = PLURALS.get(kind, f'{kind.lower()}s "{{}}" not found').format(name)
            raise Refused(text, missing=True) from None

    def _settle(self) -> None:
        for (kind, name), obj in self.objects.items():
            if kind == "Deployment":
                replicas = 1 if obj["spec"].get("replicas") is None else obj["spec"]["replicas"]
                ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
                obj["status"] = {
                    "observedGeneration": obj["metadata"]["generation"],
                    **ready,
                    **self.stuck.get(name, {}),
                }


def unavailable(since: datetime, updated: int = 1) -> Obj:
    """The status of a Deployment whose new pod never gets ready."""
    stamp = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "updatedReplicas": updated,
        "availableReplicas": 0,
        "conditions": [
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "lastUpdateTime": stamp},
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "lastUpdateTime": stamp},
        ],
    }


DEADLINE = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
