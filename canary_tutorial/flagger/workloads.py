"""The objects that Flagger makes beside a target: primary Deployment, three Services, two DestinationRules. Pure."""

from __future__ import annotations

import json
from typing import Any

from canary_tutorial.flagger.routes import TOOLKIT
from canary_tutorial.flagger.spec import Canary

Obj = dict[str, Any]


def copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def owner_reference(c: Canary) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": c.name,
        "uid": c.obj["metadata"].get("uid", ""),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned(c: Canary, obj: Obj) -> bool:
    uid = c.obj["metadata"].get("uid")
    return any(ref.get("controller") and ref.get("uid") == uid for ref in obj["metadata"].get("ownerReferences") or [])


def selector_label(c: Canary, target: Obj, allowed: list[str]) -> tuple[str, str]:
    """The label that tells primary from canary, and its value; raises ValueError if the target has none."""
    labels = (target["spec"].get("selector") or {}).get("matchLabels") or {}
    for label in allowed:
        if label in labels:
            return label, str(labels[label])
    raise ValueError(
        f"getSelectorLabel failed: deployment {c.target}.{c.namespace} spec.selector.matchLabels must contain one of "
        f"[{' '.join(allowed)}]"
    )


def included(values: Obj | None, prefixes: list[str]) -> Obj:
    """Labels or annotations that a primary inherits."""
    return {
        key: value
        for key, value in (values or {}).items()
        if "toolkit.fluxcd.io" not in key and any(p == "*" or key.startswith(p) for p in prefixes)
    }


# -- the primary


def new_primary(c: Canary, target: Obj, label: tuple[str, str], prefixes: list[str], flagger_id: str, configs: set[str]) -> Obj:
    """`<target>-primary`, as it is made the first time."""
    name, value = label
    meta = target["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if "toolkit.fluxcd.io" not in k}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": c.primary,
            "namespace": c.namespace,
            "labels": {**included(meta.get("labels"), prefixes), name: f"{value}-primary"},
            "annotations": annotations,
            "ownerReferences": [owner_reference(c)],
        },
        "spec": {
            **_rollout_settings(target),
            "replicas": int(target["spec"].get("replicas") or 0) or 1,
            "selector": {"matchLabels": {name: f"{value}-primary"}},
            "template": _primary_template(c, target, label, flagger_id, configs),
        },
    }


def promoted_primary(
    c: Canary, primary: Obj, target: Obj, label: tuple[str, str], prefixes: list[str], flagger_id: str, configs: set[str]
) -> Obj:
    """The primary with the target's pods; a new flagger-id makes it roll even if nothing else changed."""
    updated = copy(primary)
    name, value = label
    updated["spec"].update(_rollout_settings(target))
    if not c.spec.get("autoscalerRef"):
        updated["spec"]["replicas"] = target["spec"].get("replicas")
    updated["spec"]["template"] = _primary_template(c, target, label, flagger_id, configs)
    meta = target["metadata"]
    updated["metadata"]["annotations"] = included(meta.get("annotations"), prefixes)
    updated["metadata"]["labels"] = {**included(meta.get("labels"), prefixes), name: f"{value}-primary"}
    return updated  # type: ignore[no-any-return]


def _rollout_settings(target: Obj) -> Obj:
    fields = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")
    return {field: copy(target["spec"][field]) for field in fields if field in target["spec"]}


def _primary_template(c: Canary, target: Obj, label: tuple[str, str], flagger_id: str, configs: set[str]) -> Obj:
    template = copy(target["spec"]["template"])
    meta = template.get("metadata") or {}
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if "toolkit.fluxcd.io" not in k}
    spec = template["spec"]
    rename_configs(spec, configs)
    _keep_apart(c, spec, label)
    return {
        "metadata": {
            "labels": {**(meta.get("labels") or {}), label[0]: f"{label[1]}-primary"},
            "annotations": {**annotations, "flagger-id": flagger_id},
        },
        "spec": spec,
    }


def _keep_apart(c: Canary, spec: Obj, label: tuple[str, str]) -> None:
    """Anti-affinity and spread rules that mean the target's own pods mean the primary's in the primary."""
    anti = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    preferred = anti.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    terms = [weighted.get("podAffinityTerm") or {} for weighted in preferred]
    terms += anti.get("requiredDuringSchedulingIgnoredDuringExecution") or []
    terms += spec.get("topologySpreadConstraints") or []
    for term in terms:
        selector = term.get("labelSelector") or {}
        labels = selector.get("matchLabels") or {}
        if labels.get(label[0]) == c.target:
            labels[label[0]] = f"{c.target}-primary"
        for expression in selector.get("matchExpressions") or []:
            if expression.get("key") == label[0]:
                values = expression.get("values") or []
                expression["values"] = [f"{v}-primary" if v == c.target else v for v in values]


# -- ConfigMaps and Secrets


def config_references(spec: Obj) -> dict[str, bool]:
    """`configmap/<name>` and `secret/<name>` that a pod spec names -> whether it may be missing."""
    found: dict[str, bool] = {}

    def add(kind: str, source: Obj | None, key: str = "name") -> None:
        if source and source.get(key):
            reference = f"{kind}/{source[key]}"
            found[reference] = found.get(reference, True) and bool(source.get("optional"))

    for volume in spec.get("volumes") or []:
        add("configmap", volume.get("configMap"))
        add("secret", volume.get("secret"), "secretName")
        for source in (volume.get("projected") or {}).get("sources") or []:
            add("configmap", source.get("configMap"))
            add("secret", source.get("secret"))
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for entry in container.get("env") or []:
            add("configmap", (entry.get("valueFrom") or {}).get("configMapKeyRef"))
            add("secret", (entry.get("valueFrom") or {}).get("secretKeyRef"))
        for entry in container.get("envFrom") or []:
            add("configmap", entry.get("configMapRef"))
            add("secret", entry.get("secretRef"))
    return found


def rename_configs(spec: Obj, configs: set[str]) -> None:
    """Let a pod spec name the primary's copies of the tracked ones."""

    def rename(kind: str, source: Obj | None, key: str = "name") -> None:
        if source and f"{kind}/{source.get(key)}" in configs:
            source[key] += "-primary"

    for volume in spec.get("volumes") or []:
        rename("configmap", volume.get("configMap"))
        rename("secret", volume.get("secret"), "secretName")
        for source in (volume.get("projected") or {}).get("sources") or []:
            rename("configmap", source.get("configMap"))
            rename("secret", source.get("secret"))
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for entry in container.get("env") or []:
            rename("configmap", (entry.get("valueFrom") or {}).get("configMapKeyRef"))
            rename("secret", (entry.get("valueFrom") or {}).get("secretKeyRef"))
        for entry in container.get("envFrom") or []:
            rename("configmap", entry.get("configMapRef"))
            rename("secret", entry.get("secretRef"))


def config_copy(c: Canary, obj: Obj, prefixes: list[str]) -> Obj:
    """`<name>-primary` of a ConfigMap or Secret."""
    meta = obj["metadata"]
    others = [{**ref, "controller": False} for ref in meta.get("ownerReferences") or []]
    made = {
        "apiVersion": "v1",
        "kind": obj["kind"],
        "metadata": {
            "name": f"{meta['name']}-primary",
            "namespace": meta["namespace"],
            "labels": included(meta.get("labels"), prefixes),
            "ownerReferences": [*others, owner_reference(c)],
        },
        "data": copy(obj.get("data") or {}),
    }
    return made | ({"type": obj["type"]} if obj["kind"] == "Secret" and obj.get("type") else {})


# -- Services and DestinationRules


def ports(c: Canary, target: Obj) -> list[Obj]:
    service = c.service
    port = int(service["port"])
    main: Obj = {
        "name": service.get("portName") or "http",
        "protocol": "TCP",
        "port": port,
        "targetPort": service.get("targetPort") or port,
    }
    if service.get("appProtocol"):
        main["appProtocol"] = service["appProtocol"]
    found = [main]
    if service.get("portDiscovery"):
        found += _discovered(target, main["targetPort"])
    return found


def _discovered(target: Obj, main: int | str) -> list[Obj]:
    found = []
    for container in target["spec"]["template"]["spec"].get("containers") or []:
        if container["name"] in ("istio-proxy", "envoy"):
            continue
        for index, port in enumerate(container.get("ports") or []):
            number = int(port["containerPort"])
            if main in (number, port.get("name")):
                continue
            name = port.get("name") or f"tcp-{container['name']}-{index}"
            found.append({"name": name, "protocol": "TCP", "port": number, "targetPort": number})
    return found


def service(c: Canary, name: str, label: str, selects: str, metadata: Obj | None, wanted_ports: list[Obj]) -> Obj:
    """One of the three Services, as it is made the first time."""
    metadata = metadata or {}
    spec: Obj = {"type": "ClusterIP", "selector": {label: selects}, "ports": wanted_ports}
    if c.service.get("headless"):
        spec["clusterIP"] = "None"
    if c.service.get("trafficDistribution"):
        spec["trafficDistribution"] = c.service["trafficDistribution"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": c.namespace,
            "labels": {**(metadata.get("labels") or {}), label: name},
            "annotations": {**(metadata.get("annotations") or {}), **TOOLKIT},
            "ownerReferences": [owner_reference(c)],
        },
        "spec": spec,
    }


def reconciled_service(c: Canary, current: Obj, wanted: Obj) -> Obj | None:
    """The Service put right, or None. Metadata is only managed on Services that this Canary owns."""
    spec = current["spec"]
    ports_differ = _by_number(spec.get("ports")) != _by_number(wanted["spec"]["ports"])
    selector_differs = (spec.get("selector") or {}) != wanted["spec"]["selector"]
    updated = copy(current)
    meta_differs = False
    if is_owned(c, current):
        unmanaged = c.service.get("unmanagedMetadata") or {}
        for field in ("labels", "annotations"):
            free = set(unmanaged.get(field) or [])
            have = current["metadata"].get(field) or {}
            kept = {key: have[key] for key in free if key in have}
            new = {**{k: v for k, v in wanted["metadata"][field].items() if k not in free}, **kept}
            if new != have:
                updated["metadata"][field] = new
                meta_differs = True
    elif ports_differ or selector_differs:
        updated["metadata"]["annotations"] = {**(updated["metadata"].get("annotations") or {}), **TOOLKIT}
    if not (ports_differ or selector_differs or meta_differs):
        return None
    if ports_differ:
        given = {int(port["port"]): port.get("nodePort") for port in spec.get("ports") or []}
        updated["spec"]["ports"] = [
            {**port, "nodePort": given[port["port"]]} if given.get(port["port"]) else port
            for port in wanted["spec"]["ports"]
        ]
    updated["spec"]["selector"] = wanted["spec"]["selector"]
    return updated  # type: ignore[no-any-return]


def _by_number(listed: list[Obj] | None) -> list[tuple[Any, ...]]:
    fields = ("port", "name", "protocol", "targetPort", "appProtocol")
    rows = [tuple(str(port.get(field) or "") for field in fields) for port in listed or []]
    return sorted(rows, key=lambda row: int(row[0]))


def destinationrule(c: Canary, host: str) -> Obj:
    spec: Obj = {"host": host}
    if c.service.get("trafficPolicy"):
        spec["trafficPolicy"] = copy(c.service["trafficPolicy"])
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "DestinationRule",
        "metadata": {"name": host, "namespace": c.namespace, "ownerReferences": [owner_reference(c)]},
        "spec": spec,
    }


# -- autoscalers


def primary_autoscaler(c: Canary, autoscaler: Obj) -> Obj:
    spec = copy(autoscaler["spec"])
    spec["scaleTargetRef"]["name"] = c.primary
    limits = (c.spec["autoscalerRef"].get("primaryScalerReplicas")) or {}
    spec.update({field: limits[field] for field in ("minReplicas", "maxReplicas") if limits.get(field) is not None})
    fields = ("scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior")
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": f"{autoscaler['metadata']['name']}-primary",
            "namespace": c.namespace,
            "labels": copy(autoscaler["metadata"].get("labels") or {}),
            "ownerReferences": [owner_reference(c)],
        },
        "spec": {field: spec[field] for field in fields if field in spec},
    }


def replicas_from_zero(c: Canary, target: Obj, primary: Obj | None, autoscaler: Obj | None) -> int:
    """How many pods a target gets when it leaves zero."""
    own = int(target["spec"].get("replicas") or 0)
    if own > 0:
        return own
    if c.spec.get("autoscalerRef"):
        least = int(((autoscaler or {}).get("spec") or {}).get("minReplicas") or 1)
        return max(1, least)
    return int(((primary or {}).get("spec") or {}).get("replicas") or 0) or 1
