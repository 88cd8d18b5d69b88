"""A pod's volumes and their mounts: names that are DNS labels, one source each, paths without `..`.

The texts are Kubernetes'. The kubelet makes files of these names and paths, so none may lead out of its directory. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from canary_tutorial.lab.api.kinds.formats import DNS_LABEL, duplicate, name_faults, required, without_nul
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.objects import Obj

MODE = "must be a number between 0 and 0777 (octal), both inclusive"
SOURCES = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle")  # of a projected volume


def check(listed: list[Obj], path: str) -> Iterator[Cause]:
    names: set[str] = set()
    for i, volume in enumerate(listed):
        here, name = f"{path}[{i}]", volume.get("name", "")
        yield from _source(volume, here)
        yield from required(volume, here, "name")
        if name:
            yield from name_faults(name, f"{here}.name", DNS_LABEL, 63)
        if name and name in names:
            yield duplicate(f"{here}.name", name)
        names.add(name)


def _source(volume: Obj, path: str) -> Iterator[Cause]:
    kinds = sorted(key for key in volume if key != "name")
    if not kinds:
        yield Cause.required(path, "must specify a volume type")
    for kind in kinds[1:]:
        yield Cause.forbidden(f"{path}.{kind}", "may not specify more than 1 volume type")
    for kind in kinds[:1]:
        check_source = CHECKS.get(kind)
        if check_source:
            yield from check_source(volume[kind] or {}, f"{path}.{kind}")


def _config(source: Obj, path: str, name: str = "name") -> Iterator[Cause]:
    yield from required(source, path, name)
    yield from _mode(source, "defaultMode", path)
    for i, item in enumerate(source.get("items") or []):
        here = f"{path}.items[{i}]"
        yield from required(item, here, "key")
        yield from _file(item, here)
    yield from _collisions(source.get("items") or [], path)


def _collisions(items: list[Obj], path: str) -> Iterator[Cause]:
    """No file twice, and none where another one needs a directory."""
    files = [item.get("path", "").strip("/") for item in items]
    directories = {file[:at] for file in files for at, letter in enumerate(file) if letter == "/"}
    seen: set[str] = set()
    for file in files:
        if file in seen or file in directories:
            yield Cause.invalid(path, file, "conflicting duplicate paths")
        seen.add(file)


def _file(item: Obj, path: str) -> Iterator[Cause]:
    """The path of one file in a volume."""
    yield from required(item, path, "path")
    if item.get("path"):
        yield from _inside(item["path"], f"{path}.path")
        if item["path"].startswith("..") and not item["path"].startswith("../") and item["path"] != "..":
            yield Cause.invalid(f"{path}.path", item["path"], "must not start with '..'")
        elif all(step in ("", ".") for step in item["path"].split("/")):
            yield Cause.invalid(f"{path}.path", item["path"], "must name a file")
    yield from _mode(item, "mode", path)


def _mode(holder: Obj, name: str, path: str) -> Iterator[Cause]:
    mode = holder.get(name)
    if mode is not None and not 0 <= mode <= 0o777:
        yield Cause.invalid(f"{path}.{name}", mode, MODE)


def _inside(text: str, path: str) -> Iterator[Cause]:
    """A path that leads down from where it begins."""
    if text.startswith("/"):
        yield Cause.invalid(path, text, "must be a relative path")
    yield from _no_way_back(text, path)


def _no_way_back(text: str, path: str) -> Iterator[Cause]:
    if ".." in text.split("/"):
        yield Cause.invalid(path, text, "must not contain '..'")
    yield from without_nul(text, path)


def _downward(source: Obj, path: str) -> Iterator[Cause]:
    yield from _mode(source, "defaultMode", path)
    for i, item in enumerate(source.get("items") or []):
        here = f"{path}.items[{i}]"
        yield from _file(item, here)
        if item.get("fieldRef") and item.get("resourceFieldRef"):
            hint = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield Cause.invalid(here, "resource", hint)
        elif not item.get("fieldRef") and not item.get("resourceFieldRef"):
            yield Cause.required(here, "one of fieldRef and resourceFieldRef is required")
    yield from _collisions(source.get("items") or [], path)


def _projected(source: Obj, path: str) -> Iterator[Cause]:
    yield from _mode(source, "defaultMode", path)
    for i, each in enumerate(source.get("sources") or []):
        here = f"{path}.sources[{i}]"
        kinds = [kind for kind in SOURCES if each.get(kind) is not None]
        for kind in kinds[1:]:
            yield Cause.forbidden(f"{here}.{kind}", "may not specify more than 1 volume type per source")
        if not kinds:
            yield Cause.required(
                here, "must specify one of: `secret`, `configMap`, `downwardAPI` or `serviceAccountToken`"
            )
        elif kinds[0] in ("serviceAccountToken", "clusterTrustBundle"):
            yield from _file(each[kinds[0]], f"{here}.{kinds[0]}")
        elif kinds[0] == "downwardAPI":
            yield from _downward(each[kinds[0]], f"{here}.{kinds[0]}")
        else:
            yield from _config(each[kinds[0]], f"{here}.{kinds[0]}")


def _host_path(source: Obj, path: str) -> Iterator[Cause]:
    yield from required(source, path, "path")
    if source.get("path"):
        yield from _no_way_back(source["path"], f"{path}.path")


CHECKS: dict[str, Any] = {
    "configMap": _config,
    "secret": partial(_config, name="secretName"),
    "downwardAPI": _downward,
    "projected": _projected,
    "hostPath": _host_path,
}


def check_mounts(listed: list[Obj], known: set[str], path: str) -> Iterable[Cause]:
    taken: set[str] = set()
    for i, mount in enumerate(listed):
        here, name, place = f"{path}[{i}]", mount.get("name", ""), mount.get("mountPath", "")
        yield from required(mount, here, "name")
        if name and name not in known:
            yield Cause(f"{here}.name", "FieldValueNotFound", f'Not found: "{name}"')
        yield from required(mount, here, "mountPath")
        if place:
            yield from _no_way_back(place, f"{here}.mountPath")
            if ":" in place:
                yield Cause.invalid(f"{here}.mountPath", place, "must not contain ':'")
        if place and place in taken:
            yield Cause.invalid(f"{here}.mountPath", place, "must be unique")
        taken.add(place)
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield from _inside(mount[field], f"{here}.{field}")
        if mount.get("subPath") and mount.get("subPathExpr"):
            hint = "subPathExpr and subPath are mutually exclusive"
            yield Cause.invalid(f"{here}.subPathExpr", mount["subPathExpr"], hint)
