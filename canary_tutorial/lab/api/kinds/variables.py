"""A container's environment variables: their names, and where their values may come from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from canary_tutorial.lab.api.kinds.formats import ENV_NAME, key_faults, required, without_nul
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.objects import Obj

NAME_HINT = "a valid environment variable name must consist only of printable ASCII characters other than '='"
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
ONE_OF = "must specify one of: `{}`"
TOO_MANY = "may not have more than one field specified at a time"
FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
FIELD = re.compile(r"metadata\.(annotations|labels)\['.+'\]")


def check(listed: list[Obj], path: str) -> Iterator[Cause]:
    for i, variable in enumerate(listed):
        here, name = f"{path}[{i}]", variable.get("name")
        yield from required(variable, here, "name")
        if name and not ENV_NAME.fullmatch(name):
            yield Cause.invalid(f"{here}.name", name, NAME_HINT)
        yield from without_nul(variable.get("value") or "", f"{here}.value")
        source = variable.get("valueFrom")
        if source is None:
            continue
        if variable.get("value"):
            yield Cause.invalid(f"{here}.valueFrom", "", "may not be specified when `value` is not empty")
        yield from _source(source, f"{here}.valueFrom")


def _source(source: Obj, path: str) -> Iterator[Cause]:
    kinds = [kind for kind in SOURCES if source.get(kind) is not None]
    if len(kinds) != 1:
        listed = "`, `".join(SOURCES[:-1]) + f"` or `{SOURCES[-1]}"
        yield Cause.invalid(path, "", TOO_MANY if kinds else ONE_OF.format(listed))
        return
    kind, chosen = kinds[0], source[kinds[0]]
    path = f"{path}.{kind}"
    if kind in ("configMapKeyRef", "secretKeyRef"):
        yield from required(chosen, path, "name", "key")
        if chosen.get("key"):
            yield from key_faults(chosen["key"], f"{path}.key")
    elif kind == "fieldRef":
        field = chosen.get("fieldPath", "")
        yield from required(chosen, path, "fieldPath")
        if field and field not in FIELDS and not FIELD.fullmatch(field):
            hint = f"error converting fieldPath: field label not supported: {field}"
            yield Cause.invalid(f"{path}.fieldPath", field, hint)
    else:
        yield from required(chosen, path, "resource")


def check_sources(listed: list[Obj], path: str) -> Iterator[Cause]:
    """`envFrom`: whole ConfigMaps and Secrets."""
    for i, source in enumerate(listed):
        here = f"{path}[{i}]"
        if source.get("prefix") and not ENV_NAME.fullmatch(source["prefix"]):
            yield Cause.invalid(f"{here}.prefix", source["prefix"], NAME_HINT)
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        if len(kinds) != 1:
            yield Cause.invalid(here, "", TOO_MANY if kinds else ONE_OF.format("configMapRef` or `secretRef"))
        else:
            yield from required(source[kinds[0]], f"{here}.{kinds[0]}", "name")
