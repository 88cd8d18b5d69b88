"""Which object a URL means: `/apis/apps/v1/namespaces/test/deployments/podinfo/scale` as a `Target`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from canary_tutorial.lab.api.kinds.conversion import EVENTS_GROUP
from canary_tutorial.lab.errors import NotFound
from canary_tutorial.lab.kinds import EVENTS, NAMESPACES, Kind

Kinds = Mapping[tuple[str, str], Kind]


@dataclass(frozen=True)
class Target:
    """`name` is None for a collection; `group` and `version` are the URL's, which may be another form of the kind."""

    kind: Kind
    group: str
    version: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_form(self) -> bool:
        return self.version == self.kind.version and self.group == self.kind.group


def parse(raw_path: str, kinds: Kinds) -> Target:
    """The target of a path below /api or /apis; `NotFound` if no such kind is served there."""
    steps = raw_path.split("?", 1)[0].split("/")[1:]
    if steps[0] == "api":
        group, version, rest = "", steps[1], steps[2:]
    elif len(steps) > 2:
        group, version, rest = steps[1], steps[2], steps[3:]
    else:
        raise NotFound.path()
    namespace = None
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] and rest[2] not in ("status", "finalize"):
        namespace, rest = unquote(rest[1]), rest[2:]
        if not namespace:
            raise NotFound.path()
    if not rest:
        raise NotFound.path()
    if "" in rest[:-1][:3] or (len(rest) > 3 and rest[2] != "proxy" and rest[3:] != [""]):
        raise NotFound.path()  # a step that is empty, or one too many: not the object before it
    kind = EVENTS if (group, rest[0]) == (EVENTS_GROUP, EVENTS.plural) else kinds.get((group, rest[0]))
    if kind is None or version not in kind.served or (namespace is not None and not kind.namespaced):
        raise NotFound.path()
    if kind is NAMESPACES and len(rest) > 1:
        namespace = None
    name = unquote(rest[1]) if len(rest) > 1 and rest[1] else None
    if name and kind.namespaced and namespace is None:
        raise NotFound.path()
    subresource = rest[2] if len(rest) > 2 and rest[2] else None
    return Target(kind, group, version, namespace, name, subresource)
