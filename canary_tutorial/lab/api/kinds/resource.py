"""`Resource`: what differs from kind to kind in the API. Each kind is a subclass, in a module of this package. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column
from canary_tutorial.lab.api.kinds.formats import DNS_SUBDOMAIN
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj

READ = "get list watch"
WRITE = "create delete deletecollection patch update"


class Subresource(NamedTuple):
    """A sub-resource as discovery lists it; `group` if its kind is of another group."""

    name: str
    kind: str
    verbs: str
    group: str | None = None


PROXY = "create delete get patch update"  # the verbs of a pod's and a Service's `proxy`


class Grant(NamedTuple):
    """What one of the default roles (view, edit, admin) may do; the names are separated by blanks."""

    role: str
    resources: str
    verbs: str


class Form:
    """A second API version in which a kind is served. Those of custom kinds need none: only their apiVersion differs."""

    fields: Mapping[str, str] = {}  # its names for the fields of a stored object
    nulls: tuple[str, ...] = ()

    def to_stored(self, obj: Obj) -> Obj:
        return {self.fields.get(name, name): value for name, value in obj.items()}

    def from_stored(self, obj: Obj) -> Obj:
        names = {stored: name for name, stored in self.fields.items()}
        return {names.get(name, name): value for name, value in obj.items()}


class Resource:
    """The defaults, which a kind overrides. Custom kinds have these: what is theirs is in their definition."""

    columns: tuple[Column, ...] = (NAME, AGE)  # of `kubectl get`
    immutable: tuple[str, ...] = ()  # paths that no update may change
    name: re.Pattern[str] = DNS_SUBDOMAIN
    name_limit = 253
    nulls: tuple[str, ...] = ()  # Go writes these fields as null where there is nothing, or an empty list
    selectable: frozenset[str] = frozenset()  # paths for field selectors, besides metadata.name and metadata.namespace
    unselectable = "field label not supported: {}"  # what is said of any other path
    subresources: tuple[Subresource, ...] = ()  # besides /status and /scale
    grants: tuple[Grant, ...] = ()
    forms: Mapping[str, Form] = {}  # by apiVersion

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def default(self, obj: Obj) -> None:
        """Fill in what a manifest leaves out."""

    def complete_new(self, obj: Obj) -> None:
        """Add what only the server says of a new object."""

    def carry_over(self, old: Obj, new: Obj) -> None:
        """Put into a changed object what the server has given to the old one, where an update leaves it out."""

    def check(self, obj: Obj) -> Iterable[Cause]:
        """The faults of an object with its defaults."""
        return ()

    def check_change(self, old: Obj, new: Obj) -> Iterable[Cause]:
        """What an update may not do, besides changing what is `immutable`."""
        return ()

    def warnings(self, obj: Obj) -> list[str]:
        """What the server says of a new object that it takes all the same."""
        return []

    def written(self, obj: Obj) -> Obj:
        """A stored object with the nulls that Go writes. Clients meet them on every cluster, so they meet them here."""
        return _with_nulls(obj, self.nulls)

    def to_stored(self, obj: Obj, api_version: str) -> Obj:
        """An object of a client in the form in which it is stored."""
        form = self.forms.get(api_version)
        return form.to_stored(obj) | {"apiVersion": self.kind.api_version} if form else obj

    def from_stored(self, obj: Obj, api_version: str) -> Obj:
        """A stored object in the form that the client's URL names."""
        form = self.forms.get(api_version)
        return (form.from_stored(obj) if form else obj) | {"apiVersion": api_version}

    def shown(self, obj: Obj, api_version: str) -> Obj:
        """The same, as it is written to the client."""
        form, obj = self.forms.get(api_version), self.from_stored(obj, api_version)
        return _with_nulls(obj, form.nulls) if form else self.written(obj)

    def stored_path(self, path: str, api_version: str) -> str:
        """A dotted path of a client's form, such as `regarding.name`, in the stored one."""
        form = self.forms.get(api_version)
        first, dot, rest = path.partition(".")
        return form.fields.get(first, first) + dot + rest if form else path


def _with_nulls(obj: Obj, names: Iterable[str]) -> Obj:
    return {**obj, **{name: obj.get(name) or None for name in names}}


def fill(obj: Obj, **values: Any) -> None:
    """Set what is absent."""
    for name, value in values.items():
        obj.setdefault(name, value)
