"""Roles and bindings, as accounts meet them: refusals in Kubernetes' words, `auth can-i`, `--as`, and no way round."""

# ruff: noqa: E501  (a row of paths)

from __future__ import annotations

import base64
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from served_api import KUBECONFIG, Kubectl, Served
from test_clients import CRD

from canary_tutorial import connect
from canary_tutorial.connection import CONTEXT, Cluster
from canary_tutorial.connection import KUBECONFIG as KUBECONFIG_VARIABLE
from canary_tutorial.errors import Refused
from canary_tutorial.lab.kinds import CLUSTERROLES, CONFIGMAPS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
ROBOT = "system:serviceaccount:test:robot"
AS_ROBOT = f"--as={ROBOT}"
TOKEN = "test/robot"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The helper's client leaves connections open: let that be noticed here, where it is ignored."""
    yield
    gc.collect()


def grant(kubectl: Kubectl, name: str, *what: str) -> None:
    """A Role for the robot in namespace test."""
    kubectl("create", "role", name, "-n", "test", *what)
    kubectl("create", "rolebinding", name, "-n", "test", f"--role={name}", "--serviceaccount=test:robot")


def test_an_account_without_rights_is_told_which_it_lacks(kubectl: Kubectl) -> None:
    said = kubectl("get", "pods", "-n", "test", f"--token={TOKEN}", ok=False).stderr
    assert said == (
        f'Error from server (Forbidden): pods is forbidden: User "{ROBOT}" cannot list resource "pods" in API group "" '
        'in the namespace "test"\n'
    )
    said = kubectl("create", "namespace", "mine", f"--token={TOKEN}", ok=False).stderr
    assert said.endswith('cannot create resource "namespaces" in API group "" at the cluster scope\n')
    said = kubectl("get", "--raw", "/metrics", f"--token={TOKEN}", ok=False).stderr
    assert f'forbidden: User "{ROBOT}" cannot get path "/metrics"' in said


def test_a_role_opens_what_it_names_and_closes_again(server: Served, kubectl: Kubectl) -> None:
    server.pod("p")
    (server.directory / "p_app.log").write_text("2026-11-23T12:00:00.000000000Z stdout F hello\n")
    grant(kubectl, "reader", "--verb=get,list,watch", "--resource=pods,pods/log")

    assert kubectl("get", "pods", "-n", "test", "-o", "name", f"--token={TOKEN}").stdout == "pod/p\n"
    assert kubectl("logs", "-n", "test", "p", f"--token={TOKEN}").stdout == "hello\n"
    refused = kubectl("exec", "-n", "test", "p", f"--token={TOKEN}", "--", "true", ok=False).stderr
    assert 'cannot create resource "pods/exec"' in refused or 'cannot get resource "pods/exec"' in refused
    refused = kubectl("delete", "pod", "p", "-n", "test", f"--token={TOKEN}", ok=False).stderr
    assert f'pods "p" is forbidden: User "{ROBOT}" cannot delete resource "pods"' in refused
    refused = kubectl("get", "pods", "-A", f"--token={TOKEN}", ok=False).stderr
    assert refused.endswith('cannot list resource "pods" in API group "" at the cluster scope\n')

    kubectl("delete", "rolebinding", "reader", "-n", "test")
    assert kubectl("get", "pods", "-n", "test", f"--token={TOKEN}", ok=False).returncode == 1


def test_can_i_and_whoami_tell_the_truth(kubectl: Kubectl) -> None:
    grant(kubectl, "scaler", "--verb=patch", "--resource=deployments.apps/scale", "--resource-name=web")
    scale = ("auth", "can-i", "patch", "deployments.apps/web", "--subresource=scale", "-n", "test", AS_ROBOT)
    assert kubectl(*scale).stdout == "yes\n"
    answer = kubectl("auth", "can-i", "patch", "deployments.apps/web", "-n", "test", AS_ROBOT, ok=False)
    assert (answer.stdout, answer.returncode) == ("no\n", 1)
    assert kubectl("auth", "can-i", "get", "/version", AS_ROBOT).stdout == "yes\n"
    listed = [line.split() for line in kubectl("auth", "can-i", "--list", "-n", "test", AS_ROBOT).stdout.splitlines()]
    assert ["deployments.apps/scale", "[]", "[web]", "[patch]"] in listed
    assert ["selfsubjectreviews.authentication.k8s.io", "[]", "[]", "[create]"] in listed
    who = kubectl("auth", "whoami", AS_ROBOT, "-o", "json").stdout
    groups = ["system:serviceaccounts", "system:serviceaccounts:test", "system:authenticated"]
    assert json.loads(who)["status"]["userInfo"] == {"username": ROBOT, "groups": groups}


def test_who_may_not_impersonate_does_not(kubectl: Kubectl) -> None:
    for other in (("--as=admin",), ("--as=x", "--as-group=system:masters")):
        said = kubectl("get", "--raw", "/api/v1/pods", *other, f"--token={TOKEN}", ok=False).stderr
        assert (
            f'is forbidden: User "{ROBOT}" cannot impersonate resource "users" in API group "" at the cluster scope'
            in said
        )
    assert kubectl("get", "pods", "--as=jane", "--as-group=system:masters").returncode == 0
    assert kubectl("get", "pods", "--as=jane", ok=False).returncode == 1


def test_an_admin_of_a_namespace_cannot_become_more(kubectl: Kubectl) -> None:
    kubectl("create", "rolebinding", "admin", "-n", "test", "--clusterrole=admin", "--serviceaccount=test:robot")
    kubectl("create", "configmap", "c", "-n", "test", f"--token={TOKEN}")
    kubectl("create", "role", "less", "-n", "test", "--verb=get", "--resource=pods", f"--token={TOKEN}")
    for what in (
        ("role", "more", "--verb=*", "--resource=*"),
        ("rolebinding", "most", "--clusterrole=cluster-admin", "--serviceaccount=test:robot"),
    ):
        said = kubectl("create", *what, "-n", "test", f"--token={TOKEN}", ok=False).stderr
        assert "is attempting to grant RBAC permissions not currently held" in said
    assert kubectl("get", "nodes", f"--token={TOKEN}", ok=False).returncode == 1


PATHS = [
    "/api/v1/namespaces", "/api/v1/pods", "/api/v1/namespaces/test", "/api/v1/namespaces/test/pods",
    "/api/v1/namespaces/test/pods/p", "/api/v1/namespaces/test/pods/p/log", "/api/v1/namespaces/test/pods/p/exec?command=id",
    "/api/v1/namespaces/test/pods/p/attach", "/api/v1/namespaces/test/pods/p/portforward?ports=1",
    "/api/v1/namespaces/test/pods/p/proxy/", "/api/v1/namespaces/test/pods/p:1/proxy/x", "/api/v1/namespaces/test/services/s/proxy/",
    "/api/v1/namespaces/test/secrets", "/api/v1/namespaces/test/serviceaccounts/a/token", "/api/v1/namespaces/test/pods/p/eviction",
    "/apis/apps/v1/namespaces/test/deployments/d/scale", "/apis/apps/v1/namespaces/test/deployments/d/status",
    "/apis/apps/v1/deployments?watch=1&timeoutSeconds=1", "/api/v1/namespaces/test/finalize", "/api/v1/namespaces/test/status",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/events.k8s.io/v1/events", "/apis/nothing/v1/things",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews", "/apis/authentication.k8s.io/v1/tokenreviews",
    "/apis/authorization.k8s.io/v1/namespaces/test/localsubjectaccessreviews", "/metrics", "/logs", "/debug/pprof", "/", "/nowhere",
    "//api/v1/pods", "/api//v1/pods", "/api/v1//pods", "/api/v1/pods/", "/%61pi/v1/pods", "/api/v1/%70ods", "/api%2Fv1/pods",
    "/apis/authorization.k8s.io/v1/selfsubjectreviews/x%2Fsubjectaccessreviews", "/api/v1/namespaces/test/pods/../../secrets",
    "/%61pi/apps/v1/deployments", "/api/v1/namespaces/kube-system/../test/pods", "/version/../api/v1/pods", "/api/v1/pods;/version",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_without_rights_no_path_answers(server: Served, method: str) -> None:
    server.pod("p")
    server.token = TOKEN
    codes = {
        path: server.http(method, path, b"{}" if method not in ("GET", "HEAD") else None).status_code for path in PATHS
    }
    assert {path: code for path, code in codes.items() if code not in (403, 404)} == {}
    assert codes["/api/v1/pods"] == codes["/apis/nothing/v1/things"] == 403


@pytest.fixture
def robots(server: Served, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster as the helper has it with the robot's kubeconfig."""
    assert server.http("POST", CRDS, json.dumps(CRD).encode()).status_code == 201
    config = server.directory / "robot"
    config.write_text(KUBECONFIG.format(server=server.url, ca=server.ca, token=TOKEN))
    monkeypatch.setenv(CONTEXT, "lab")
    monkeypatch.setenv(KUBECONFIG_VARIABLE, str(config))
    return connect()


@pytest.mark.parametrize(
    "call",
    [
        lambda cluster: cluster.apply("test-podinfo.yaml"),
        lambda cluster: cluster.canary().release("stefanprodan/podinfo:2.1.3"),
        lambda cluster: cluster.get("pods"),
    ],
    ids=["apply", "release", "table"],
)
def test_the_helper_says_what_an_account_may_not(robots: Cluster, call: Callable[[Cluster], object]) -> None:
    with pytest.raises(Refused) as refused:
        call(robots)
    message, _, step = str(refused.value).partition("\n→ ")
    assert refused.value.status == 403
    assert f'is forbidden: User "{ROBOT}" cannot' in message
    assert step == (
        "Your account may not do this on that cluster. Ask its owner for the rights, or use the lab: connect()."
    )


RBAC = "rbac.authorization.k8s.io"
REFERENCE = {"apiGroup": RBAC, "kind": "Role", "name": "r"}
BROKEN: dict[str, tuple[str, Any]] = {
    "a binding to nothing": ("rolebindings", {"roleRef": {}}),
    "a binding without a role": ("rolebindings", {}),
    "a binding to another kind": ("rolebindings", {"roleRef": REFERENCE | {"kind": "Pod"}}),
    "an account without a namespace": (
        "rolebindings",
        {"roleRef": REFERENCE, "subjects": [{"kind": "ServiceAccount", "name": "x"}]},
    ),
    "a role beyond its namespace": ("roles", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]}),
    "a subject without a name": ("rolebindings", {"roleRef": REFERENCE, "subjects": [{"kind": "User"}]}),
    "a subject that is none": ("rolebindings", {"roleRef": REFERENCE, "subjects": ["x"]}),
    "a rule without verbs": ("roles", {"rules": [{"resources": ["pods"]}]}),
    "a rule that is none": ("roles", {"rules": ["x"]}),
    "an odd aggregation": ("clusterroles", {"aggregationRule": {"clusterRoleSelectors": ["x"]}}),
}


@pytest.mark.parametrize(("plural", "content"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_role_is_refused_and_locks_nobody_out(server: Served, plural: str, content: dict[str, Any]) -> None:
    where = "" if plural.startswith("cluster") else "namespaces/test/"
    path = f"/apis/rbac.authorization.k8s.io/v1/{where}{plural}"
    made = server.http("POST", path, json.dumps({"metadata": {"name": "r"}} | content).encode())
    assert made.status_code in (400, 422), made.text
    server.token = TOKEN
    assert server.http("GET", "/api/v1/pods").status_code == 403


def test_a_broken_binding_is_told_what_is_wrong(kubectl: Kubectl) -> None:
    meta = {"name": "r", "namespace": "test"}
    broken = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": REFERENCE | {"kind": "Pod"},
    }
    assert kubectl("apply", "-f", "-", stdin=json.dumps(broken), ok=False).stderr == (
        'The RoleBinding "r" is invalid: roleRef.kind: Unsupported value: "Pod": supported values: "ClusterRole", "Role"\n'
    )
    rules = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": [{"verbs": ["get"]}]}
    assert (
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group"
        in kubectl("apply", "-f", "-", stdin=json.dumps(rules), ok=False).stderr
    )


def allow(server: Served, *rules: dict[str, Any], namespace: str = "") -> None:
    """Give the robot rules, everywhere or in one namespace; what it does from here on it does with its own token."""
    kind, scope = ("", "Cluster") if not namespace else (f"namespaces/{namespace}/", "")
    path, name = f"/apis/{RBAC}/v1/{kind}{scope.lower()}", {"name": f"given{namespace}"}
    role = {"metadata": name, "rules": list(rules)}
    reference = {"apiGroup": RBAC, "kind": f"{scope}Role", "name": name["name"]}
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "test"}
    binding = {"metadata": name, "roleRef": reference, "subjects": [subject]}
    for plural, obj in (("roles", role), ("rolebindings", binding)):
        made = server.http("POST", path + plural, json.dumps(obj).encode())
        assert made.status_code == 201, made.text


def rule(verbs: str, resources: str, group: str = "") -> dict[str, Any]:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}


def make(server: Served, plural: str, name: str, namespace: str = "test") -> None:
    path = f"/api/v1/namespaces/{namespace}/{plural}"
    assert server.http("POST", path, json.dumps({"metadata": {"name": name}}).encode()).status_code == 201


# -- lists in pages


def first_page(server: Served, path: str) -> str:
    """The `continue` token of a list's first page."""
    answer = server.http("GET", path + ("&" if "?" in path else "?") + "limit=1")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["metadata"]["continue"])


def test_a_continue_token_opens_the_list_it_was_given_for_and_no_other(server: Served) -> None:
    for namespace in ("test", "default"):
        for name in ("a", "b", "c"):
            make(server, "secrets", name, namespace)
            make(server, "configmaps", name, namespace)
    token = first_page(server, "/api/v1/secrets")
    for path in (
        "/api/v1/configmaps", "/api/v1/namespaces/test/secrets", "/api/v1/secrets?labelSelector=a%3Db",
        "/api/v1/secrets?fieldSelector=metadata.name%3Da",
    ):  # fmt: skip
        refused = server.http("GET", path + ("&" if "?" in path else "?") + f"continue={token}")
        assert (refused.status_code, refused.json()["reason"]) == (400, "BadRequest"), path
    again = server.http("GET", f"/api/v1/secrets?continue={token}")
    assert [each["metadata"]["name"] for each in again.json()["items"]] == ["b", "c", "a", "b", "c"]


def test_a_continue_token_is_for_the_user_it_was_given_to(server: Served) -> None:
    for name in ("a", "b", "c"):
        make(server, "secrets", name)
    token = first_page(server, "/api/v1/namespaces/test/secrets")
    allow(server, rule("list get", "configmaps secrets"), namespace="test")
    server.token = TOKEN
    for path in ("/api/v1/namespaces/test/secrets", "/api/v1/namespaces/test/configmaps"):
        assert server.http("GET", f"{path}?continue={token}").status_code == 400
    own = first_page(server, "/api/v1/namespaces/test/secrets")
    assert server.http("GET", f"/api/v1/namespaces/test/secrets?limit=1&continue={own}").status_code == 200


def test_a_continue_token_outlives_no_right(server: Served) -> None:
    for name in ("a", "b"):
        make(server, "secrets", name)
    allow(server, rule("list", "secrets"), namespace="test")
    admin, server.token = server.token, TOKEN
    token = first_page(server, "/api/v1/namespaces/test/secrets")
    server.token = admin
    assert server.http("DELETE", f"/apis/{RBAC}/v1/namespaces/test/rolebindings/giventest").status_code == 200
    server.token = TOKEN
    assert server.http("GET", f"/api/v1/namespaces/test/secrets?continue={token}").status_code == 403


def test_a_continue_token_deletes_nothing_elsewhere(server: Served) -> None:
    for namespace in ("test", "default"):
        for name in ("a", "b", "c"):
            make(server, "configmaps", name, namespace)
    allow(server, rule("list", "configmaps"))
    allow(server, rule("deletecollection", "configmaps"), namespace="test")
    server.token = TOKEN
    token = first_page(server, "/api/v1/configmaps")
    assert server.http("DELETE", "/api/v1/namespaces/default/configmaps").status_code == 403
    assert server.http("DELETE", f"/api/v1/namespaces/test/configmaps?continue={token}").status_code == 400
    left = server.http("GET", "/api/v1/configmaps").json()["items"]
    assert len(left) == 6


def test_a_continue_token_tells_nothing_and_cannot_be_guessed(server: Served) -> None:
    for name in ("a", "b", "c"):
        make(server, "configmaps", name)
    path = "/api/v1/configmaps"
    seen = {json.loads(base64.urlsafe_b64decode(first_page(server, path) + "=="))["start"] for _ in range(3)}
    assert len(seen) == 3
    assert all(len(each) >= 32 for each in seen)
    deep = base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":1,"start":' + b"[" * 4000).decode()
    for token in ("x", "%00", "e30", base64.b64encode(b"[1]").decode(), deep, "%F0%9F%98%80"):
        refused = server.http("GET", f"{path}?continue={token}")
        assert refused.status_code == 400, token
        assert refused.json()["message"].startswith("invalid continue token: continue key is not valid: "), token
    old = base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":1,"start":"gone"}').decode()
    assert server.http("GET", f"{path}?continue={old}").status_code == 410


# -- roles that would give more than their maker has

ROLES_VERBS = "get list create update patch"
AGGREGATED = {"clusterRoleSelectors": [{"matchLabels": {"ev": "il"}}]}


@pytest.fixture
def maker(server: Served) -> Served:
    """The robot may make roles and bindings and read ConfigMaps, and nothing else."""
    resources = "roles rolebindings clusterroles clusterrolebindings"
    allow(server, rule(ROLES_VERBS, resources, RBAC), rule("get list patch", "configmaps"))
    server.token = TOKEN
    return server


def send(server: Served, method: str, path: str, obj: Any, media: str = "application/json") -> httpx.Response:
    return server.http(method, f"/apis/{RBAC}/v1/{path}", json.dumps(obj).encode(), Content_Type=media)


def role(name: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules), **more}


MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


def test_an_aggregation_rule_takes_all_rights(maker: Served) -> None:
    refused = send(maker, "POST", "clusterroles", role("evil", aggregationRule=AGGREGATED))
    assert (refused.status_code, refused.json()["message"]) == (
        403, f'clusterroles.{RBAC} "evil" is forbidden: must have cluster-admin privileges to use an aggregationRule'
    )  # fmt: skip
    assert send(maker, "POST", "clusterroles", role("mine", rule("get", "configmaps"))).status_code == 201
    more = role("mine", rule("get", "configmaps"), aggregationRule=AGGREGATED)
    for method, path, obj, media in (
        ("PUT", "clusterroles/mine", more, "application/json"),
        ("PATCH", "clusterroles/mine", {"aggregationRule": AGGREGATED}, MERGE),
        ("PATCH", "clusterroles/mine?fieldManager=m&force=true", more, APPLY),
        ("PATCH", "clusterroles/new?fieldManager=m", role("new", aggregationRule=AGGREGATED), APPLY),
        ("PATCH", "clusterroles/mine?dryRun=All", {"aggregationRule": AGGREGATED}, MERGE),
    ):
        assert send(maker, method, path, obj, media).status_code == 403, (method, path)


def test_a_label_on_a_role_gives_no_rights_away(maker: Served) -> None:
    label = {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}
    for name, code in (("cluster-admin", 403), ("view", 403)):
        assert send(maker, "PATCH", f"clusterroles/{name}", label, MERGE).status_code == code
        config = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name, **label["metadata"]}}
        assert send(maker, "PATCH", f"clusterroles/{name}?fieldManager=m&force=true", config, APPLY).status_code == code
    assert send(maker, "POST", "clusterroles", role("mine", rule("get", "configmaps"))).status_code == 201
    assert send(maker, "PATCH", "clusterroles/mine", label, MERGE).status_code == 200, "what one has one may give"


def test_a_binding_takes_the_rights_that_it_gives_or_the_right_to_bind(maker: Served) -> None:
    def binding(name: str) -> dict[str, Any]:
        subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "test"}
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        return {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]}

    for path in ("clusterrolebindings", "namespaces/test/rolebindings"):
        assert send(maker, "POST", path, binding("cluster-admin")).status_code == 403
        assert send(maker, "POST", path, binding("nowhere")).status_code == 404
    others = {"subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "test"}]}
    assert send(maker, "PATCH", "clusterrolebindings/cluster-admin", others, MERGE).status_code == 403
    assert maker.http("GET", "/api/v1/secrets").status_code == 403


def test_a_role_of_countless_rights_is_weighed_soon(maker: Served) -> None:
    many = [f"x{i}" for i in range(2000)]
    refused = send(maker, "POST", "clusterroles", role("r", {"verbs": many, "apiGroups": many, "resources": many}))
    assert refused.status_code == 403
    assert "attempting to grant RBAC permissions not currently held" in refused.json()["message"]


def test_an_aggregation_rule_that_cannot_be_read_is_refused(server: Served) -> None:
    for rule_ in ({"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "Near"}]}]}, {}):
        assert send(server, "POST", "clusterroles", role("r", aggregationRule=rule_)).status_code == 422


# -- server-side apply


def test_apply_creates_only_for_who_may_create(maker: Served) -> None:
    def apply(name: str) -> httpx.Response:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
        path = f"/api/v1/namespaces/test/configmaps/{name}?fieldManager=m"
        return maker.http("PATCH", path, json.dumps(config).encode(), Content_Type=APPLY)

    refused = apply("new")
    assert (refused.status_code, refused.json()["message"]) == (
        403, f'configmaps "new" is forbidden: User "{ROBOT}" cannot create resource "configmaps" in API group "" in the '
        'namespace "test"'
    )  # fmt: skip
    maker.call(maker.store.create, CONFIGMAPS, {"metadata": {"name": "old", "namespace": "test"}})
    assert apply("old").status_code == 200


def test_apply_to_the_status_of_what_is_not_there_makes_nothing(server: Served) -> None:
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 1}}
    path = "/apis/apps/v1/namespaces/test/deployments/d"
    made = server.http("PATCH", f"{path}/status?fieldManager=m", json.dumps(config).encode(), Content_Type=APPLY)
    assert made.status_code == 404
    assert server.http("GET", path).status_code == 404


def test_extra_words_about_another_user_take_their_own_right(maker: Served) -> None:
    assert maker.http("GET", "/api/v1/configmaps", Impersonate_Extra_scopes="all").status_code == 400
    allowed = rule("impersonate", "users")
    maker.call(maker.store.change, CLUSTERROLES, "given", None, lambda obj: obj["rules"].append(allowed))
    headers = {"Impersonate_User": "jane", "Impersonate_Extra_scopes": "all"}
    assert '"userextras/scopes"' in maker.http("GET", "/api", **headers).json()["message"]
