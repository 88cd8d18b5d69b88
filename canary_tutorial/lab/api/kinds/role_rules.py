"""What roles and bindings must say, in Kubernetes' words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.kinds.formats import label_faults
from canary_tutorial.lab.errors import BadRequest, Cause
from canary_tutorial.lab.kinds import RBAC
from canary_tutorial.lab.objects import Obj


def role(obj: Obj) -> Iterator[Cause]:
    namespaced = obj["kind"] == "Role"
    for number, rule in enumerate(obj.get("rules") or []):
        path = f"rules[{number}]"
        urls = rule.get("nonResourceURLs")
        if not rule.get("verbs"):
            yield Cause.required(f"{path}.verbs", "verbs must contain at least one value")
        if urls and namespaced:
            yield Cause.invalid(f"{path}.nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
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


def binding(obj: Obj) -> Iterator[Cause]:
    reference = obj.get("roleRef") or {}
    kinds = ["ClusterRole", "Role"] if obj["kind"] == "RoleBinding" else ["ClusterRole"]
    if reference.get("apiGroup") != RBAC:
        yield Cause.unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), [RBAC])
    if reference.get("kind") not in kinds:
        yield Cause.unsupported("roleRef.kind", reference.get("kind", ""), kinds)
    if not reference.get("name"):
        yield Cause.required("roleRef.name")
    for number, subject in enumerate(obj.get("subjects") or []):
        path, kind = f"subjects[{number}]", subject.get("kind", "")
        group = "" if kind == "ServiceAccount" else RBAC
        if not subject.get("name"):
            yield Cause.required(f"{path}.name")
        if kind not in ("Group", "ServiceAccount", "User"):
            yield Cause.unsupported(f"{path}.kind", kind, ["Group", "ServiceAccount", "User"])
        elif subject.get("apiGroup", "") != group:
            yield Cause.unsupported(f"{path}.apiGroup", subject.get("apiGroup", ""), [group])
        if kind == "ServiceAccount" and not subject.get("namespace"):
            yield Cause.required(f"{path}.namespace")
