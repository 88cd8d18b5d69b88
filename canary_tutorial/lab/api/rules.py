"""What schemas cannot say: names, ports, selectors that match, fields that never change. Pure.

`check(kind, obj)` for an object on its own, `check_change(kind, old, new)` for what an update may not do; both return
all faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from canary_tutorial.lab import kinds, selectors
from canary_tutorial.lab.api import crds
from canary_tutorial.lab.errors import ApiError, Cause
from canary_tutorial.lab.kinds import Kind

Obj = dict[str, Any]

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = re.compile(LABEL)
DNS_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
PATH_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+")
LABEL_KEY = re.compile(rf"({LABEL}(\.{LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](-?[a-z0-9])*")
ENV_NAME = re.compile(r"[ -<>-~]+")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
PORT_HINT = "must be between 1 and 65535, inclusive"

SAID = {
    DNS_LABEL: ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
                "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"),
    DNS_LABEL_1035: ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                     "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
                     "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"),
    DNS_SUBDOMAIN: ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
                    "is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"),
    PATH_SEGMENT: "may not contain '/' or '%', and may not be '.' or '..'",
}  # fmt: skip
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
        hint = ("pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
                "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
                "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")  # fmt: skip
        causes.append(Cause.forbidden("spec", hint))
    if old.get("immutable") and _without_metadata(old) != _without_metadata(new):
        causes.append(Cause.forbidden("data", "field is immutable when `immutable` is set"))
    return causes


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
    if not pattern.fullmatch(name):
        causes.append(Cause.invalid("metadata.name", name, SAID[pattern]))
    return causes + _labels(meta.get("labels") or {}, "metadata.labels") + _annotations(meta.get("annotations") or {})


def _labels(labels: Obj, path: str) -> list[Cause]:
    causes = []
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key):
            causes.append(Cause.invalid(path, key, "name part must consist of alphanumeric characters, '-', '_' or '.', "
                "and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
                "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"))  # fmt: skip
        if not LABEL_VALUE.fullmatch(value):
            causes.append(Cause.invalid(path, value, "a valid label must be an empty string or consist of alphanumeric "
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  "
                "or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"))  # fmt: skip
    return causes


def _annotations(annotations: Obj) -> list[Cause]:
    size = sum(len(key) + len(value) for key, value in annotations.items())
    if size > 256 * 1024:
        return [Cause("metadata.annotations", "FieldValueTooLong", "Too long: may not be more than 262144 bytes")]
    return []


def _pod_spec(spec: Obj, path: str) -> Iterable[Cause]:
    containers = spec.get("containers")
    if not containers:
        yield Cause.required(f"{path}.containers")
    names: set[str] = set()
    volumes = {volume["name"] for volume in spec.get("volumes") or []}
    for group in ("initContainers", "containers"):
        for i, each in enumerate(spec.get(group) or []):
            yield from _container(each, f"{path}.{group}[{i}]", names, volumes)
    if spec.get("restartPolicy", "Always") not in ("Always", "OnFailure", "Never"):
        yield Cause.unsupported(f"{path}.restartPolicy", spec["restartPolicy"], ["Always", "OnFailure", "Never"])
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield _not_negative(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])


def _container(each: Obj, path: str, names: set[str], volumes: set[str]) -> Iterable[Cause]:
    name = each.get("name", "")
    if not name:
        yield Cause.required(f"{path}.name")
    elif not DNS_LABEL.fullmatch(name) or len(name) > 63:
        yield Cause.invalid(f"{path}.name", name, SAID[DNS_LABEL])
    elif name in names:
        yield _duplicate(f"{path}.name", name)
    names.add(name)
    if not each.get("image"):
        yield Cause.required(f"{path}.image")
    for i, port in enumerate(each.get("ports") or []):
        yield from _container_port(port, f"{path}.ports[{i}]")
    for i, variable in enumerate(each.get("env") or []):
        if not variable.get("name"):
            yield Cause.required(f"{path}.env[{i}].name")
        elif not ENV_NAME.fullmatch(variable["name"]):
            yield Cause.invalid(f"{path}.env[{i}].name", variable["name"], "a valid environment variable name must "
                                "consist only of printable ASCII characters other than '='")  # fmt: skip
        if variable.get("value") and variable.get("valueFrom"):
            yield Cause.invalid(f"{path}.env[{i}].valueFrom", "", "may not be specified when `value` is not empty")
    for i, mount in enumerate(each.get("volumeMounts") or []):
        if mount["name"] not in volumes:
            yield Cause(f"{path}.volumeMounts[{i}].name", "FieldValueNotFound", f'Not found: "{mount["name"]}"')
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(name):
            yield from _probe(each[name], f"{path}.{name}")
    for kind in ("limits", "requests"):
        for resource, amount in ((each.get("resources") or {}).get(kind) or {}).items():
            if not QUANTITY.fullmatch(str(amount)):
                yield Cause.invalid(f"{path}.resources.{kind}[{resource}]", amount, "quantities must match the regular "
                    "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")  # fmt: skip


def _container_port(port: Obj, path: str) -> Iterable[Cause]:
    if not 0 < port["containerPort"] < 65536:
        yield Cause.invalid(f"{path}.containerPort", port["containerPort"], PORT_HINT)
    if port.get("name") and (len(port["name"]) > 15 or not PORT_NAME.fullmatch(port["name"])):
        yield Cause.invalid(f"{path}.name", port["name"], "must be no more than 15 characters" if len(port["name"]) > 15
            else "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")  # fmt: skip
    if port.get("protocol", "TCP") not in ("SCTP", "TCP", "UDP"):
        yield Cause.unsupported(f"{path}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])


def _probe(probe: Obj, path: str) -> Iterable[Cause]:
    handlers = [name for name in ("exec", "grpc", "httpGet", "tcpSocket") if probe.get(name) is not None]
    if not handlers:
        yield Cause.required(path, "must specify a handler type")
    for name in handlers[1:]:
        yield Cause.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    for name in ("httpGet", "tcpSocket"):
        port = (probe.get(name) or {"port": 1})["port"]
        if isinstance(port, int) and not 0 < port < 65536:
            yield Cause.invalid(f"{path}.{name}.port", port, PORT_HINT)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            yield _not_negative(f"{path}.{name}", probe[name])


def _workload(obj: Obj) -> Iterable[Cause]:
    spec = obj["spec"]
    if spec.get("replicas", 0) < 0:
        yield _not_negative("spec.replicas", spec["replicas"])
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield Cause.invalid("spec.selector", selector or "", "empty selector is invalid for deployment")
    else:
        yield from _labels(selector.get("matchLabels") or {}, "spec.selector.matchLabels")
        try:
            if not selectors.label_selector(selector)(labels):
                hint = "`selector` does not match template `labels`"
                yield Cause("spec.template.metadata.labels", "FieldValueInvalid",
                            f"Invalid value: {_go_map(labels)}: {hint}")  # fmt: skip
        except ApiError as error:
            yield Cause.invalid("spec.selector.matchExpressions", "", error.message)
    yield from _labels(labels, "spec.template.labels")
    pod = template.get("spec") or {}
    yield from _pod_spec(pod, "spec.template.spec")
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
        if isinstance(value, str) and not re.fullmatch(r"\d{1,9}%", value):
            yield Cause.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%' "
                                "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")  # fmt: skip
        elif isinstance(value, int) and value < 0:
            yield _not_negative(path, value)
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
                yield _duplicate(f"{path}.name", port["name"])
            names.add(port["name"])
        if not 0 < port["port"] < 65536:
            yield Cause.invalid(f"{path}.port", port["port"], PORT_HINT)
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            yield Cause.invalid(f"{path}.targetPort", target, PORT_HINT)
        if port.get("protocol") not in ("SCTP", "TCP", "UDP"):
            yield Cause.unsupported(f"{path}.protocol", port["protocol"], ["SCTP", "TCP", "UDP"])
    yield from _labels(spec.get("selector") or {}, "spec.selector")


def _autoscaler(obj: Obj) -> Iterable[Cause]:
    low, high = obj["spec"]["minReplicas"], obj["spec"]["maxReplicas"]
    if high < 1:
        yield Cause.invalid("spec.maxReplicas", high, "must be greater than 0")
    if low < 1:
        yield Cause.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high < low:
        yield Cause.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")


def _data(obj: Obj) -> Iterable[Cause]:
    for part in ("data", "binaryData"):
        for key in obj.get(part) or {}:
            if not DATA_KEY.fullmatch(key):
                yield Cause.invalid(f"{part}[{key}]", key, "a valid config key must consist of alphanumeric characters, '-', "
                    "'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
                    "'[-._a-zA-Z0-9]+')")  # fmt: skip


CHECKS: dict[tuple[str, str], Any] = {
    kinds.PODS.key: lambda obj: _pod_spec(obj["spec"], "spec"),
    kinds.DEPLOYMENTS.key: _deployment,
    kinds.REPLICASETS.key: _workload,
    kinds.SERVICES.key: _service,
    kinds.AUTOSCALERS.key: _autoscaler,
    kinds.CONFIGMAPS.key: _data,
    kinds.SECRETS.key: _data,
    kinds.CRDS.key: crds.check,
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


def _not_negative(path: str, value: Any) -> Cause:
    return Cause.invalid(path, value, "must be greater than or equal to 0")


def _duplicate(path: str, value: str) -> Cause:
    return Cause(path, "FieldValueDuplicate", f'Duplicate value: "{value}"')
