"""What a pod's spec must be beyond its schema: named containers with images, ports, probes, mounts that exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from canary_tutorial.lab.api.names import (
    DNS_LABEL,
    ENV_NAME,
    PORT_HINT,
    PORT_NAME,
    QUANTITY,
    SAID,
    duplicate,
    not_negative,
)  # fmt: skip
from canary_tutorial.lab.errors import Cause

Obj = dict[str, Any]


def pod_spec(spec: Obj, path: str) -> Iterable[Cause]:
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
        yield not_negative(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])


def _container(each: Obj, path: str, names: set[str], volumes: set[str]) -> Iterable[Cause]:
    name = each.get("name", "")
    if not name:
        yield Cause.required(f"{path}.name")
    elif not DNS_LABEL.fullmatch(name) or len(name) > 63:
        yield Cause.invalid(f"{path}.name", name, SAID[DNS_LABEL])
    elif name in names:
        yield duplicate(f"{path}.name", name)
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
            yield not_negative(f"{path}.{name}", probe[name])
