"""The objects that Flagger makes beside a target: primary Deployment, three Services, two DestinationRules. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.routes import TOOLKIT, some
from canary_tutorial.flagger.spec import Canary, Settings, name_of

Obj = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})
ROLLOUT = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")
SCALING = ("minReplicas", "maxReplicas", "metrics", "behavior")


def copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def pod_spec(deployment: Obj) -> Obj:
    """The spec of a Deployment's pods."""
    found: Obj = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    return found


def replicas_of(deployment: Obj) -> int:
    """How many pods a Deployment asks for: 1 where it does not say."""
    replicas = (deployment.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def owner_reference(c: Canary) -> Obj:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": c.name,
        "uid": c.obj["metadata"].get("uid") or "",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owning_canary(obj: Obj) -> str | None:
    """The name of the Canary that controls the object, if one does."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == "Canary":
            return name_of(reference)
    return None


def selector_label(c: Canary, target: Obj, allowed: Sequence[str]) -> tuple[str, str]:
    """The label that tells primary from canary, and its value; refused if the target selects by none of `allowed`."""
    labels = (target["spec"].get("selector") or {}).get("matchLabels") or {}
    for label in allowed:
        if labels.get(label) is not None:
            return label, str(labels[label])
    raise Refused(
        f"getSelectorLabel failed: deployment {c.target}.{c.namespace} spec.selector.matchLabels must contain one of "
        f"[{' '.join(allowed)}]"
    )


def included(values: Obj | None, prefixes: Sequence[str]) -> Obj:
    """Labels or annotations that a primary inherits."""
    return {
        key: value
        for key, value in (values or {}).items()
        if "toolkit.fluxcd.io" not in key and any(p == "*" or key.startswith(p) for p in prefixes)
    }


# -- the primary


def new_primary(
    c: Canary, target: Obj, label: tuple[str, str], settings: Settings, flagger_id: str, configs: set[str]
) -> Obj:
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
            "labels": {**included(meta.get("labels"), settings.include_label_prefix), name: f"{value}-primary"},
            **some(annotations=annotations),
            "ownerReferences": [owner_reference(c)],
        },
        "spec": {
            **_rollout_settings(target),
            "replicas": int(target["spec"].get("replicas") or 0) or 1,
            "selector": {"matchLabels": {name: f"{value}-primary"}},
            "template": _primary_template(c, target, label, settings, flagger_id, configs),
        },
    }


def promoted_primary(
    c: Canary,
    primary: Obj,
    target: Obj,
    label: tuple[str, str],
    settings: Settings,
    flagger_id: str,
    configs: set[str],
) -> Obj:
    """The primary with the target's pods; a new flagger-id makes it roll even if nothing else changed.

    Its own labels and annotations are replaced by the target's with an included prefix: by default there are none.
    """
    spec = {k: v for k, v in primary["spec"].items() if k not in ROLLOUT} | _rollout_settings(target)
    if not c.spec.get("autoscalerRef"):
        spec["replicas"] = replicas_of(target)
    made = _primary_template(c, target, label, settings, flagger_id, configs)
    kept = ((primary["spec"].get("template") or {}).get("metadata") or {}) | made["metadata"]
    meta = {field: value for field, value in primary["metadata"].items() if field not in ("labels", "annotations")}
    own = {f: included(target["metadata"].get(f), settings.include_label_prefix) for f in ("labels", "annotations")}
    return {
        **primary,
        "metadata": meta | some(**own),
        "spec": {**spec, "template": {"metadata": kept, "spec": made["spec"]}},
    }


def _rollout_settings(target: Obj) -> Obj:
    return {field: copy(target["spec"][field]) for field in ROLLOUT if target["spec"].get(field) is not None}


def _primary_template(
    c: Canary, target: Obj, label: tuple[str, str], settings: Settings, flagger_id: str, configs: set[str]
) -> Obj:
    template = copy(target["spec"].get("template")) or {}
    meta = template.get("metadata") or {}
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if "toolkit.fluxcd.io" not in k}
    spec = template.get("spec") or {}
    rename_configs(spec, configs)
    _keep_apart(c, spec, settings.selector_labels)
    return {
        "metadata": {
            "labels": {**(meta.get("labels") or {}), label[0]: f"{label[1]}-primary"},
            "annotations": {**annotations, "flagger-id": flagger_id},
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


def config_copy(c: Canary, obj: Obj, prefixes: Sequence[str]) -> Obj:
    """`<name>-primary` of a ConfigMap or Secret."""
    meta = obj["metadata"]
    others = [{**ref, "controller": False} for ref in meta.get("ownerReferences") or []]
    made = {
        "apiVersion": "v1",
        "kind": obj["kind"],
        "metadata": {
            "name": f"{meta['name']}-primary",
            "namespace": meta["namespace"],
            **some(labels=included(meta.get("labels"), prefixes)),
            "ownerReferences": [*others, owner_reference(c)],
        },
    }
    fields = ("data", "type") if obj["kind"] == "Secret" else ("data",)
    return made | {field: obj[field] for field in fields if obj.get(field) is not None}


# -- Services and DestinationRules


def ports(c: Canary, target: Obj) -> list[Obj]:
    service = c.service
    port = int(service.get("port") or 0)
    main: Obj = {
        "name": service.get("portName") or "http",
        "protocol": "TCP",
        "port": port,
        "targetPort": port if service.get("targetPort") in (None, 0, "", "0") else service["targetPort"],
    }
    if service.get("appProtocol"):
        main["appProtocol"] = service["appProtocol"]
    found = [main]
    if service.get("portDiscovery"):
        found += _discovered(target, main["targetPort"])
    return found


def _discovered(target: Obj, main: int | str) -> list[Obj]:
    found = []
    for container in pod_spec(target).get("containers") or []:
        if name_of(container) in ("istio-proxy", "envoy"):
            continue
        for index, port in enumerate(container.get("ports") or []):
            number = int(port.get("containerPort") or 0)
            if main in (number, port.get("name")):
                continue
            name = port.get("name") or f"tcp-{name_of(container)}-{index}"
            found.append({"name": name, "protocol": "TCP", "port": number, "targetPort": number})
    return found


class Wanted(NamedTuple):
    """One of the three Services: its name, its role (apex, primary, canary), what it selects, its ports."""

    name: str
    role: str
    label: str
    selects: str
    ports: list[Obj]

    def metadata(self, c: Canary) -> dict[str, Obj]:
        """Labels and annotations: the Canary's for this role, and Flagger's own."""
        own = c.service.get(self.role) or NOTHING
        return {
            "labels": {**(own.get("labels") or NOTHING), self.label: self.name},
            "annotations": {**(own.get("annotations") or NOTHING), **TOOLKIT},
        }


def service(c: Canary, wanted: Wanted) -> Obj:
    """A Service as it is made the first time."""
    spec: Obj = {"type": "ClusterIP", "selector": {wanted.label: wanted.selects}, "ports": wanted.ports}
    if c.service.get("headless"):
        spec["clusterIP"] = "None"
    if c.service.get("trafficDistribution"):
        spec["trafficDistribution"] = c.service["trafficDistribution"]
    meta = {
        "name": wanted.name,
        "namespace": c.namespace,
        **wanted.metadata(c),
        "ownerReferences": [owner_reference(c)],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def reconciled_service(c: Canary, current: Obj, wanted: Wanted) -> Obj | None:
    """The Service put right, or None. Labels and annotations are only managed on Services that this Canary owns."""
    spec, meta = current["spec"], current["metadata"]
    present = spec.get("ports") or []
    given = {port.get("name"): port["nodePort"] for port in present if port.get("nodePort")}
    ports = [{**port, "nodePort": given[port["name"]]} if port["name"] in given else port for port in wanted.ports]
    selector = {wanted.label: wanted.selects}
    changed: Obj = {}
    if selector != spec.get("selector") or (ports != present and _by_number(ports) != _by_number(present)):
        changed["spec"] = {**spec, "ports": ports, "selector": selector}
    managed: Obj = {}
    if owning_canary(current) == c.name:
        for field, values in wanted.metadata(c).items():
            have = meta.get(field) or NOTHING
            values = _with_unmanaged(c, have, values, field)
            if values != have:
                managed[field] = values
    if not (changed or managed):
        return None
    annotations = {**(managed.get("annotations") or meta.get("annotations") or NOTHING), **TOOLKIT}
    return {**current, **changed, "metadata": {**meta, **managed, "annotations": annotations}}


def _with_unmanaged(c: Canary, have: Mapping[str, Any], wanted: Obj, field: str) -> Obj:
    """The wanted labels or annotations, and those of the present ones that the Canary calls unmanaged."""
    unmanaged = c.service.get("unmanagedMetadata")
    if not unmanaged:
        return wanted
    return {**wanted, **{key: have[key] for key in unmanaged.get(field) or [] if key in have}}


def _by_number(listed: list[Obj] | None) -> list[tuple[Any, ...]]:
    return sorted(
        (
            int(port["port"]),
            port.get("name") or "",
            port.get("protocol") or "TCP",
            str(port.get("targetPort")),
            port.get("appProtocol") or "",
            port.get("nodePort") or 0,
        )
        for port in listed or []
    )


def destinationrule_spec(c: Canary, host: str) -> Obj:
    policy = c.service.get("trafficPolicy")
    return {"host": host, "trafficPolicy": policy} if policy else {"host": host}


def destinationrule(c: Canary, host: str, spec: Obj) -> Obj:
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "DestinationRule",
        "metadata": {"name": host, "namespace": c.namespace, "ownerReferences": [owner_reference(c)]},
        "spec": spec,
    }


# -- autoscalers


def primary_autoscaler(c: Canary, autoscaler: Obj) -> Obj:
    limits = c.spec["autoscalerRef"].get("primaryScalerReplicas") or {}
    spec = {field: autoscaler["spec"][field] for field in SCALING if autoscaler["spec"].get(field) is not None}
    spec |= {field: int(limits[field]) for field in ("minReplicas", "maxReplicas") if limits.get(field) is not None}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": f"{autoscaler['metadata']['name']}-primary",
            "namespace": c.namespace,
            **some(labels=dict(autoscaler["metadata"].get("labels") or {})),
            "ownerReferences": [owner_reference(c)],
        },
        "spec": {"scaleTargetRef": {**autoscaler["spec"]["scaleTargetRef"], "name": c.primary}, **spec},
    }


def autoscaler_differs(target: Obj, primary: Obj, wanted: Obj) -> bool:
    """Whether the primary's autoscaler is written again: for labels and annotations too, which then stay as they are."""
    if any(primary["spec"].get(field) != wanted["spec"].get(field) for field in ("metrics", "behavior", "maxReplicas")):
        return True
    if (primary["spec"].get("minReplicas") or 1) != (wanted["spec"].get("minReplicas") or 1):
        return True
    return any(
        (target["metadata"].get(f) or {}) != (primary["metadata"].get(f) or {}) for f in ("labels", "annotations")
    )


def replicas_from_zero(c: Canary, target: Obj, primary: Obj | None, autoscaler: Obj | None) -> int:
    """How many pods a target gets when it leaves zero."""
    own = int(target["spec"].get("replicas") or 0)
    if own > 0:
        return own
    if c.spec.get("autoscalerRef"):
        return max(1, int(((autoscaler or {}).get("spec") or {}).get("minReplicas") or 1))
    return int(((primary or {}).get("spec") or {}).get("replicas") or 0) or 1
