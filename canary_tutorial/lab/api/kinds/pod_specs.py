"""The spec of a pod, and of a Deployment's template: its defaults, and its validation beyond the schema. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from canary_tutorial.lab.api.kinds import formats, variables, volumes
from canary_tutorial.lab.api.kinds.resource import fill
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.quantity import amount


def default(spec: Obj) -> None:
    fill(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst",
         securityContext={}, schedulerName="default-scheduler")  # fmt: skip
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        default_container(each)
    for volume in spec.get("volumes") or []:
        if volume.keys() <= {"name"}:
            volume["emptyDir"] = {}
        for source in ("configMap", "secret", "downwardAPI", "projected"):
            if isinstance(volume.get(source), dict):
                volume[source].setdefault("defaultMode", 420)


def default_container(each: Obj) -> None:
    tag = each.get("image", "").rpartition("/")[2].partition(":")[2]
    fill(each, resources={}, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
         imagePullPolicy="Always" if tag in ("", "latest") else "IfNotPresent")  # fmt: skip
    for port in each.get("ports") or []:
        fill(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(name):
            fill(each[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if each[name].get("httpGet") is not None:
                fill(each[name]["httpGet"], path="/", scheme="HTTP")
    for variable in each.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            fill(reference, apiVersion="v1")


def check(spec: Obj, path: str) -> Iterable[Cause]:
    yield from formats.required(spec, path, "containers")
    names: set[str] = set()
    yield from volumes.check(spec.get("volumes") or [], f"{path}.volumes")
    mountable = {volume.get("name", "") for volume in spec.get("volumes") or []}
    for group in ("initContainers", "containers"):
        for i, each in enumerate(spec.get(group) or []):
            if group == "initContainers" and each.get("restartPolicy"):
                yield Cause.forbidden(f"{path}.{group}[{i}].restartPolicy", "the lab has no sidecar containers")
            yield from _container(each, f"{path}.{group}[{i}]", names, mountable)
    policy, grace = spec.get("restartPolicy", "Always"), spec.get("terminationGracePeriodSeconds", 0)
    yield from formats.one_of(policy, f"{path}.restartPolicy", "Always", "OnFailure", "Never")
    yield from formats.not_negative(grace, f"{path}.terminationGracePeriodSeconds")


def _container(each: Obj, path: str, names: set[str], mountable: set[str]) -> Iterable[Cause]:
    name = each.get("name", "")
    yield from formats.required(each, path, "name")
    if name and (len(name) > 63 or not formats.DNS_LABEL.fullmatch(name)):
        yield Cause.invalid(f"{path}.name", name, formats.SAID[formats.DNS_LABEL])
    yield from formats.required(each, path, "image")
    for i, port in enumerate(each.get("ports") or []):
        yield from _container_port(port, f"{path}.ports[{i}]")
    policy = each.get("imagePullPolicy", "Always")
    yield from formats.one_of(policy, f"{path}.imagePullPolicy", "Always", "IfNotPresent", "Never")
    yield from _resources(each.get("resources") or {}, f"{path}.resources")
    yield from variables.check(each.get("env") or [], f"{path}.env")
    yield from variables.check_sources(each.get("envFrom") or [], f"{path}.envFrom")
    yield from volumes.check_mounts(each.get("volumeMounts") or [], mountable, f"{path}.volumeMounts")
    for name in ("command", "args"):
        for i, word in enumerate(each.get(name) or []):
            yield from formats.without_nul(word, f"{path}.{name}[{i}]")
    yield from formats.without_nul(each.get("workingDir") or "", f"{path}.workingDir")
    yield from _lifecycle(each.get("lifecycle") or {}, f"{path}.lifecycle")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(name):
            yield from _probe(each[name], f"{path}.{name}")
            if name != "readinessProbe" and each[name].get("successThreshold", 1) != 1:
                yield Cause.invalid(f"{path}.{name}.successThreshold", each[name]["successThreshold"], "must be 1")
    own = each.get("name", "")
    if own and own in names:
        yield formats.duplicate(f"{path}.name", own)
    names.add(own)


def _resources(resources: Obj, path: str) -> Iterable[Cause]:
    """No quantity below nothing, and no request above its limit."""
    limits = resources.get("limits") or {}
    for kind in ("limits", "requests"):
        for name, given in (resources.get(kind) or {}).items():
            value = amount(str(given))
            if value is not None and value < 0:
                yield Cause.invalid(f"{path}.{kind}[{name}]", given, "must be greater than or equal to 0")
            most = amount(str(limits[name])) if kind == "requests" and name in limits else None
            if value is not None and most is not None and value > most:
                said = f"must be less than or equal to {name} limit of {limits[name]}"
                yield Cause.invalid(f"{path}.requests", given, said)


def _container_port(port: Obj, path: str) -> Iterable[Cause]:
    yield from formats.port_number(port["containerPort"], f"{path}.containerPort")
    if port.get("name") and (len(port["name"]) > 15 or not formats.PORT_NAME.fullmatch(port["name"])):
        yield Cause.invalid(f"{path}.name", port["name"], "must be no more than 15 characters" if len(port["name"]) > 15
            else "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")  # fmt: skip
    yield from formats.one_of(port.get("protocol", "TCP"), f"{path}.protocol", "SCTP", "TCP", "UDP")


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
        yield from formats.required(handler["exec"], f"{path}.exec", "command")
        for i, word in enumerate(handler["exec"].get("command") or []):
            yield from formats.without_nul(word, f"{path}.exec.command[{i}]")
    for name in ("httpGet", "tcpSocket"):
        yield from formats.port_number((handler.get(name) or {}).get("port", 1), f"{path}.{name}.port")


def _probe(probe: Obj, path: str) -> Iterable[Cause]:
    yield from _handler(probe, path)
    if probe.get("grpc") is not None:
        yield Cause.forbidden(f"{path}.grpc", "the lab has no gRPC probes: use httpGet, tcpSocket or exec")
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        yield from formats.not_negative(probe.get(name, 0), f"{path}.{name}")
