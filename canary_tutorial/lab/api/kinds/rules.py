"""What schemas cannot say: names, ports, selectors that match, fields that never change. Pure.

`check(kind, obj)` for an object on its own, `check_change(kind, old, new)` for what an update may not do; both return
all faults.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from canary_tutorial.lab import kinds, selectors
from canary_tutorial.lab.api.kinds import definitions, role_rules
from canary_tutorial.lab.api.kinds.formats import (
    DNS_LABEL,
    DNS_LABEL_1035,
    DNS_SUBDOMAIN,
    PATH_SEGMENT,
    PERCENT,
    PORT_HINT,
    SAID,
    duplicate,
    key_faults,
    label_faults,
    not_negative,
)  # fmt: skip
from canary_tutorial.lab.api.kinds.pod_rules import pod_spec
from canary_tutorial.lab.errors import ApiError, Cause
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj

MAX_DATA = 1024 * 1024  # bytes in one ConfigMap or Secret

NAMES = {
    kinds.NAMESPACES.key: (DNS_LABEL, 63),
    kinds.SERVICES.key: (DNS_LABEL_1035, 63),
    **dict.fromkeys(((kinds.RBAC, name) for name in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
                    (PATH_SEGMENT, 253)),
}  # fmt: skip


def check(kind: Kind, obj: Obj) -> list[Cause]:
    """All faults of an object with its defaults filled in."""
    causes = _metadata(kind, obj["metadata"])
    special = CHECKS.get(kind.key)
    try:
        return causes + (list(special(obj)) if special else [])
    except (AttributeError, TypeError, KeyError, IndexError) as exc:  # a null where a list or object belongs
        return [*causes, Cause.invalid("spec", "", f"cannot be read: {type(exc).__name__}: {exc}")]


def check_change(kind: Kind, old: Obj, new: Obj) -> list[Cause]:
    """Fields that an update may not touch."""
    causes = []
    for path in IMMUTABLE.get(kind.key, ()):
        before, after = _at(old, path), _at(new, path)
        if before != after and before is not None:
            causes.append(Cause.invalid(path, _shown(after), "field is immutable"))
    if kind.key == kinds.PODS.key and _frozen(old["spec"]) != _frozen(new["spec"]):
        causes.append(Cause.forbidden("spec", FROZEN))
    if old.get("immutable") and _without_metadata(old) != _without_metadata(new):
        causes.append(Cause.forbidden("data", "field is immutable when `immutable` is set"))
    return causes


FROZEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
IMMUTABLE = {
    kinds.DEPLOYMENTS.key: ("spec.selector",),
    kinds.REPLICASETS.key: ("spec.selector",),
    kinds.SERVICES.key: ("spec.clusterIP",),
    kinds.ROLEBINDINGS.key: ("roleRef",),
    kinds.CLUSTERROLEBINDINGS.key: ("roleRef",),
    kinds.SECRETS.key: ("type",),
    kinds.CRDS.key: ("spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"),
}


def _metadata(kind: Kind, meta: Obj) -> list[Cause]:
    causes = []
    name = meta.get("name", "")
    pattern, limit = NAMES.get(kind.key, (DNS_SUBDOMAIN, 253))
    if not name:
        return [Cause.required("metadata.name", "name or generateName is required")]
    if len(name) > limit:
        causes.append(Cause.invalid("metadata.name", name, f"must be no more than {limit} characters"))
    elif not pattern.fullmatch(name):
        causes.append(Cause.invalid("metadata.name", name, SAID[pattern]))
    return (
        causes + label_faults(meta.get("labels") or {}, "metadata.labels") + _annotations(meta.get("annotations") or {})
    )


def _annotations(annotations: Obj) -> list[Cause]:
    size = sum(len(key) + len(value) for key, value in annotations.items())
    if size > 256 * 1024:
        return [Cause("metadata.annotations", "FieldValueTooLong", "Too long: may not be more than 262144 bytes")]
    return []


def _workload(obj: Obj) -> Iterable[Cause]:
    spec = obj["spec"]
    if spec.get("replicas", 0) < 0:
        yield not_negative("spec.replicas", spec["replicas"])
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield Cause.invalid("spec.selector", selector or "", "empty selector is invalid for deployment")
    else:
        yield from label_faults(selector.get("matchLabels") or {}, "spec.selector.matchLabels")
        try:
            if not selectors.label_selector(selector)(labels):
                hint = "`selector` does not match template `labels`"
                yield Cause("spec.template.metadata.labels", "FieldValueInvalid",
                            f"Invalid value: {_go_map(labels)}: {hint}")  # fmt: skip
        except ApiError as error:
            yield Cause.invalid("spec.selector.matchExpressions", "", error.message)
    yield from label_faults(labels, "spec.template.labels")
    pod = template.get("spec") or {}
    yield from pod_spec(pod, "spec.template.spec")
    if pod.get("restartPolicy", "Always") in ("OnFailure", "Never"):
        yield Cause.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ["Always"])


def _deployment(obj: Obj) -> Iterable[Cause]:
    yield from _workload(obj)
    spec = obj["spec"]
    strategy = spec["strategy"]
    if strategy["type"] not in ("Recreate", "RollingUpdate"):
        yield Cause.unsupported("spec.strategy.type", strategy["type"], ["Recreate", "RollingUpdate"])
    rolling = strategy.get("rollingUpdate") or {}
    if strategy["type"] == "Recreate" and rolling:
        yield Cause.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    for name in ("maxSurge", "maxUnavailable"):
        value = rolling.get(name, 1)
        path = f"spec.strategy.rollingUpdate.{name}"
        if isinstance(value, str) and not PERCENT.fullmatch(value):
            yield Cause.invalid(path, value, SAID[PERCENT])
        elif isinstance(value, int) and value < 0:
            yield not_negative(path, value)
    if {str(rolling.get("maxSurge", 1)).rstrip("%"), str(rolling.get("maxUnavailable", 1)).rstrip("%")} == {"0"}:
        yield Cause.invalid("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"],
                            "may not be 0 when `maxSurge` is 0")  # fmt: skip
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        yield Cause.invalid("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"],
                            "must be greater than minReadySeconds")  # fmt: skip


def _service(obj: Obj) -> Iterable[Cause]:
    spec = obj["spec"]
    types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec["type"] not in types:
        yield Cause.unsupported("spec.type", spec["type"], types)
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        yield Cause.required("spec.ports")
    names: set[str] = set()
    for i, port in enumerate(ports):
        path = f"spec.ports[{i}]"
        if len(ports) > 1 and not port.get("name"):
            yield Cause.required(f"{path}.name")
        elif port.get("name"):
            if not DNS_LABEL.fullmatch(port["name"]):
                yield Cause.invalid(f"{path}.name", port["name"], SAID[DNS_LABEL])
            if port["name"] in names:
                yield duplicate(f"{path}.name", port["name"])
            names.add(port["name"])
        if not 0 < port["port"] < 65536:
            yield Cause.invalid(f"{path}.port", port["port"], PORT_HINT)
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            yield Cause.invalid(f"{path}.targetPort", target, PORT_HINT)
        if port.get("protocol") not in ("SCTP", "TCP", "UDP"):
            yield Cause.unsupported(f"{path}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
    yield from label_faults(spec.get("selector") or {}, "spec.selector")


def _autoscaler(obj: Obj) -> Iterable[Cause]:
    low, high = obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"]
    if high < 1:
        yield Cause.invalid("spec.maxReplicas", high, "must be greater than 0")
    if low < 1:
        yield Cause.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < low:
        yield Cause.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")


def _data(obj: Obj, secret: bool = False) -> Iterable[Cause]:
    size = 0
    for part in ("data", "binaryData"):
        encoded = secret or part == "binaryData"
        for key, value in (obj.get(part) or {}).items():
            size += len(value) * 3 // 4 - value[-2:].count("=") if encoded else len(value.encode())
            yield from key_faults(key, f"{part}[{key}]")
            if part == "data" and key in (obj.get("binaryData") or {}):
                yield Cause.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    if size > MAX_DATA:
        where = "data" if secret else "[]"
        yield Cause(where, "FieldValueTooLong", f"Too long: may not be more than {MAX_DATA} bytes")


CHECKS: dict[tuple[str, str], Any] = {
    kinds.PODS.key: lambda obj: pod_spec(obj["spec"], "spec"),
    kinds.DEPLOYMENTS.key: _deployment,
    kinds.REPLICASETS.key: _workload,
    kinds.SERVICES.key: _service,
    kinds.AUTOSCALERS.key: _autoscaler,
    kinds.CONFIGMAPS.key: _data,
    kinds.SECRETS.key: lambda obj: _data(obj, secret=True),
    kinds.CRDS.key: definitions.check,
    kinds.ROLES.key: role_rules.role,
    kinds.CLUSTERROLES.key: role_rules.role,
    kinds.ROLEBINDINGS.key: role_rules.binding,
    kinds.CLUSTERROLEBINDINGS.key: role_rules.binding,
}


def _at(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int) else ""


def _go_map(labels: Obj) -> str:
    inner = ", ".join(f'"{key}":"{value}"' for key, value in sorted(labels.items()))
    return f"map[string]string{{{inner}}}"


def _frozen(spec: Obj) -> Obj:
    free = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
    frozen = {key: value for key, value in spec.items() if key not in free}
    for group in ("containers", "initContainers"):
        if group in frozen:
            frozen[group] = [{key: value for key, value in each.items() if key != "image"} for each in frozen[group]]
    return frozen


def _without_metadata(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key != "metadata"}
