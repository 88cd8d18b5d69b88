"""The roles and bindings that every cluster has from the start: cluster-admin, admin, edit, view, discovery.

Shorter than Kubernetes' own: without the kinds that the lab does not serve.
"""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.registry import RESOURCES
from canary_tutorial.lab.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Store

LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


def rule(group: str, resources: str, verbs: str) -> Obj:
    """A rule from blank-separated names."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def urls(*paths: str) -> Obj:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


def granted(role: str) -> list[Obj]:
    """What a role may do with the built-in kinds: one rule for all of a group with the same verbs."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for resource in RESOURCES:
        for grant in resource.grants:
            if grant.role == role:
                found.setdefault((resource.kind.group, grant.verbs), {}).update(dict.fromkeys(grant.resources.split()))
    return [rule(group, " ".join(names), verbs) for (group, verbs), names in found.items()]


VIEW, EDIT = granted("view"), granted("edit")
ADMIN = [*granted("admin"), rule("authorization.k8s.io", "localsubjectaccessreviews", "create")]
HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [rule("*", "*", "*"), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "admin": ADMIN + EDIT + VIEW,
    "edit": EDIT + VIEW,
    "view": VIEW,
    "system:discovery": [urls("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *HEALTH)],
    "system:service-account-issuer-discovery": [
        urls(
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/",
            "/openid/v1/jwks",
            "/openid/v1/jwks/",
        )
    ],
    "system:public-info-viewer": [urls(*HEALTH)],
    "system:basic-user": [
        rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
        rule("authentication.k8s.io", "selfsubjectreviews", "create"),
    ],
}
AGGREGATED = {"admin": ("admin", "edit", "view"), "edit": ("edit", "view"), "view": ("view",)}
BINDINGS = {
    "cluster-admin": "system:masters",
    "system:discovery": "system:authenticated",
    "system:service-account-issuer-discovery": "system:serviceaccounts",
    "system:public-info-viewer": "system:authenticated",
    "system:basic-user": "system:authenticated",
}


def create(store: Store) -> None:
    """Put them into a new store."""
    for name, rules in ROLES.items():
        role: Obj = {"metadata": _meta(name), "rules": rules}
        if name in AGGREGATED:
            keys = [f"rbac.authorization.k8s.io/aggregate-to-{each}" for each in AGGREGATED[name]]
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {key: "true"}} for key in keys]}
        store.create(CLUSTERROLES, role)
    for name, group in BINDINGS.items():
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        subject = {"apiGroup": RBAC, "kind": "Group", "name": group}
        store.create(CLUSTERROLEBINDINGS, {"metadata": _meta(name), "roleRef": reference, "subjects": [subject]})


def _meta(name: str) -> Obj:
    return {"name": name, "labels": dict(LABELS), "annotations": dict(ANNOTATIONS)}
