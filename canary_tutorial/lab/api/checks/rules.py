"""Validation beyond schemas: names, labels, annotations, immutable fields, and each kind's own checks. Pure.

`check(kind, obj)` is for an object on its own, `check_change(kind, old, new)` for an update; both return all faults.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.api.kinds.formats import label_faults, name_faults, unqualified
from canary_tutorial.lab.api.kinds.registry import resource_of
from canary_tutorial.lab.api.kinds.resource import Resource
from canary_tutorial.lab.errors import Cause, shown
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj, at

UNREADABLE = "cannot be read"
CORE = ("", "apps", "autoscaling")  # groups in which a finalizer without prefix must be a known one
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def check(kind: Kind, obj: Obj) -> list[Cause]:
    """All faults of an object with its defaults filled in."""
    resource = resource_of(kind)
    causes = _metadata(resource, obj["metadata"])
    try:
        return [*causes, *resource.check(obj)]
    except (AttributeError, TypeError, KeyError, IndexError) as exc:  # a null where a list or object belongs
        return [*causes, Cause.invalid("spec", "", f"{UNREADABLE}: {type(exc).__name__}: {exc}")]


def check_change(kind: Kind, old: Obj, new: Obj) -> list[Cause]:
    """Fields that an update may not touch."""
    causes, resource = _added_finalizers(old["metadata"], new["metadata"]), resource_of(kind)
    for path in resource.immutable:
        before, after = at(old, path), at(new, path)
        if before != after and before is not None:
            causes.append(Cause(path, "FieldValueInvalid", f"Invalid value: {in_go(path, after)}: field is immutable"))
    return [*causes, *resource.check_change(old, new)]


def _added_finalizers(old: Obj, new: Obj) -> list[Cause]:
    """What is being deleted may lose finalizers, and gets no new ones."""
    known = old.get("finalizers") or []
    added = [each for each in new.get("finalizers") or [] if each not in known]
    if not added or "deletionTimestamp" not in old:
        return []
    found = ", ".join(f'"{each}"' for each in sorted(added))
    why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{found}}}"
    return [Cause.forbidden("metadata.finalizers", why)]


def _finalizer(name: str, path: str, core: bool) -> list[Cause]:
    """A qualified name; one without prefix only if it is one of Kubernetes' own."""
    if faults := unqualified(name):
        return [Cause.invalid("metadata.finalizers", name, hint) for hint in faults]
    if not core or "/" in name or name in STANDARD_FINALIZERS:
        return []
    return [Cause.invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")]


def _references(owners: list[Obj]) -> list[Cause]:
    causes, path = [], "metadata.ownerReferences"
    for owner in owners:
        for name, hint in (("apiVersion", "version must not be empty"), ("kind", "kind must not be empty"),
                           ("name", "name must not be empty"), ("uid", "uid must not be empty")):  # fmt: skip
            if not owner.get(name):
                causes.append(Cause.invalid(f"{path}.{name}", owner.get(name) or "", hint))
    return causes


def in_go(path: str, value: Any) -> str:
    """A value as Go prints it in a refusal; of the structures that cannot change only a selector is one that people meet."""
    if isinstance(value, dict) and path.endswith("selector") and value.keys() <= {"matchLabels"}:
        labels = ", ".join(f'"{key}":"{each}"' for key, each in sorted((value.get("matchLabels") or {}).items()))
        none = "MatchExpressions:[]v1.LabelSelectorRequirement(nil)"
        return f"v1.LabelSelector{{MatchLabels:map[string]string{{{labels}}}, {none}}}"
    return shown(value if isinstance(value, str | int) else "")


def _metadata(resource: Resource, meta: Obj) -> list[Cause]:
    if not meta.get("name"):
        return [Cause.required("metadata.name", "name or generateName is required")]
    causes = name_faults(meta["name"], "metadata.name", resource.name, resource.name_limit)
    causes += label_faults(meta.get("labels") or {}, "metadata.labels")
    for key in meta.get("annotations") or {}:
        causes += [Cause.invalid("metadata.annotations", key, hint) for hint in unqualified(key.lower())]
    causes += _references(meta.get("ownerReferences") or [])
    for i, name in enumerate(meta.get("finalizers") or []):
        causes += _finalizer(name, f"metadata.finalizers[{i}]", resource.kind.group in CORE)
    if sum(len(key) + len(value) for key, value in (meta.get("annotations") or {}).items()) > 256 * 1024:
        why = "Too long: may not be more than 262144 bytes"
        causes.append(Cause("metadata.annotations", "FieldValueTooLong", why))
    return causes
