"""CustomResourceDefinitions: a new kind is served from the moment its definition is stored.

`Definitions` subscribes to the store. A new or changed definition becomes a `Kind` in `store.kinds` and gets its
conditions; a deleted one waits, held by a finalizer, until the last object of its kind is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any

from canary_tutorial.lab.api.kinds import expressions, structure
from canary_tutorial.lab.api.kinds.columns import CREATED, NAME
from canary_tutorial.lab.api.kinds.formats import DNS_LABEL_1035, DNS_SUBDOMAIN, SAID, one_of
from canary_tutorial.lab.api.kinds.resource import Resource
from canary_tutorial.lab.errors import Cause, NotFound
from canary_tutorial.lab.kinds import CRDS, Kind, Scale
from canary_tutorial.lab.objects import Obj, timestamp
from canary_tutorial.lab.store import Event, Store

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def kind_of(definition: Obj) -> Kind:
    """The kind that a definition defines."""
    spec = definition["spec"]
    names = spec["names"]
    stored = next((each for each in spec["versions"] if each.get("storage")), spec["versions"][0])
    served = [each["name"] for each in spec["versions"] if each.get("served")]
    sub = stored.get("subresources") or {}
    scale = sub.get("scale")
    return Kind(
        spec["group"], stored["name"], names["kind"], names["plural"], names.get("singular") or names["kind"].lower(),
        spec["scope"] == "Namespaced", tuple(names.get("shortNames") or ()), tuple(names.get("categories") or ()),
        status="status" in sub,
        scale=Scale(scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath"))
        if scale else None,
        generation=True, also_served=tuple(each for each in served if each != stored["name"]),
        list_kind=names.get("listKind") or "", custom=True,
    )  # fmt: skip


ESTABLISHING = 0.01  # seconds


def _soon(act: Callable[[], None]) -> None:
    """In a moment; at once where no event loop runs."""
    try:
        asyncio.get_running_loop().call_later(ESTABLISHING, act)
    except RuntimeError:
        act()


class Definitions:
    """Keeps `store.kinds` as the stored definitions say."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.built_in = CustomResourceDefinitions.built_in
        store.subscribe(self._on_definition, CRDS)
        store.subscribe(self._on_any)
        for definition in store.list(CRDS):
            self._serve(definition)

    def _on_definition(self, event: Event) -> None:
        if event.type == "DELETED":
            key = kind_of(event.object).key
            if key not in self.built_in:
                self.store.kinds.pop(key, None)
        elif "deletionTimestamp" in event.object["metadata"]:
            self._clean(event.object)
        elif event.previous is None or event.previous["spec"] != event.object["spec"]:
            self._serve(event.object)

    def _on_any(self, event: Event) -> None:
        if event.type == "DELETED" and event.kind.custom and not self.store.list(event.kind):
            definition = self.store.find(CRDS, event.kind.resource)
            if definition and "deletionTimestamp" in definition["metadata"]:
                self._clean(definition)

    def _serve(self, definition: Obj) -> None:
        kind = kind_of(definition)
        if kind.key in self.built_in:
            return  # what a definition of their name says does not change the kinds of the lab itself
        self.store.kinds[kind.key] = kind
        name = definition["metadata"]["name"]
        if (definition.get("status") or {}).get("conditions"):
            self._establish(name)
        else:  # as a later update: who has just made it sees it without conditions, as on a real cluster
            _soon(lambda: self._establish(name))

    def _establish(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self.store.change(CRDS, name, None, self._accept, "status")

    def _accept(self, definition: Obj) -> None:
        spec, old = definition["spec"], definition.get("status") or {}
        stored = kind_of(definition).version
        versions = [*(old.get("storedVersions") or [])]
        definition["status"] = {
            "acceptedNames": spec["names"],
            "conditions": old.get("conditions") or [
                _condition("NamesAccepted", "NoConflicts", "no conflicts found", self.store),
                _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", self.store),
            ],
            "storedVersions": versions if stored in versions else [*versions, stored],
        }  # fmt: skip

    def _clean(self, definition: Obj) -> None:
        """Delete what is left of a kind; with the last object the definition may go too."""
        kind = kind_of(definition)
        for obj in self.store.list(kind) if kind.key not in self.built_in else ():
            if "deletionTimestamp" not in obj["metadata"]:
                self.store.delete(kind, obj["metadata"]["name"], obj["metadata"].get("namespace"))
        if (kind.key in self.built_in or not self.store.list(kind)) and self.store.find(CRDS, kind.resource):
            self.store.change(CRDS, kind.resource, None, _release)


def _release(definition: Obj) -> None:
    meta = definition["metadata"]
    meta["finalizers"] = [each for each in meta.get("finalizers", []) if each != CLEANUP]


def _condition(type_: str, reason: str, message: str, store: Store) -> Obj:
    return {"type": type_, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": timestamp(store.now())}  # fmt: skip


class CustomResourceDefinitions(Resource):
    columns = (NAME, CREATED)
    immutable = ("spec.group", "spec.names.plural", "spec.names.kind", "spec.scope")
    built_in: Collection[tuple[str, str]] = ()  # kinds that no definition may change; the registry knows them

    def default(self, obj: Obj) -> None:
        """The names that a definition leaves out, and what holds it until its objects are gone."""
        names = obj["spec"].get("names", {})
        kind = names.get("kind", "")
        names = {"listKind": f"{kind}List", "singular": kind.lower()} | names
        obj["spec"] = {"conversion": {"strategy": "None"}} | obj["spec"] | {"names": names}
        meta = obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if "deletionTimestamp" not in meta and CLEANUP not in finalizers:
            finalizers = [*finalizers, CLEANUP]
        meta["finalizers"] = finalizers

    def complete_new(self, obj: Obj) -> None:
        obj["status"] = {"storedVersions": [kind_of(obj).version]}

    def check(self, obj: Obj) -> list[Cause]:
        return _check(obj, self.built_in)

    def written(self, obj: Obj) -> Obj:
        status = obj.get("status") or {}
        empty = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": None}
        return {**obj, "status": empty | {name: value for name, value in status.items() if value}}


def _check(definition: Obj, built_in: Collection[tuple[str, str]]) -> list[Cause]:
    """What makes a definition unusable; rules in CEL are not checked."""
    spec = definition["spec"]
    names = spec["names"]
    causes = []
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if definition["metadata"]["name"] != wanted:
        hint = 'must be spec.names.plural+"."+spec.group'
        causes.append(Cause.invalid("metadata.name", definition["metadata"]["name"], hint))
    causes += _check_names(spec, names, built_in)
    causes += one_of(spec["scope"], "spec.scope", "Cluster", "Namespaced")
    versions, patterns = spec["versions"], Patterns()
    if sum(bool(each.get("storage")) for each in versions) != 1:
        causes.append(Cause.invalid("spec.versions", "", "must have exactly one version marked as storage version"))
    schemas = [(each.get("schema") or {}).get("openAPIV3Schema") for each in versions]
    alike = all(each == schemas[0] for each in schemas)  # Kubernetes moves one that all versions share
    for i, (each, openapi) in enumerate(zip(versions, schemas, strict=True)):
        path = f"spec.versions[{i}].schema.openAPIV3Schema"
        if not openapi:
            causes.append(Cause.required(path, "schemas are required"))
        elif not alike or i == 0:
            path = "spec.validation.openAPIV3Schema" if alike else path
            faults = _check_schema(openapi, path, patterns)
            if all(each.fault == "FieldValueNotSupported" for each in faults):  # else it cannot be walked
                causes += structure.check(openapi, path)
            causes += faults
        scale = (each.get("subresources") or {}).get("scale") or {}
        for field, value in scale.items():
            roots = (
                (".spec.",) if field == "specReplicasPath" else (".status.", ".spec.")[: 2 if "label" in field else 1]
            )
            if not str(value).startswith(roots) or not all(str(value).strip(".").split(".")) or "[" in str(value):
                hint = f"should be a json path under {' or '.join(root[:-1] for root in roots)}"
                causes.append(Cause.invalid(f"spec.versions[{i}].subresources.scale.{field}", value, hint))
        if len(each.get("additionalPrinterColumns") or ()) > MAX_COLUMNS:
            path = f"spec.versions[{i}].additionalPrinterColumns"
            causes.append(Cause.forbidden(path, f"the lab prints at most {MAX_COLUMNS} columns"))
        causes += _label_faults(each["name"], f"spec.versions[{i}].name")
    if len({each["name"] for each in versions}) != len(versions):
        causes.append(Cause.invalid("spec.versions", "", "must contain unique version names"))
    return causes


MAX_COLUMNS = 64


def _check_names(spec: Obj, names: Obj, built_in: Collection[tuple[str, str]]) -> list[Cause]:
    """A group of the definition's own, and names that can stand in a path."""
    causes, group = [], spec.get("group") or ""
    if len(group) > 253 or not DNS_SUBDOMAIN.fullmatch(group):
        causes.append(Cause.invalid("spec.group", group, SAID[DNS_SUBDOMAIN]))
    elif "." not in group:
        causes.append(Cause.invalid("spec.group", group, "should be a domain with at least one dot"))
    if (group, names.get("plural")) in built_in:
        why = f"{names['plural']}.{group} is a kind of the cluster itself"
        causes.append(Cause.forbidden("spec.names.plural", why))
    said = [(word, names.get(word)) for word in ("plural", "singular")]
    said += [(f"shortNames[{i}]", each) for i, each in enumerate(names.get("shortNames") or ())]
    for field, value in [*said, ("kind", str(names.get("kind") or "").lower())]:
        if not value:
            causes.append(Cause.required(f"spec.names.{field}"))
        else:
            hint = "may have mixed case, but should otherwise match: " if field == "kind" else ""
            causes += _label_faults(value, f"spec.names.{field}", hint)
    return causes


def _label_faults(name: str, path: str, hint: str = "") -> list[Cause]:
    fits = len(name) <= 63 and DNS_LABEL_1035.fullmatch(name)
    return [] if fits else [Cause.invalid(path, name, hint + SAID[DNS_LABEL_1035])]


def _check_schema(shape: Any, path: str, patterns: Patterns) -> list[Cause]:
    """That a schema can be interpreted at all: keywords of the right JSON type wherever one stands."""
    if not isinstance(shape, dict):
        return [Cause.invalid(path, shape, "must be a schema")]
    causes = [Cause.forbidden(f"{path}.{word}", hint) for word, hint in NOT_SUPPORTED.items() if shape.get(word)]
    for word, kinds in KEYWORDS.items():
        if word in shape and (
            not isinstance(shape[word], kinds) or (bool not in kinds and isinstance(shape[word], bool))
        ):
            causes.append(Cause.wrong_type(f"{path}.{word}", shape[word], "is of the wrong type"))
    for word in ("required", "x-kubernetes-list-map-keys"):
        if not all(isinstance(each, str) for each in shape.get(word) or ()):
            causes.append(Cause.wrong_type(f"{path}.{word}", shape[word], "is of the wrong type"))
    if causes:
        return causes
    causes += one_of(shape.get("type", "object"), f"{path}.type", *TYPES)
    if "pattern" in shape:
        causes += patterns.check(shape["pattern"], f"{path}.pattern")
    for name, inner in (shape.get("properties") or {}).items():
        causes += _check_schema(inner, f"{path}.properties[{name}]", patterns)
    for word in ("items", "not"):
        if word in shape:
            causes += _check_schema(shape[word], f"{path}.{word}", patterns)
    if isinstance(shape.get("additionalProperties"), dict):
        causes += _check_schema(shape["additionalProperties"], f"{path}.additionalProperties", patterns)
    for word in ("allOf", "anyOf", "oneOf"):
        for i, inner in enumerate(shape.get(word) or ()):
            causes += _check_schema(inner, f"{path}.{word}[{i}]", patterns)
    return causes


class Patterns:
    """The regular expressions of one definition: valid ones, and together no more than can be compiled at once."""

    MOST = 200_000  # instructions

    def __init__(self) -> None:
        self.size = 0

    def check(self, pattern: str, path: str) -> list[Cause]:
        if self.size > self.MOST:
            return [Cause.forbidden(path, "the regular expressions of this definition are too large together")]
        try:
            self.size += 100 + expressions.size(pattern)
        except ValueError as exc:
            self.size += 100
            return [Cause.invalid(path, pattern, f"must be a valid regular expression, but isn't: {exc}")]
        return []


TYPES = ("array", "boolean", "integer", "number", "object", "string")
NOT_SUPPORTED = {
    "$ref": "$ref is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "patternProperties": "patternProperties is not supported",
    "additionalItems": "additionalItems is not supported",
    "id": "id is not supported",
    "uniqueItems": "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
}
KEYWORDS: dict[str, tuple[type, ...]] = {
    "type": (str,), "format": (str,), "pattern": (str,), "properties": (dict,), "items": (dict,), "not": (dict,),
    "required": (list,), "enum": (list,), "allOf": (list,), "anyOf": (list,), "oneOf": (list,),
    "additionalProperties": (dict, bool), "nullable": (bool,),
    "minimum": (int, float), "maximum": (int, float), "multipleOf": (int, float),
    "exclusiveMinimum": (bool,), "exclusiveMaximum": (bool,),
    "minLength": (int,), "maxLength": (int,), "minItems": (int,), "maxItems": (int,),
    "minProperties": (int,), "maxProperties": (int,),
    "x-kubernetes-list-map-keys": (list,), "x-kubernetes-list-type": (str,), "x-kubernetes-map-type": (str,),
}  # fmt: skip

RESOURCES = [CustomResourceDefinitions(CRDS)]
