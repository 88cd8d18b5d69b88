"""A container's environment variables and volumes, from the pod's spec and the objects that it references. Pure.

A volume is a directory below the pod's own. Since a container has no file system of its own here, a mountPath that
occurs in its command, arguments or environment is replaced by the real directory.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from canary_tutorial.lab.kubelet.reading import ConfigError
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.quantity import amount

NO_KEY = "references non-existent secret key"
Find = Callable[[str, str], Obj | None]  # ("ConfigMap" or "Secret", name) -> the object


def data_of(obj: Obj) -> dict[str, bytes]:
    """The content of a ConfigMap or a Secret."""
    content = {key: _bytes(value) for key, value in (obj.get("stringData") or {}).items()}
    if obj.get("kind") == "Secret":
        return _decoded(obj, "data") | content
    return {key: _bytes(value) for key, value in (obj.get("data") or {}).items()} | _decoded(obj, "binaryData")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _decoded(obj: Obj, field: str) -> dict[str, bytes]:
    content = {}
    for key, value in (obj.get(field) or {}).items():
        try:
            content[key] = base64.b64decode(value)
        except ValueError as error:
            name = (obj.get("metadata") or {}).get("name", "")
            raise ConfigError(f'{obj["kind"].lower()} "{name}": {field}[{key}]: illegal base64 data') from error
    return content


def environment(pod: Obj, container: Obj, pod_ip: str, find: Find) -> dict[str, str]:
    """The variables that the manifest asks for, `$(NAME)` references resolved."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if source.get(field) is not None:
                found = _found(kind, source[field], find)
                prefix = source.get("prefix") or ""
                variables |= {prefix + key: value.decode(errors="replace") for key, value in data_of(found).items()}
    for entry in container.get("env") or []:
        value = entry.get("value") or ""
        if entry.get("valueFrom") is not None:
            resolved = _value_from(entry["valueFrom"], pod, container, pod_ip, find)
            if resolved is None:
                continue
            value = resolved
        variables[entry["name"]] = expand(value, variables)
    return variables


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; `$$` is a dollar sign, so `$$(NAME)` stays `$(NAME)`; an unknown name stays as it is."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(str(match[1]), str(match[0]))

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def _value_from(source: Obj, pod: Obj, container: Obj, pod_ip: str, find: Find) -> str | None:
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if source.get(field) is not None:
            reference = source[field]
            content = data_of(_found(kind, reference, find))
            if reference["key"] in content:
                return content[reference["key"]].decode(errors="replace")
            if reference.get("optional"):
                return None
            where = f"{kind} {pod['metadata']['namespace']}/{reference.get('name', '')}"
            raise ConfigError(f"couldn't find key {reference['key']} in {where}")
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], pod_ip)
    if "resourceFieldRef" in source:
        return resource_value(pod, container, source["resourceFieldRef"])
    return ""


def _found(kind: str, reference: Obj, find: Find) -> Obj:
    name = reference.get("name") or ""
    found = find(kind, name)
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    return found or {}


def field_value(pod: Obj, path: str, pod_ip: str) -> str:
    """The downward API: `metadata.name`, `status.podIP`, `metadata.labels['app']`, ..."""
    meta, spec = pod["metadata"], pod["spec"]
    match = re.fullmatch(r"metadata\.(labels|annotations)(?:\['(.+)'\])?", path)
    if match:
        values: dict[str, str] = meta.get(match[1]) or {}
        everything = "\n".join(f'{k}="{v}"' for k, v in sorted(values.items()))
        return values.get(str(match[2]), "") if match[2] else everything
    known: dict[str, str] = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
        "status.hostIP": "127.0.0.1",
    }
    return known.get(path, "")


def resource_value(pod: Obj, container: Obj, reference: Obj) -> str:
    """`limits.memory` or `requests.cpu` of a container in units of the divisor, rounded up; "0" if there is none."""
    named = (each for each in pod["spec"]["containers"] if each["name"] == reference.get("containerName"))
    which, _, resource = str(reference["resource"]).partition(".")
    value = ((next(named, container).get("resources") or {}).get(which) or {}).get(resource, 0)
    divisor = amount(str(reference.get("divisor") or 1)) or 1
    return str(math.ceil((amount(str(value)) or 0) / divisor))


def volume_files(pod: Obj, volume: Obj, find: Find, token: str, ca: str, pod_ip: str) -> dict[str, bytes]:
    """What a volume holds when the pod starts: file name -> content; an emptyDir holds nothing."""
    if "configMap" in volume:
        source = volume["configMap"]
        return _items(source, "configmap references non-existent config key", _found("ConfigMap", source, find))
    if "secret" in volume:
        source = volume["secret"]
        return _items(source, NO_KEY, _found("Secret", {**source, "name": source.get("secretName")}, find))
    if "downwardAPI" in volume:
        items = volume["downwardAPI"].get("items") or []
        return {item["path"]: _bytes(_downward(pod, item, pod_ip)) for item in items}
    files: dict[str, bytes] = {}
    for source in (volume.get("projected") or {}).get("sources") or []:
        if "serviceAccountToken" in source:
            files[source["serviceAccountToken"]["path"]] = token.encode()
        elif "secret" in source:
            files |= _items(source["secret"], NO_KEY, _found("Secret", source["secret"], find))
        else:
            files |= volume_files(pod, source, find, token, ca, pod_ip)
    return files


def _downward(pod: Obj, item: Obj, pod_ip: str) -> str:
    if "resourceFieldRef" in item:
        return resource_value(pod, {}, item["resourceFieldRef"])
    return field_value(pod, (item.get("fieldRef") or {}).get("fieldPath") or "", pod_ip)


def _items(source: Obj, missing: str, found: Obj) -> dict[str, bytes]:
    content = data_of(found)
    items = source.get("items")
    if not items:
        return content
    for item in items:
        if item["key"] not in content and not source.get("optional"):
            raise ConfigError(f"{missing}: {item['key']}")
    return {item["path"]: content[item["key"]] for item in items if item["key"] in content}


def mounts(container: Obj, volumes: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """mountPath -> real directory (or file, with subPath), the longest first."""
    pairs = {}
    for mount in container.get("volumeMounts") or []:
        below = mount.get("subPath") or _expanded(mount.get("subPathExpr") or "", variables or {})
        path = mount["mountPath"].rstrip("/")
        if not path:
            raise ConfigError("invalid mount: destination can't be '/'")
        if below.startswith("/") or ".." in below.split("/") or "\0" in below:
            raise ConfigError(f'failed to prepare subPath for volumeMount "{mount["name"]}" of container '
                              f'"{container.get("name", "")}"')  # fmt: skip
        pairs[path] = str(volumes / mount["name"] / below).rstrip("/")
    return dict(sorted(pairs.items(), key=lambda pair: -len(pair[0])))


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    for name in re.findall(r"(?<!\$)\$\(([^)]*)\)", text):
        if name not in variables:
            raise ConfigError(f'missing value for "{name}"')
    return expand(text, variables)


def at_home(text: str, address: str, names: str = "localhost") -> str:
    """A word of a command with the pod's address in place of `localhost`, which is the machine's here; `names` is a
    regular expression."""
    return re.sub(rf"(?<![\w.-])({names})(?=$|[:/,;)\"'\s])", address, text)


def relocate(text: str, where: Mapping[str, str]) -> str:
    """Replace each mountPath in a word of a command by its real directory."""
    if not where:
        return text
    pattern = "|".join(re.escape(path) for path in where)
    return re.sub(rf"(?<![\w./-])({pattern})(?=$|[/:;,\"'\s])", lambda match: where[match[1]], text)
