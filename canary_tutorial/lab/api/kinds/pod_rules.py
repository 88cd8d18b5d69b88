"""What a pod's spec must be beyond its schema: named containers with images, ports, probes, mounts that exist. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from canary_tutorial.lab.api.kinds import variable_rules, volume_rules
from canary_tutorial.lab.api.kinds.formats import (
    DNS_LABEL,
    PORT_HINT,
    PORT_NAME,
    QUANTITY,
    SAID,
    duplicate,
    not_negative,
    without_nul,
)  # fmt: skip
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.objects import Obj


def pod_spec(spec: Obj, path: str) -> Iterable[Cause]:
    containers = spec.get("containers")
    if not containers:
        yield Cause.required(f"{path}.containers")
    names: set[str] = set()
    yield from volume_rules.volumes(spec.get("volumes") or [], f"{path}.volumes")
    volumes = {volume.get("name", "") for volume in spec.get("volumes") or []}
    for group in ("initContainers", "containers"):
        for i, each in enumerate(spec.get(group) or []):
            if group == "initContainers" and each.get("restartPolicy"):
                yield Cause.forbidden(f"{path}.{group}[{i}].restartPolicy", "the lab has no sidecar containers")
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
    yield from variable_rules.variables(each.get("env") or [], f"{path}.env")
    yield from variable_rules.sources(each.get("envFrom") or [], f"{path}.envFrom")
    yield from volume_rules.mounts(each.get("volumeMounts") or [], volumes, f"{path}.volumeMounts")
    for name in ("command", "args"):
        for i, word in enumerate(each.get(name) or []):
            yield from without_nul(word, f"{path}.{name}[{i}]")
    yield from without_nul(each.get("workingDir") or "", f"{path}.workingDir")
    yield from _lifecycle(each.get("lifecycle") or {}, f"{path}.lifecycle")
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


def _lifecycle(hooks: Obj, path: str) -> Iterable[Cause]:
    for name in ("postStart", "preStop"):
        if hooks.get(name) is not None:
            yield from _handler(hooks[name], f"{path}.{name}")
    if hooks.get("postStart"):
        yield Cause.forbidden(f"{path}.postStart", "the lab does not run postStart hooks")


def _handler(handler: Obj, path: str) -> Iterable[Cause]:
    """What a probe or a hook does."""
    handlers = [name for name in ("exec", "grpc", "httpGet", "sleep", "tcpSocket") if handler.get(name) is not None]
    if not handlers:
        yield Cause.required(path, "must specify a handler type")
    for name in handlers[1:]:
        yield Cause.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    if handler.get("exec") is not None:
        command = handler["exec"].get("command") or []
        if not command:
            yield Cause.required(f"{path}.exec.command")
        for i, word in enumerate(command):
            yield from without_nul(word, f"{path}.exec.command[{i}]")
    for name in ("httpGet", "tcpSocket"):
        port = (handler.get(name) or {}).get("port", 1)
        if isinstance(port, int) and not 0 < port < 65536:
            yield Cause.invalid(f"{path}.{name}.port", port, PORT_HINT)


def _probe(probe: Obj, path: str) -> Iterable[Cause]:
    yield from _handler(probe, path)
    if probe.get("grpc") is not None:
        yield Cause.forbidden(f"{path}.grpc", "the lab has no gRPC probes: use httpGet, tcpSocket or exec")
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            yield not_negative(f"{path}.{name}", probe[name])
