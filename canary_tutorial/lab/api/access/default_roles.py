"""The roles and bindings that every cluster has from the start: cluster-admin, admin, edit, view, discovery.

Shorter than the originals, by the kinds that the lab does not serve.
"""

from __future__ import annotations

from canary_tutorial.lab.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC
from canary_tutorial.lab.objects import Obj
from canary_tutorial.lab.store import Store

LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]


def rule(groups: str, resources: str, verbs: list[str]) -> Obj:
    """A rule from blank-separated names; the core group is `core`."""
    named = ["" if group == "core" else group for group in groups.split()]
    return {"apiGroups": named, "resources": resources.split(), "verbs": verbs}


def urls(*paths: str) -> Obj:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


VIEW = [
    rule("core", "configmaps endpoints events namespaces serviceaccounts services services/status", READ),
    rule("core", "pods pods/log pods/status", READ),
    rule("apps", "deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status", READ),
    rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
    rule("discovery.k8s.io", "endpointslices", READ),
]  # fmt: skip
EDIT = [
    rule("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
    rule("core", "serviceaccounts", ["impersonate"]),
    rule("core", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
    rule("core", "pods/eviction serviceaccounts/token", ["create"]),
    rule("core", "configmaps endpoints secrets serviceaccounts services services/proxy", WRITE),
    rule("core", "events", ["create", "patch", "update"]),
    rule("apps", "deployments deployments/rollback deployments/scale replicasets replicasets/scale", WRITE),
    rule("autoscaling", "horizontalpodautoscalers", WRITE),
    rule("coordination.k8s.io", "leases", READ + WRITE),
]
ADMIN = [
    rule(RBAC, "rolebindings roles", READ + WRITE),
    rule("authorization.k8s.io", "localsubjectaccessreviews", ["create"]),
]
HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [rule("*", "*", ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "admin": ADMIN + EDIT + VIEW,
    "edit": EDIT + VIEW,
    "view": VIEW,
    "system:discovery": [urls("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *HEALTH)],
    "system:public-info-viewer": [urls(*HEALTH)],
    "system:basic-user": [
        rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", ["create"]),
        rule("authentication.k8s.io", "selfsubjectreviews", ["create"]),
    ],
}
AGGREGATED = {"admin": ("admin", "edit", "view"), "edit": ("edit", "view"), "view": ("view",)}
BINDINGS = {
    "cluster-admin": "system:masters",
    "system:discovery": "system:authenticated",
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
