"""What a container's variables must be, and where they may come from, in Kubernetes' words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from canary_tutorial.lab.api.kinds.formats import ENV_NAME, key_faults, without_nul
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


def variables(listed: list[Obj], path: str) -> Iterator[Cause]:
    for i, variable in enumerate(listed):
        here, name = f"{path}[{i}]", variable.get("name")
        if not name:
            yield Cause.required(f"{here}.name")
        elif not ENV_NAME.fullmatch(name):
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
        if not chosen.get("name"):
            yield Cause.required(f"{path}.name")
        if not chosen.get("key"):
            yield Cause.required(f"{path}.key")
        else:
            yield from key_faults(chosen["key"], f"{path}.key")
    elif kind == "fieldRef":
        field = chosen.get("fieldPath", "")
        if not field:
            yield Cause.required(f"{path}.fieldPath")
        elif field not in FIELDS and not FIELD.fullmatch(field):
            hint = f"error converting fieldPath: field label not supported: {field}"
            yield Cause.invalid(f"{path}.fieldPath", field, hint)
    elif not chosen.get("resource"):
        yield Cause.required(f"{path}.resource")


def sources(listed: list[Obj], path: str) -> Iterator[Cause]:
    """`envFrom`: whole ConfigMaps and Secrets."""
    for i, source in enumerate(listed):
        here = f"{path}[{i}]"
        if source.get("prefix") and not ENV_NAME.fullmatch(source["prefix"]):
            yield Cause.invalid(f"{here}.prefix", source["prefix"], NAME_HINT)
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        if len(kinds) != 1:
            yield Cause.invalid(here, "", TOO_MANY if kinds else ONE_OF.format("configMapRef` or `secretRef"))
        elif not source[kinds[0]].get("name"):
            yield Cause.required(f"{here}.{kinds[0]}.name")
