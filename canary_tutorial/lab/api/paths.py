"""Parses a URL's path: `/apis/apps/v1/namespaces/test/deployments/podinfo/scale` as a `Target`. Pure.

Paths are parsed here and nowhere else, so that a request is authorized for exactly what it is answered with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from canary_tutorial.lab.api.kinds.registry import OTHER_GROUPS
from canary_tutorial.lab.errors import NotFound
from canary_tutorial.lab.kinds import Kind

Kinds = Mapping[tuple[str, str], Kind]


@dataclass(frozen=True)
class Target:
    """A collection (`name` is empty), an object or a sub-resource; or, where there is a `path`, a page of the server.

    `steps` are those of a page's path. `group` and `version` are the URL's, which may be another form of the kind;
    `rest` is what follows the sub-resource, as it stands in the URL.
    """

    path: str = ""
    steps: tuple[str, ...] = ()
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    served: Kind | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the objects there; `NotFound` if none is served."""
        if self.served is None:
            raise NotFound.path()
        return self.served

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_form(self) -> bool:
        return self.version == self.kind.version and self.group == self.kind.group


def parse(path: str, kinds: Kinds) -> Target:
    """The target of a URL's path, which is still encoded."""
    steps = tuple(unquote(step) for step in path.split("/")[1:])
    core = steps[:1] == ("api",)
    first = 2 if core else 3  # the step that a collection's path has after its group and version
    if steps[:1] not in (("api",), ("apis",)) or not any(steps[first:]):
        return Target(unquote(path) or "/", tuple(unquote(step) for step in path.rstrip("/").split("/")[1:]))
    group, version = ("", steps[1]) if core else steps[1:3]
    namespace = ""
    if steps[first] == "namespaces" and (steps + ("",) * 3)[first + 2] not in ("", "status", "finalize"):
        namespace = steps[first + 1]
        first += 2
    resource, name, subresource = (*steps[first:], "", "")[:3]
    rest = path.split("/", first + 4)[first + 4 :]
    kind = OTHER_GROUPS.get((group, resource)) or kinds.get((group, resource))
    if (
        kind is None
        or version not in kind.served
        or (namespace and not kind.namespaced)
        or (name and kind.namespaced and not namespace)
        or "" in steps[:-1][: first + 3]
        or (rest not in ([], [""]) and subresource != "proxy")  # a step too many: not the object before it
    ):
        kind = None
    return Target("", (), group, version, resource, namespace, name, subresource, "".join(f"/{r}" for r in rest), kind)
