"""Validation beyond schemas: names, labels, annotations, immutable fields, and each kind's own checks. Pure.

`check(kind, obj)` is for an object on its own, `check_change(kind, old, new)` for an update; both return all faults.
"""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.formats import label_faults, name_faults
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.kinds.resource import Resource
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj, at


def check(kind: Kind, obj: Obj) -> list[Cause]:
    """All faults of an object with its defaults filled in."""
    resource = resource_of(kind)
    causes = _metadata(resource, obj["metadata"])
    try:
        return [*causes, *resource.check(obj)]
    except (AttributeError, TypeError, KeyError, IndexError) as exc:  # a null where a list or object belongs
        return [*causes, Cause.invalid("spec", "", f"cannot be read: {type(exc).__name__}: {exc}")]


def check_change(kind: Kind, old: Obj, new: Obj) -> list[Cause]:
    """Fields that an update may not touch."""
    causes, resource = [], resource_of(kind)
    for path in resource.immutable:
        before, after = at(old, path), at(new, path)
        if before != after and before is not None:
            causes.append(Cause.invalid(path, after if isinstance(after, str | int) else "", "field is immutable"))
    return [*causes, *resource.check_change(old, new)]


def _metadata(resource: Resource, meta: Obj) -> list[Cause]:
    if not meta.get("name"):
        return [Cause.required("metadata.name", "name or generateName is required")]
    causes = name_faults(meta["name"], "metadata.name", resource.name, resource.name_limit)
    causes += label_faults(meta.get("labels") or {}, "metadata.labels")
    if sum(len(key) + len(value) for key, value in (meta.get("annotations") or {}).items()) > 256 * 1024:
        why = "Too long: may not be more than 262144 bytes"
        causes.append(Cause("metadata.annotations", "FieldValueTooLong", why))
    return causes
