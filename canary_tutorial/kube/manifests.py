"""Reads the YAML files below `manifests/`, and changes a lesson's settings in them before they are applied.

The files have the webinar's values (an interval of 30s), so `kubectl apply -f` does the same as the notebook, only slower.
A lesson that needs shorter intervals names its settings, and every change is listed as `path: old → new`.
I/O: reading files.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from canary_tutorial.errors import BadInput
from canary_tutorial.kube.objects import Obj
from canary_tutorial.shipped import folder

# What a notebook calls a setting, and where it is written: kind, then the path of its field ("*" = each item).
SETTINGS = {
    "interval": ("Canary", "spec.analysis.interval"),
    "threshold": ("Canary", "spec.analysis.threshold"),
    "step_weight": ("Canary", "spec.analysis.stepWeight"),
    "max_weight": ("Canary", "spec.analysis.maxWeight"),
    "mirror": ("Canary", "spec.analysis.mirror"),
    "window": ("Canary", "spec.analysis.metrics.*.interval"),
    "progress_deadline_seconds": ("Canary", "spec.progressDeadlineSeconds"),
    "min_ready_seconds": ("Deployment", "spec.minReadySeconds"),
    "replicas": ("Deployment", "spec.replicas"),
}


# A manifest that not every cluster can run says so: which label a node must have, and what installs the same elsewhere.
NEEDS = "canary-tutorial.dev/needs-node-label"
ELSEWHERE = "canary-tutorial.dev/elsewhere"
NAMESPACE = "test"  # the namespace that the manifests name


def home() -> Path:
    """Where the tutorial's own manifests are."""
    return folder("manifests")


def find(name: str | Path) -> Path:
    """A manifest by path, or by its name in this repository's `manifests/`. Raises BadInput if it is in neither."""
    for path in (Path(name), home() / name):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.name for path in home().glob("*.yaml")))
    raise BadInput(f"there is no manifest {name}", f"Those that come with the tutorial: {known}.")


def read(path: Path) -> list[Obj]:
    """The objects of one YAML file, in its order. Raises BadInput where it is not YAML or not Kubernetes."""
    import yaml

    try:
        objects = [obj for obj in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if obj]  # ten times as quick
    except yaml.YAMLError as exc:
        raise BadInput(f"{path} is not valid YAML: {exc}") from exc
    for obj in objects:
        if not isinstance(obj, dict) or not obj.get("kind") or not obj.get("apiVersion"):
            raise BadInput(f"{path} has a document that is not a Kubernetes object: kind or apiVersion is missing.")
    return objects


def needs(objects: list[Obj]) -> tuple[str, str]:
    """(node label, command that installs the same elsewhere) of a file, or ("", "") where any cluster can run it."""
    for obj in objects:
        annotations = obj["metadata"].get("annotations") or {}
        if NEEDS in annotations:
            return str(annotations[NEEDS]), str(annotations.get(ELSEWHERE, ""))
    return "", ""


def placed(objects: list[Obj], namespace: str) -> list[Obj]:
    """The tutorial's objects with `namespace` instead of `test`: in their metadata, and in the addresses
    (`podinfo.test:9898`, `http://gates.test/`) by which they find each other."""
    if namespace == NAMESPACE:
        return copy.deepcopy(objects)
    return [_placed(obj, namespace) for obj in objects]


def _placed(obj: Obj, namespace: str) -> Obj:
    obj = _with_addresses(obj, namespace)
    metadata = obj["metadata"]
    if metadata.get("namespace") == NAMESPACE:
        metadata["namespace"] = namespace
    if obj["kind"] == "Namespace" and metadata["name"] == NAMESPACE:
        metadata["name"] = namespace
    return obj


def _with_addresses(node: Any, namespace: str) -> Any:
    if isinstance(node, dict):
        return {key: _with_addresses(value, namespace) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_addresses(value, namespace) for value in node]
    if isinstance(node, str):
        return re.sub(rf"(?<=://)([a-z0-9-]+)\.{NAMESPACE}(?=[:/.]|$)", rf"\1.{namespace}", node)
    return node


def with_settings(objects: list[Obj], settings: Mapping[str, Any]) -> tuple[list[Obj], list[str]]:
    """Copies of `objects` with `settings` (names of SETTINGS) written in, and what that changed, as lines of text.

    A setting of None is left alone. One that no object of the file has a place for is a mistake: BadInput.
    """
    objects, lines = copy.deepcopy(objects), []
    for name, value in settings.items():
        if value is None:
            continue
        if name not in SETTINGS:
            raise BadInput(f"there is no setting {name}", f"Those that there are: {', '.join(SETTINGS)}.")
        kind, path = SETTINGS[name]
        hit = False
        for obj in (obj for obj in objects if obj["kind"] == kind):
            for place, key in _places(obj, path.split(".")):
                hit = True
                if place.get(key) != value:
                    lines.append(f"{obj['metadata']['name']} {path}: {place.get(key, 'unset')} → {value}")
                    place[key] = value
        if not hit:
            raise BadInput(f"{name} sets {path} of a {kind}, and this file holds none")
    return objects, list(dict.fromkeys(lines))


def _places(node: Any, path: list[str]) -> Iterator[tuple[Obj, str]]:
    """(dict, key) of each place that `path` leads to. The last key need not be there; those before it must."""
    if len(path) == 1:
        if isinstance(node, dict):
            yield node, path[0]
    elif path[0] == "*":
        for item in node if isinstance(node, list) else []:
            yield from _places(item, path[1:])
    elif isinstance(node, dict) and path[0] in node:
        yield from _places(node[path[0]], path[1:])


def seconds(duration: str) -> float:
    """`"1m30s"` as 90.0: the durations that Flagger and Prometheus write. Raises BadInput."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise BadInput(f"{duration!r} is not a duration", 'Write it as "30s", "1m" or "1m30s".')
    return float(sum(float(number) * units[unit] for number, unit in parts))
