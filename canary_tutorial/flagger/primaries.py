"""The primary Deployment: its first version, created from the target, and its promoted one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from canary_tutorial.flagger import config_sources, owned
from canary_tutorial.flagger.effects import Obj
from canary_tutorial.flagger.spec import Canary, Settings

ROLLOUT = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")


def new_primary(c: Canary, target: Obj, label: tuple[str, str], settings: Settings, template: Obj) -> Obj:
    """`<target>-primary`, as it is made the first time."""
    name, value = label
    meta = target["metadata"]
    labels = {**owned.included(meta.get("labels"), settings.include_label_prefix), name: f"{value}-primary"}
    spec = {
        **_rollout_settings(target),
        "replicas": int(target["spec"].get("replicas") or 0) or 1,
        "selector": {"matchLabels": {name: f"{value}-primary"}},
        "template": template,
    }
    own = {"labels": labels, "annotations": _annotations(meta)}
    return owned.new(c, "apps/v1", "Deployment", c.primary, own, spec=spec)


def promoted_primary(
    c: Canary, primary: Obj, target: Obj, label: tuple[str, str], settings: Settings, template: Obj
) -> Obj:
    """The primary with the target's pods.

    Its labels and annotations are replaced by the target's with an included prefix, and by its own selector label.
    """
    spec = {k: v for k, v in primary["spec"].items() if k not in ROLLOUT} | _rollout_settings(target)
    if not c.spec.get("autoscalerRef"):
        spec["replicas"] = owned.replicas_of(target)
    kept = ((primary["spec"].get("template") or {}).get("metadata") or {}) | template["metadata"]
    meta = {field: value for field, value in primary["metadata"].items() if field not in ("labels", "annotations")}
    prefixes = settings.include_label_prefix
    own = {field: owned.included(target["metadata"].get(field), prefixes) for field in ("labels", "annotations")}
    own["labels"][label[0]] = f"{label[1]}-primary"
    spec["template"] = {"metadata": kept, "spec": template["spec"]}
    return {**primary, "metadata": meta | owned.some(own), "spec": spec}


def _rollout_settings(target: Obj) -> Obj:
    return {field: deepcopy(target["spec"][field]) for field in ROLLOUT if target["spec"].get(field) is not None}


def _annotations(meta: Obj) -> Obj:
    return {k: v for k, v in (meta.get("annotations") or {}).items() if "toolkit.fluxcd.io" not in k}


def primary_template(
    c: Canary, target: Obj, label: tuple[str, str], settings: Settings, flagger_id: str, configs: set[str]
) -> Obj:
    """The target's pods as the primary's; a new flagger-id makes them roll even if nothing else changed."""
    template = deepcopy(target["spec"].get("template")) or {}
    meta = template.get("metadata") or {}
    spec = template.get("spec") or {}
    config_sources.rename_configs(spec, configs)
    _keep_apart(c, spec, settings.selector_labels)
    return {
        "metadata": {
            "labels": {**(meta.get("labels") or {}), label[0]: f"{label[1]}-primary"},
            "annotations": {**_annotations(meta), "flagger-id": flagger_id},
        },
        "spec": spec,
    }


def _keep_apart(c: Canary, spec: Obj, selectors: Sequence[str]) -> None:
    """Anti-affinity and spread rules that mean the target's own pods, by any selector label, mean the primary's."""
    anti = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    preferred = anti.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    terms = [weighted.get("podAffinityTerm") or {} for weighted in preferred]
    terms += anti.get("requiredDuringSchedulingIgnoredDuringExecution") or []
    terms += spec.get("topologySpreadConstraints") or []
    for term in terms:
        selector = term.get("labelSelector") or {}
        labels = selector.get("matchLabels") or {}
        for label in selectors:
            if labels.get(label) == c.target:
                labels[label] = f"{c.target}-primary"
        for expression in selector.get("matchExpressions") or []:
            if expression.get("key") in selectors:
                values = expression.get("values") or []
                expression["values"] = [f"{v}-primary" if v == c.target else v for v in values]
