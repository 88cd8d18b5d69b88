"""Null, an empty list and a missing field mean the same to Flagger, in every field of every object that it reads."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flagger_world import METRICS, NS, World, canary, podinfo

from canary_tutorial.flagger.status import revision_hash

Obj = dict[str, Any]
LABELS = {"labels": {"l": "m"}, "annotations": {"a": "b"}}
SERVICE = {
    "portName": "http",
    "targetPort": 9898,
    "portDiscovery": True,
    "gateways": ["mesh"],
    "hosts": ["podinfo.example"],
    "match": [{"uri": {"prefix": "/"}, "headers": {"x": {"exact": "y"}}}],
    "retries": {"attempts": 3},
    "rewrite": {"uri": "/"},
    "headers": {"request": {"add": {"x": "y"}}},
    "corsPolicy": {"allowOrigins": [{"exact": "a"}]},
    "trafficPolicy": {"tls": {"mode": "DISABLE"}},
    "primary": LABELS,
    "canary": LABELS,
    "unmanagedMetadata": {"labels": ["x"], "annotations": ["y"]},
}
ANALYSIS = {
    "mirror": True,
    "mirrorWeight": 50,
    "primaryReadyThreshold": 90,
    "canaryReadyThreshold": 90,
    "stepWeightPromotion": 50,
    "metrics": [
        *METRICS,
        {
            "name": "inline",
            "query": "{{ variables.v }}",
            "templateVariables": {"v": "up"},
            "thresholdRange": {"max": 1000},
        },
        {
            "name": "own",
            "templateRef": {"name": "errors", "namespace": NS},
            "interval": "1m",
            "thresholdRange": {"max": 1000},
        },
    ],
    "webhooks": [
        {"name": "h", "type": "pre-rollout", "url": "http://h/", "timeout": "5s", "metadata": {"a": "b"}, "retries": 1}
    ],
    "alerts": [{"name": "a", "severity": "info", "providerRef": {"name": "chat"}}],
    "sessionAffinity": {"cookieName": "c", "primaryCookieName": "p", "maxAge": 5},
}
CANARY = canary(
    ANALYSIS, SERVICE, autoscalerRef=None, provider="istio", metricsServer="http://p:9090", skipAnalysis=False
)
AB = canary({"iterations": 2, "match": [{"headers": {"u": {"exact": "i"}}, "sourceLabels": {"a": "b"}}]}, SERVICE)
PODS = podinfo(minReadySeconds=1, revisionHistoryLimit=3, progressDeadlineSeconds=60)
PODS["spec"]["template"]["spec"] |= {
    "volumes": [
        {"name": "v", "configMap": {"name": "c"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}},
    ],
    "initContainers": [{"name": "i", "env": [{"name": "e", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"app": "podinfo"}}}]
        }
    },
}
PODS["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "c", "optional": False}}]
OTHERS: list[Obj] = [
    {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": NS}, "data": {"k": "v"}},
    {"kind": "Secret", "metadata": {"name": "s", "namespace": NS}, "data": {"k": "dg=="}, "type": "Opaque"},
    {
        "kind": "MetricTemplate",
        "metadata": {"name": "errors", "namespace": NS},
        "spec": {
            "provider": {"type": "prometheus", "address": "http://p:9090", "headers": {"h": ["v"]}},
            "query": "x{{ name }}",
        },
    },
]
# What tells apart in Flagger itself: an empty object of these is one that is there.
PRESENT = ("apex", "thresholdRange", "rewrite", "retries", "corsPolicy", "headers", "request", "response")
REQUIRED = (  # an API server sees to these
    ("spec",),
    ("spec", "template"),
    ("spec", "template", "spec"),
    ("spec", "template", "spec", "containers"),
    ("spec", "analysis", "webhooks", 0, "name"),
)
MAPS = (
    "labels",
    "annotations",
    "matchLabels",
    "data",
    "metadata",
    "templateVariables",
    "headers",
    "sourceLabels",
    "add",
)


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field, however deep; not the keys of maps, which are users' own."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        is_field = isinstance(value, dict) and not (path and path[-1] in MAPS and path[-2:] != ("template", "metadata"))
        known = (*path, key) in REQUIRED or key in ("apiVersion", "kind", "metadata", "status")
        if is_field and not known:
            yield (*path, key)
        yield from fields(each, (*path, key))


def changed(obj: Obj, path: tuple[Any, ...], value: Any) -> Obj:
    made = copy.deepcopy(obj)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


def story(*objects: Obj) -> str:
    """What Flagger says and makes of these objects in a release, up to its first steps."""
    world = World(*copy.deepcopy(objects))
    world.values |= dict.fromkeys(("inline", "own", ""), world.values["request-duration"])
    said = world.tick(2)
    if ("Deployment", "podinfo") in world.objects and world.phase == "Initialized":
        world.set_image("podinfo:2")
    said += world.tick(8)
    given = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    made = {str(key): obj for key, obj in world.objects.items() if key not in given}
    return json.dumps([said, world.status, made], sort_keys=True, default=str)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: w for k, each in value.items() if (w := without_nulls(each)) not in (None, [], {})}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


CASES = {
    "canary": [(CANARY, PODS)],
    "a-b": [(AB, podinfo())],
    "deployment": [(PODS, CANARY)],
    "others": [(obj, CANARY, PODS) for obj in OTHERS],
}


@pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
def test_null_empty_and_absent_are_the_same(cases: list[tuple[Obj, ...]]):
    for obj, *more in cases:
        beside = [each for each in [*more, *OTHERS] if each["kind"] != obj["kind"]]
        for path in fields(obj):
            at: Any = obj
            for step in path:
                at = at[step]
            absent = without_nulls(json.loads(story(changed(obj, path, ...), *beside)))
            empties = [
                None,
                *([type(at)()] if isinstance(at, list) or (isinstance(at, dict) and path[-1] not in PRESENT) else []),
            ]
            for empty in empties:
                seen = without_nulls(json.loads(story(changed(obj, path, empty), *beside)))
                assert seen == absent, (path, empty)


def test_a_template_in_which_nothing_more_is_said_is_no_new_revision():
    template = podinfo()["spec"]["template"]
    wordy = copy.deepcopy(template)
    wordy["metadata"] |= {"creationTimestamp": None, "annotations": {}}
    wordy["spec"] |= {"volumes": [], "securityContext": {}, "initContainers": None}
    wordy["spec"]["containers"][0] |= {"resources": {"limits": None}, "env": []}
    assert revision_hash(wordy) == revision_hash(template)
    wordy["spec"]["containers"][0]["env"] = [{"name": "x"}]
    assert revision_hash(wordy) != revision_hash(template)
