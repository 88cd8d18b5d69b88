"""Roles, ClusterRoles and their bindings; the texts are Kubernetes'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.kinds.columns import AGE, CREATED, NAME, Cell, Column, reference
from canary_tutorial.lab.api.kinds.formats import PATH_SEGMENT, label_faults, one_of, required
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource, fill
from canary_tutorial.lab.errors import BadRequest, Cause
from canary_tutorial.lab.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, ROLEBINDINGS, ROLES
from canary_tutorial.lab.objects import Obj

SUBJECTS = ("Group", "ServiceAccount", "User")


def _subjects(kind: str) -> Cell:
    def cell(obj: Obj, now: datetime) -> str:
        chosen = [each for each in obj.get("subjects") or [] if each.get("kind") == kind]
        names = [f"{each['namespace']}/{each['name']}" if each.get("namespace") else each["name"] for each in chosen]
        return ", ".join(names)

    return cell


def _aggregation(chosen: list[Obj]) -> Iterator[Cause]:
    path = "aggregationRule.clusterRoleSelectors"
    if not chosen:
        yield Cause.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for number, selector in enumerate(chosen):
        yield from label_faults(selector.get("matchLabels") or {}, f"{path}[{number}].matchLabels")
        try:
            selectors.label_selector(selector)
        except BadRequest as error:
            yield Cause.invalid(f"{path}[{number}].matchExpressions", "", error.message)


class Roles(Resource):
    columns = (NAME, CREATED)
    name = PATH_SEGMENT
    nulls = ("rules",)
    grants = (Grant("admin", "roles", f"{READ} {WRITE}"),)

    def check(self, obj: Obj) -> Iterator[Cause]:
        namespaced = obj["kind"] == "Role"
        for number, rule in enumerate(obj.get("rules") or []):
            path = f"rules[{number}]"
            urls = rule.get("nonResourceURLs")
            if not rule.get("verbs"):
                yield Cause.required(f"{path}.verbs", "verbs must contain at least one value")
            if urls and namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                yield Cause.invalid(f"{path}.nonResourceURLs", urls, why)
            elif urls and (rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield Cause.invalid(f"{path}.nonResourceURLs", urls, why)
            elif not urls:
                if not rule.get("apiGroups"):
                    yield Cause.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
                if not rule.get("resources"):
                    yield Cause.required(f"{path}.resources", "resource rules must supply at least one resource")
        if obj.get("aggregationRule") is not None:
            yield from _aggregation(obj["aggregationRule"].get("clusterRoleSelectors") or [])


class Bindings(Resource):
    columns = (
        NAME, reference("Role", "roleRef"), AGE,
        *(Column(f"{kind}s", _subjects(kind), 1) for kind in ("User", "Group", "ServiceAccount")),
    )  # fmt: skip
    grants = (Grant("admin", "rolebindings", f"{READ} {WRITE}"),)
    name = PATH_SEGMENT

    def check_change(self, old: Obj, new: Obj) -> Iterable[Cause]:
        before, after = old["roleRef"], new["roleRef"]
        if before != after:
            group, kind, name = (after.get(each, "") for each in ("apiGroup", "kind", "name"))
            found = f'rbac.RoleRef{{APIGroup:"{group}", Kind:"{kind}", Name:"{name}"}}'
            yield Cause("roleRef", "FieldValueInvalid", f"Invalid value: {found}: cannot change roleRef")

    def default(self, obj: Obj) -> None:
        fill(obj["roleRef"], apiGroup=RBAC)
        for subject in obj.get("subjects") or []:
            if subject.get("kind") in ("User", "Group"):
                fill(subject, apiGroup=RBAC)

    def check(self, obj: Obj) -> Iterator[Cause]:
        role = obj.get("roleRef") or {}
        kinds = ["ClusterRole", "Role"] if obj["kind"] == "RoleBinding" else ["ClusterRole"]
        yield from one_of(role.get("apiGroup", ""), "roleRef.apiGroup", RBAC)
        yield from one_of(role.get("kind", ""), "roleRef.kind", *kinds)
        yield from required(role, "roleRef", "name")
        for number, subject in enumerate(obj.get("subjects") or []):
            path, kind = f"subjects[{number}]", subject.get("kind", "")
            group = "" if kind == "ServiceAccount" else RBAC
            yield from required(subject, path, "name")
            yield from one_of(kind, f"{path}.kind", *SUBJECTS)
            if kind in SUBJECTS:
                yield from one_of(subject.get("apiGroup", ""), f"{path}.apiGroup", group)
            if kind == "ServiceAccount":
                yield from required(subject, path, "namespace")


RESOURCES = [Roles(ROLES), Bindings(ROLEBINDINGS), Roles(CLUSTERROLES), Bindings(CLUSTERROLEBINDINGS)]
