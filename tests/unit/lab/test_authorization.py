"""Who may do what: one table of roles and requests, and the words of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab.api.access import default_roles
from canary_tutorial.lab.api.access.authorization import Attributes, Authorizer, check_escalation, user_of
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.errors import Forbidden, NotFound
from canary_tutorial.lab.kinds import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    NAMESPACES,
    ROLEBINDINGS,
    ROLES,
)
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]
JANE = user_of("jane", ["developers"])
ROBOT = user_of("system:serviceaccount:test:robot", [])


def rule(verbs: str, resources: str = "", group: str = "", **more: Any) -> Obj:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(), **more}


def world(*rules: Obj, subject: Obj | None = None, namespace: str = "") -> Authorizer:
    """A cluster in which one subject (jane) has some rules, everywhere or in one namespace."""
    store = Store(KINDS)
    for name in ("test", "other"):
        store.create(NAMESPACES, {"metadata": {"name": name}})
    default_roles.create(store)
    bind(store, list(rules), subject or {"kind": "User", "name": "jane"}, namespace)
    return Authorizer(store)


def bind(store: Store, rules: list[Obj], subject: Obj, namespace: str = "") -> None:
    meta = {"name": "given"} | ({"namespace": namespace} if namespace else {})
    store.create(ROLES if namespace else CLUSTERROLES, {"metadata": meta, "rules": rules})
    reference = {"kind": "Role" if namespace else "ClusterRole", "name": "given"}
    kind = ROLEBINDINGS if namespace else CLUSTERROLEBINDINGS
    store.create(kind, {"metadata": meta, "roleRef": reference, "subjects": [subject]})


def may(authorizer: Authorizer, wanted: Attributes, user: Any = JANE) -> bool:
    return authorizer.why(user, wanted) is not None


@pytest.mark.parametrize(
    ("given", "wanted", "allowed"),
    [
        (rule("get", "pods"), Attributes("get", "", "pods", "test", "p"), True),
        (rule("get", "pods"), Attributes("list", "", "pods", "test"), False),
        (rule("get", "pods"), Attributes("get", "apps", "pods", "test", "p"), False),
        (rule("get", "pods"), Attributes("get", "", "pods/log", "test", "p"), False),
        (rule("get", "pods/log"), Attributes("get", "", "pods/log", "test", "p"), True),
        (rule("*", "*/scale", "apps"), Attributes("patch", "apps", "deployments/scale", "test", "d"), True),
        (rule("*", "*/scale", "apps"), Attributes("patch", "apps", "deployments", "test", "d"), False),
        (rule("*", "*", "*"), Attributes("delete", "x.y", "z/w", "", "n"), True),
        (rule("get", "pods", resourceNames=["p"]), Attributes("get", "", "pods", "test", "p"), True),
        (rule("get", "pods", resourceNames=["p"]), Attributes("get", "", "pods", "test", "q"), False),
        (rule("list", "pods", resourceNames=["p"]), Attributes("list", "", "pods", "test"), False),
        (rule("get", nonResourceURLs=["/metrics"]), Attributes("get", path="/metrics"), True),
        (rule("get", nonResourceURLs=["/logs/*"]), Attributes("get", path="/logs/a/b"), True),
        (rule("get", nonResourceURLs=["/logs/*"]), Attributes("get", path="/logs"), False),
        (rule("*", "*", "*"), Attributes("get", path="/metrics"), False),
    ],
)
def test_a_rule_allows_what_it_names_and_no_more(given: Obj, wanted: Attributes, allowed: bool) -> None:
    assert may(world(given), wanted) is allowed


def test_a_role_counts_in_its_namespace_alone() -> None:
    authorizer = world(rule("*", "pods", nonResourceURLs=["*"]), namespace="test")
    assert may(authorizer, Attributes("list", "", "pods", "test"))
    assert not may(authorizer, Attributes("list", "", "pods", "other"))
    assert not may(authorizer, Attributes("list", "", "pods")), "not all namespaces"
    assert not may(authorizer, Attributes("get", path="/metrics"))


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "ServiceAccount", "name": "robot", "namespace": "test"},
        {"kind": "User", "name": "system:serviceaccount:test:robot"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:test"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
    ids=lambda subject: f"{subject['kind']} {subject['name']}",
)
def test_an_account_has_what_it_and_its_groups_are_given(subject: Obj) -> None:
    authorizer = world(rule("get", "pods"), subject=subject)
    assert may(authorizer, Attributes("get", "", "pods", "other", "p"), ROBOT)
    assert may(authorizer, Attributes("get", "", "pods", "other", "p")) is (subject["name"] == "system:authenticated")


def test_masters_may_everything_and_everybody_may_discover() -> None:
    authorizer = world()
    authorizer.check(user_of("admin", ["system:masters"]), Attributes("delete", "", "nodes", "", "lab"))
    for path in ("/version", "/api", "/apis/apps/v1", "/openapi/v3"):
        authorizer.check(JANE, Attributes("get", path=path))
    authorizer.check(JANE, Attributes("create", "authorization.k8s.io", "selfsubjectaccessreviews"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Attributes("list", "", "pods", "test"),
         'pods is forbidden: User "system:serviceaccount:test:robot" cannot list resource "pods" in API group "" '
         'in the namespace "test"'),
        (Attributes("get", "apps", "deployments/scale", "test", "web"),
         'deployments.apps "web" is forbidden: User "system:serviceaccount:test:robot" cannot get resource '
         '"deployments/scale" in API group "apps" in the namespace "test"'),
        (Attributes("delete", "", "nodes", "", "lab"),
         'nodes "lab" is forbidden: User "system:serviceaccount:test:robot" cannot delete resource "nodes" in API '
         'group "" at the cluster scope'),
        (Attributes("get", path="/metrics"),
         'forbidden: User "system:serviceaccount:test:robot" cannot get path "/metrics"'),
    ],
)  # fmt: skip
def test_a_refusal_has_kubernetes_words(wanted: Attributes, message: str) -> None:
    with pytest.raises(Forbidden) as refused:
        world().check(ROBOT, wanted)
    assert refused.value.message == message


def test_what_was_given_or_taken_counts_at_once() -> None:
    store = Store(KINDS)
    authorizer, wanted = Authorizer(store), Attributes("get", "", "pods", "test", "p")
    assert not may(authorizer, wanted)
    bind(store, [rule("get", "pods")], {"kind": "User", "name": "jane"})
    assert (
        authorizer.why(JANE, wanted)
        == 'RBAC: allowed by ClusterRoleBinding "given" of ClusterRole "given" to User "jane"'
    )
    store.change(CLUSTERROLES, "given", None, lambda role: role.update(rules=[]))
    assert not may(authorizer, wanted)


def test_a_role_has_the_rules_of_those_it_aggregates() -> None:
    store = Store(KINDS)
    default_roles.create(store)
    meta = {"name": "more", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}
    store.create(CLUSTERROLES, {"metadata": meta, "rules": [rule("get", "canaries", "flagger.app")]})
    reference, jane = {"kind": "ClusterRole", "name": "edit"}, {"kind": "User", "name": "jane"}
    store.create(CLUSTERROLEBINDINGS, {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [jane]})
    authorizer = Authorizer(store)
    assert may(authorizer, Attributes("get", "flagger.app", "canaries", "test", "podinfo"))
    assert may(authorizer, Attributes("create", "", "pods/exec", "test", "p"))
    assert not may(authorizer, Attributes("get", "", "nodes", "", "lab"))


def test_nobody_gives_away_what_they_have_not() -> None:
    authorizer = world(
        rule("*", "pods"), rule("create update", "roles rolebindings", "rbac.authorization.k8s.io"), namespace="test"
    )
    meta = {"name": "r", "namespace": "test"}
    check_escalation(authorizer, JANE, ROLES, {"metadata": meta, "rules": [rule("get list", "pods")]})
    with pytest.raises(Forbidden) as refused:
        check_escalation(
            authorizer, JANE, ROLES, {"metadata": meta, "rules": [rule("get", "pods"), rule("get", "secrets")]}
        )
    assert refused.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["developers" "system:authenticated"]) is '
        'attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    admin = {"metadata": meta, "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}
    with pytest.raises(Forbidden):
        check_escalation(authorizer, JANE, ROLEBINDINGS, admin)
    everything = {"clusterRoleSelectors": [{"matchLabels": default_roles.LABELS}]}
    with pytest.raises(Forbidden):
        check_escalation(authorizer, JANE, CLUSTERROLES, {"metadata": {"name": "r"}, "aggregationRule": everything})
    nowhere = {"metadata": meta, "roleRef": {"kind": "Role", "name": "nowhere"}}
    with pytest.raises(NotFound):
        check_escalation(authorizer, JANE, ROLEBINDINGS, nowhere)
