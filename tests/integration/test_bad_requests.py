"""Nothing that a client sends makes the API server fail or hang: no token, broken bodies, odd paths, random requests."""

# ruff: noqa: E501  (a case of a table is one line)

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import json
import socket
import ssl
import time
import zlib
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_api import Served

from canary_tutorial.lab import kinds
from canary_tutorial.lab.api import make_app
from canary_tutorial.lab.api.access import default_roles
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.store import Store

Obj = dict[str, Any]


def deployment(name: str = "d") -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}


def test_without_a_token_only_health_answers(server: Served) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert server.http("GET", path, Authorization="").status_code == 200
    for path in (
        "/",
        "/api",
        "/apis",
        "/version",
        "/openapi/v3",
        "/api/v1/pods",
        "/nowhere",
        "/api/v1/namespaces/test/pods/p/exec",
    ):
        for header in ("", "Bearer", "Bearer wrong", "Basic YTpi", f"Bearer {server.token}x"):
            refused = server.http("GET", path, Authorization=header)
            assert (refused.status_code, refused.json()["reason"]) == (401, "Unauthorized"), path


BODIES: dict[str, tuple[bytes, str, int]] = {
    "cut JSON": (b'{"metadata": {', "application/json", 400),
    "a list": (b"[]", "application/json", 400),
    "nothing": (b"", "application/json", 400),
    "bad UTF-8": (b'{"metadata": {"name": "\xff"}}', "application/json", 400),
    "deep": (b'{"metadata":' * 3000 + b"1" + b"}" * 3000, "application/json", 400),
    "bad YAML": (b"a: [", "application/yaml", 400),
    "an unknown format": (b"x", "text/csv", 415),
    "another kind": (json.dumps({"kind": "Pod", "apiVersion": "apps/v1"}).encode(), "application/json", 400),
    "another version": (
        json.dumps({"kind": "Deployment", "apiVersion": "apps/v1beta1"}).encode(),
        "application/json",
        400,
    ),
    "metadata of another type": (b'{"metadata": [], "spec": 1}', "application/json", 400),
    "labels of another type": (b'{"metadata": {"name": "x", "labels": {"a": 1}}}', "application/json", 400),
    "a name with a path": (json.dumps(deployment("../../etc/passwd")).encode(), "application/json", 422),
    "a name that is empty": (json.dumps(deployment("")).encode(), "application/json", 422),
    "a very long name": (json.dumps(deployment("x" * 300)).encode(), "application/json", 422),
    "another namespace": (
        json.dumps(deployment() | {"metadata": {"name": "x", "namespace": "other"}}).encode(),
        "application/json",
        400,
    ),
    "more than is taken": (b'{"a": "' + b"x" * (3 * 1024 * 1024) + b'"}', "application/json", 413),
}


@pytest.mark.parametrize(("body", "content_type", "code"), BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_refused_with_a_status(server: Served, body: bytes, content_type: str, code: int) -> None:
    path = "/apis/apps/v1/namespaces/test/deployments"
    refused = server.http("POST", path, body, Content_Type=content_type)
    status = refused.json()
    assert (refused.status_code, status["kind"], status["code"]) == (code, "Status", code), status
    assert status["message"]


def test_a_gzip_bomb_is_too_large(server: Served) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    refused = server.http("POST", "/api/v1/namespaces/test/configmaps", bomb, Content_Encoding="gzip")
    assert refused.status_code == 413


def test_gzip_yaml_and_no_content_type_are_understood(server: Served) -> None:
    path = "/api/v1/namespaces/test/configmaps"
    body = gzip.compress(b'{"metadata": {"name": "a"}}')
    assert server.http("POST", path, body, Content_Encoding="gzip").status_code == 201
    assert server.http("POST", path, b"metadata: {name: b}", Content_Type="application/yaml").status_code == 201
    assert server.http("POST", path, b'{"metadata": {"name": "c"}}').status_code == 201
    assert (
        server.http("GET", f"{path}/a", Accept="application/yaml, application/json").json()["metadata"]["name"] == "a"
    )
    assert server.http("GET", f"{path}/a", Accept="application/yaml").status_code == 406

    def fill() -> None:
        for i in range(2000):
            server.store.create(kinds.CONFIGMAPS, {"metadata": {"name": f"x{i}", "namespace": "test"}})

    server.call(fill)
    listed = server.http("GET", path, Accept_Encoding="gzip")
    assert (listed.headers["Content-Encoding"], len(listed.json()["items"])) == ("gzip", 2003)


@pytest.mark.parametrize(
    ("path", "code"),
    [
         ("/api/v1/namespaces/test/pods/..%2F..%2Fetc", 404),
        ("/api/v1/namespaces/test/pods/%00", 404), ("/api/v1/namespaces/%2e%2e/pods", 200), ("/api/v1/pods/p", 404),
        ("/api/v1/nodes/n/x", 404), ("/api/v2/pods", 404), ("/apis/apps/v1beta1/deployments", 404), ("/apis/nothing/v1/x", 404),
        ("/apis/apps", 200), ("/apis/nothing", 404), ("/api/v1/namespaces/test/pods/p/log", 404), ("/openapi/v3/apis/x", 404),
        ("/api/v1/namespaces/test/nothing", 404), ("/api/v1/namespaces/test/pods?limit=x", 400), ("/api/v1/pods?limit=-1", 400),
        ("/api/v1/pods?labelSelector=%3D", 400), ("/api/v1/pods?fieldSelector=spec.x%3D1", 400), ("/api/v1/pods?continue=x", 400),
        ("/api/v1/pods?watch=1&resourceVersion=abc", 400), ("/api/v1/pods?watch=1&timeoutSeconds=x", 400),
        ("/api/v1/namespaces/test/pods/p/exec?command=ls", 404), ("/api/v1/namespaces/test/services/a:b:c:d/proxy/", 400),
    ],
)  # fmt: skip
def test_odd_paths_get_a_clear_answer(server: Served, path: str, code: int) -> None:
    answer = server.http("GET", path)
    assert answer.status_code == code, answer.text
    assert answer.json()["kind"]


def test_a_field_that_cannot_be_selected_by_is_named_as_a_real_server_names_it(server: Served) -> None:
    said = server.http("GET", "/api/v1/pods?fieldSelector=spec.x%3D1").json()["message"]
    assert said == "field label not supported: spec.x"
    said = server.http("GET", "/api/v1/configmaps?fieldSelector=data.a%3D1").json()["message"]
    assert said == '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"'


def test_methods_that_make_no_sense_are_not_allowed(server: Served) -> None:
    for method, path in (
        ("PUT", "/api/v1/pods"),
        ("POST", "/api/v1/namespaces/test/pods/p"),
        ("PATCH", "/api"),
        ("TRACE", "/api/v1/pods"),
    ):
        assert server.http(method, path, b"{}").status_code in (404, 405), path


names = st.sampled_from(["d", "c", "test", "x", "..", "%2e", "é", "a" * 300, "", "\x00", "_"])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
keys = st.sampled_from(
    ["metadata", "spec", "status", "name", "namespace", "labels", "annotations", "replicas", "selector", "matchLabels", "template",
     "containers", "image", "ports", "port", "data", "finalizers", "ownerReferences", "managedFields", "resourceVersion", "$patch",
     "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "versions", "names", "group", "subsets",
     "deletionTimestamp", "generateName", "metrics", "rules", "webhooks", "strategy", "rollingUpdate", "env", "volumes", "op", "path",
     "propagationPolicy", "preconditions", "schema", "openAPIV3Schema", "properties", "type", "kind", "apiVersion"]
) | st.text(max_size=4)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)
plurals = st.sampled_from([(kind.group, kind.version, kind.plural, kind.namespaced) for kind in KINDS] + [
    ("flagger.app", "v1", "canaries", True), ("autoscaling", "v1", "horizontalpodautoscalers", True),
    ("events.k8s.io", "v1", "events", True), ("authentication.k8s.io", "v1", "tokenreviews", False), ("x", "v9", "y", False)])  # fmt: skip
subresources = st.sampled_from(
    ["", "", "", "/status", "/scale", "/log", "/exec", "/proxy/", "/portforward", "/token", "/eviction", "/finalize"]
)
parameters = st.dictionaries(
    st.sampled_from(["dryRun", "fieldManager", "fieldValidation", "force", "limit", "continue", "labelSelector", "fieldSelector",
                     "resourceVersion", "resourceVersionMatch", "propagationPolicy", "gracePeriodSeconds", "includeObject", "pretty"]),
    st.sampled_from(["", "All", "true", "1", "0", "-1", "x", "Strict", "a=b", "a in (b)", "Foreground", "Exact", "999999999999999999999"]),
    max_size=3,
)  # fmt: skip
media = st.sampled_from(
    ["application/json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json",
     "application/apply-patch+yaml", "application/yaml", "", "application/vnd.kubernetes.protobuf", "text/html"]
)  # fmt: skip
accepts = st.sampled_from(["", "*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "text/html", ";;,",
                           "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"])  # fmt: skip


CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "http"}], "env": [{"name": "A", "value": "b"}],
             "readinessProbe": {"httpGet": {"path": "/", "port": "http"}}, "resources": {"limits": {"cpu": "1"}}}  # fmt: skip
TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [CONTAINER], "volumes": [{"name": "v", "emptyDir": {}}]},
}
WORKLOAD = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
GOOD: dict[str, Obj] = {
    "deployments": {"spec": WORKLOAD | {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
    "replicasets": {"spec": WORKLOAD},
    "pods": {"spec": TEMPLATE["spec"]},
    "services": {"spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"a": "b"}}},
    "endpoints": {"subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}]},
    "configmaps": {"data": {"a": "b"}},
    "secrets": {"stringData": {"a": "b"}, "data": {"c": "ZA=="}},
    "horizontalpodautoscalers": {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "metrics": [METRIC]}},
    "events": {"involvedObject": {"kind": "Pod", "name": "p"}, "message": "m", "reason": "R", "count": 1},
    "roles": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["p"]}]},
    "clusterroles": {"rules": [{"nonResourceURLs": ["/x/*"], "verbs": ["*"]}], "aggregationRule": {
        "clusterRoleSelectors": [{"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}]}},
    "rolebindings": {"subjects": [{"kind": "User", "name": "admin"}, {"kind": "ServiceAccount", "name": "x", "namespace": "test"}],
                     "roleRef": {"kind": "Role", "name": "d", "apiGroup": kinds.RBAC}},
    "clusterrolebindings": {"subjects": [{"kind": "User", "name": "admin"}], "roleRef": {
        "kind": "ClusterRole", "name": "d", "apiGroup": kinds.RBAC}},
    "endpointslices": {"addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"port": 80}]},
    "customresourcedefinitions": {"spec": {"group": "x.y", "scope": "Namespaced", "names": {"plural": "as", "kind": "A"}, "versions": [
        {"name": "v1", "served": True, "storage": True, "additionalPrinterColumns": [{"name": "S", "type": "string", "jsonPath": ".s"}],
         "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "oneOf": [{"required": ["a"]}],
          "properties": {"a": {"type": "integer", "minimum": 1, "default": 2}, "b": {"type": "array", "items": {"type": "string"}}}}}}}}]}},
    "mutatingwebhookconfigurations": {"webhooks": [{"name": "a.b.c", "clientConfig": {"service": {"name": "s", "namespace": "n"}},
        "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [{"operations": ["*"]}]}]},
    "canaries": {"kind": "Canary", "spec": {"replicas": 1}},
    "leases": {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 5}},
}  # fmt: skip


@st.composite
def objects(draw: st.DrawFn, plural: str) -> Any:
    """A good object of its kind, with a few random places changed or taken away."""
    name = draw(st.sampled_from(["d", "c", "x", "as.x.y", "e1"]))
    body: Any = copy.deepcopy(
        {"metadata": {"name": name, "labels": {"a": "b"}, "finalizers": []}} | GOOD.get(plural, {})
    )
    for _ in range(draw(st.integers(0, 3))):
        place = body
        while True:
            choices = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not choices:
                break
            key = draw(st.sampled_from(choices))
            if isinstance(place[key], dict | list) and draw(st.integers(0, 3)):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(values)
            elif isinstance(place, dict):
                place[draw(keys)] = place.pop(key)
            else:
                place.pop(key)
            break
    return body


@st.composite
def requests(draw: st.DrawFn) -> Obj:
    """A request that is often almost right."""
    group, version, plural, namespaced = draw(plurals)
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    if namespaced and draw(st.integers(0, 9)):
        path += f"/namespaces/{draw(st.sampled_from(['test', 'test', 'test', 'nowhere']))}"
    path += f"/{plural}"
    method = draw(
        st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS"])
    )
    if draw(st.integers(0, 4)) if method != "POST" else not draw(st.integers(0, 4)):
        path += f"/{draw(st.sampled_from(['d', 'd', 'c', 'x', 'as.x.y']) | names)}{draw(subresources)}"
    body = draw(objects(plural) if draw(st.integers(0, 4)) else values)
    content_type = draw(st.just("application/json") if draw(st.booleans()) else media)
    if method == "PATCH":
        content_type = draw(media)
        if "json-patch" in content_type:
            operation = {"op": st.sampled_from(["add", "remove", "replace", "test", "copy", "move"]), "value": values,
                         "path": st.sampled_from(["/spec", "/metadata/name", "/spec/x", "", "/", "/metadata/labels", "/spec/replicas"])}  # fmt: skip
            body = draw(st.lists(st.fixed_dictionaries(operation), max_size=3))
    raw = draw(st.binary(max_size=30)) if not draw(st.integers(0, 19)) else json.dumps(body).encode()
    headers = {"Content-Type": content_type, "Accept": draw(st.just("*/*") | accepts)}
    return {"method": method, "path": path, "params": draw(parameters), "headers": headers, "data": raw}


async def world() -> tuple[Store, web.Application]:
    """An API whose user may do everything by a role, so that every request asks the roles, random ones among them."""
    store = Store(KINDS)
    app = make_app(store, None, lambda token: User("admin"))  # type: ignore[arg-type]
    default_roles.create(store)
    everything = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": kinds.RBAC}
    subjects = [{"kind": "User", "name": "admin", "apiGroup": kinds.RBAC}]
    binding = {"metadata": {"name": "admin"}, "roleRef": everything, "subjects": subjects}
    store.create(kinds.CLUSTERROLEBINDINGS, binding)
    for name in ("default", "test"):
        store.create(kinds.NAMESPACES, {"metadata": {"name": name}})
    shape = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
    }
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": shape},
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}}]  # fmt: skip
    spec = {
        "group": "flagger.app",
        "scope": "Namespaced",
        "names": {"plural": "canaries", "kind": "Canary"},
        "versions": versions,
    }
    store.create(kinds.CRDS, {"metadata": {"name": "canaries.flagger.app"}, "spec": spec})
    return store, app


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(requests(), min_size=10, max_size=40))
def test_random_requests_are_answered_and_never_with_500(batch: list[Obj]) -> None:
    async def play() -> None:
        _, app = await world()
        async with TestClient(TestServer(app)) as client:
            await client.post(
                "/apis/apps/v1/namespaces/test/deployments", json=deployment(), headers={"Authorization": "Bearer x"}
            )
            await client.post("/apis/flagger.app/v1/namespaces/test/canaries", headers={"Authorization": "Bearer x"},
                              json={"kind": "Canary", "metadata": {"name": "c"}, "spec": {"replicas": 1}})  # fmt: skip
            for each in batch:
                headers = each["headers"] | {"Authorization": "Bearer x"}
                call = client.request(
                    each["method"], each["path"], params=each["params"], data=each["data"], headers=headers
                )
                answer = await asyncio.wait_for(call, 10)
                text = await answer.text()
                assert answer.status < 500 or answer.status in (503, 504), (each, text)
                answer.release()

    asyncio.run(play())


def test_a_field_name_cannot_break_out_of_the_warning_header(server: Served) -> None:
    body = json.dumps({"metadata": {"name": "c"}, 'a\r\nSet-Cookie: "x"\\': 1}).encode()
    made = server.http("POST", "/api/v1/namespaces/test/configmaps", body)
    assert made.status_code == 201
    assert made.headers["Warning"] == '299 - "unknown field \\"a  Set-Cookie: \\"x\\"\\\\\\""'
    assert "Set-Cookie" not in made.headers


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b'{"spec": null, "metadata": "x"}', b'{"metadata": [1]}'])
def test_a_scale_that_is_none_is_refused(server: Served, body: bytes) -> None:
    path = "/apis/apps/v1/namespaces/test/deployments"
    assert server.http("POST", path, json.dumps(deployment()).encode()).status_code == 201
    for method, media in (("PUT", "application/json"), ("PATCH", "application/merge-patch+json")):
        refused = server.http(method, f"{path}/d/scale", body, Content_Type=media)
        assert refused.status_code == 400, (method, refused.text)


# -- HTTP itself


def raw(server: Served, *pieces: bytes) -> bytes:
    """What comes back on one connection to which these bytes are sent, until the server closes it or has no more."""
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=server.ca)
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as sock:
        for piece in pieces:
            sock.sendall(piece)
        sock.settimeout(3)
        answer = b""
        with contextlib.suppress(TimeoutError):
            while block := sock.recv(65536):
                answer += block
        return answer


def head(server: Served, method: str, path: str, **headers: str) -> bytes:
    given = {"Host": "lab", "Authorization": f"Bearer {server.token}"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {each}" for name, each in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CONFIGMAPS = "/api/v1/namespaces/test/configmaps"


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [("gzip", b'{"metadata": {}}', 400), ("gzip", gzip.compress(b"{}")[:12], 400), ("br", b"x", 400), ("x", b"{}", 415),
     ("deflate", zlib.compress(b"{}"), 415), ("gzip, gzip", b"{}", 415), ("gzip", b"", 400)],
    ids=["plain", "cut off", "brotli", "unknown", "deflate", "twice", "empty"],
)  # fmt: skip
def test_a_body_that_is_not_what_its_encoding_says_is_the_clients_fault(
    server: Served, caplog: pytest.LogCaptureFixture, encoding: str, body: bytes, code: int
) -> None:
    post = head(
        server, "POST", CONFIGMAPS, Content_Encoding=encoding, Content_Length=str(len(body)), Connection="close"
    )
    answer = raw(server, post + body)
    assert int(answer.split()[1]) == code, answer
    assert not [record for record in caplog.records if record.exc_info]


def test_a_body_that_cannot_be_decoded_ends_its_connection_and_says_so(server: Served) -> None:
    for encoding, path in (("gzip", CONFIGMAPS), ("deflate", CONFIGMAPS), ("gzip", "/nowhere"), ("gzip", "/api")):
        post = head(server, "POST", path, Content_Encoding=encoding, Content_Length="9")
        answer = raw(server, post + b"not gzip!")
        assert b"connection: close" in answer.split(b"\r\n\r\n")[0].lower(), (encoding, path)
    assert server.http("GET", CONFIGMAPS).status_code == 200


# The longest fit into one record of TLS: the server hangs up on what is longer while the client still writes.
@pytest.mark.parametrize(
    "sent",
    [b"NOTHING\r\n\r\n", b"BREW /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
    ids=["no request", "no method", "a long path", "a long header", "no length"],
)  # fmt: skip
def test_what_is_no_http_is_refused_without_a_word_in_the_log(
    server: Served, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    assert int(raw(server, sent).split()[1]) in (400, 401, 405)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_client_that_goes_in_the_middle_of_its_body_leaves_no_word_in_the_log(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=server.ca)
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as sock:
        sock.sendall(head(server, "POST", CONFIGMAPS, Content_Length="1000") + b"{")
    for _ in range(3):
        assert server.http("GET", CONFIGMAPS).status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("method", ["PROPFIND", "OPTIONS", "TRACE", "POST"])
def test_a_method_that_an_object_does_not_have_is_not_allowed(server: Served, method: str) -> None:
    answer = server.http(method, f"{CONFIGMAPS}/x")
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")


def test_a_head_of_a_watch_ends_and_the_next_answer_is_its_own(server: Served) -> None:
    both = head(server, "HEAD", f"{CONFIGMAPS}?watch=1") + head(server, "GET", "/version", Connection="close")
    first, _, second = raw(server, both).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200"), second[:80]
    assert b"gitVersion" in second


@pytest.mark.parametrize("seconds", [2**62, 2**31, -1, 0])
def test_a_pod_of_any_grace_can_be_deleted(server: Served, seconds: int) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": seconds, "nodeName": "lab"}
    for name in ("one", "two"):
        pod = {"metadata": {"name": name, "namespace": "test"}, "spec": spec}
        server.call(server.store.create, kinds.PODS, pod)
    pods = "/api/v1/namespaces/test/pods"
    for path in (f"{pods}/one", pods):
        assert server.http("DELETE", path).status_code == 200


@pytest.mark.parametrize("number", ["9" * 30, "-1", "1e9", "NaN", "0x10", "%D9%A3", "9" * 5000])
@pytest.mark.parametrize("name", ["limit", "timeoutSeconds", "resourceVersion", "gracePeriodSeconds", "continue"])
def test_odd_numbers_are_refused_or_read(server: Served, name: str, number: str) -> None:
    method = "DELETE" if name == "gracePeriodSeconds" else "GET"
    watch = "&watch=1&timeoutSeconds=1" if name == "resourceVersion" else ""
    answer = server.http(method, f"{CONFIGMAPS}?{name}={number}{watch}")
    assert answer.status_code in (200, 400, 410, 504), answer.text


def test_a_watch_ends_when_its_client_has_gone(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canary_tutorial.lab.api.verbs.watch.CHECK_SECONDS", 0.05, raising=False)
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=server.ca)
    before = len(server.store._subscribers.get(kinds.LEASES.key, []))
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as sock:
        sock.sendall(head(server, "GET", "/apis/coordination.k8s.io/v1/leases?watch=1"))
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert len(server.store._subscribers[kinds.LEASES.key]) == before + 1
    deadline = time.monotonic() + 60
    while len(server.store._subscribers[kinds.LEASES.key]) > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("spec", [{"groups": 5, "resourceAttributes": {}}, {"user": {}, "groups": ["a"], "resourceAttributes": {"verb": []}},
                                  {"user": "a", "groups": {"b": 1}, "nonResourceAttributes": {}}, [], None])  # fmt: skip
def test_a_review_of_odd_things_is_no_fault_of_the_server(server: Served, spec: Any) -> None:
    for name in ("subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"):
        answer = server.http("POST", f"/apis/authorization.k8s.io/v1/{name}", json.dumps({"spec": spec}).encode())
        assert answer.status_code in (201, 400, 422), answer.text


def test_an_empty_step_in_a_path_is_not_read_away(server: Served) -> None:
    for path in ("/api/v1/namespaces/test//vault/secrets", "/api/v1/namespaces/test//configmaps/a", f"{CONFIGMAPS}//a",
                 "/api/v1/namespaces/test/pods/p/log/x", "/api/v1//namespaces/test"):  # fmt: skip
        assert server.http("DELETE", path).status_code in (404, 405), path
    assert server.http("GET", "/api/v1/namespaces/test").json()["status"]["phase"] == "Active"


def test_ports_that_cannot_be_forwarded_are_refused_before_the_connection_is_a_websocket(server: Served) -> None:
    server.pod("p")
    for ports in ("", "?ports=0", "?ports=x", "?ports=" + ",".join(["80"] * 200)):
        answer = server.http(
            "GET", f"/api/v1/namespaces/test/pods/p/portforward{ports}", Upgrade="websocket", Connection="Upgrade",
            Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==", Sec_WebSocket_Version="13",
        )  # fmt: skip
        assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest"), ports


def test_a_command_with_a_nul_is_refused_before_the_connection_is_given_to_it(server: Served) -> None:
    server.pod("p")
    answer = server.http(
        "GET", "/api/v1/namespaces/test/pods/p/exec?command=a%00b&stdout=1", Upgrade="websocket", Connection="Upgrade",
        Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==", Sec_WebSocket_Version="13",
    )  # fmt: skip
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")


CONFIGMAPS_OF_TEST = "/api/v1/namespaces/test/configmaps"


def dumped(obj: object) -> bytes:
    return json.dumps(obj).encode()


def test_what_cannot_be_answered_in_any_form_wanted_is_not_stored(server: Served) -> None:
    made = {"metadata": {"name": "wanted"}, "data": {"a": "b"}}
    odd = {"Accept": "text/html"}
    assert server.http("POST", CONFIGMAPS_OF_TEST, dumped(made), **odd).status_code == 406
    assert server.http("GET", f"{CONFIGMAPS_OF_TEST}/wanted").status_code == 404
    server.http("POST", CONFIGMAPS_OF_TEST, dumped(made))
    assert server.http("DELETE", f"{CONFIGMAPS_OF_TEST}/wanted", **odd).status_code == 406
    assert server.http("GET", f"{CONFIGMAPS_OF_TEST}/wanted").status_code == 200


def test_the_deletion_of_a_collection_answers_with_the_lists_own_metadata(server: Served) -> None:
    for name in ("a", "b"):
        server.http("POST", CONFIGMAPS_OF_TEST, dumped({"metadata": {"name": name}}))
    answer = server.http("DELETE", CONFIGMAPS_OF_TEST).json()
    assert answer["kind"] == "ConfigMapList"
    assert answer["metadata"].keys() == {"resourceVersion"}
    assert {each["metadata"]["name"] for each in answer["items"]} >= {"a", "b"}


def test_managed_fields_of_a_new_object_are_the_servers(server: Served) -> None:
    given = [{"manager": "somebody", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
              "fieldsV1": {"f:data": {}}}]  # fmt: skip
    made = {"metadata": {"name": "mine", "managedFields": given}, "data": {"a": "b"}}
    (entry,) = server.http("POST", f"{CONFIGMAPS_OF_TEST}?fieldManager=me", dumped(made)).json()["metadata"][
        "managedFields"
    ]
    assert entry["manager"] == "me"


def test_a_namespace_is_let_go_by_its_finalize_alone(server: Served) -> None:
    path = "/api/v1/namespaces/test"
    found = server.http("GET", path).json()
    found["spec"]["finalizers"] = []
    assert server.http("PUT", path, dumped(found)).json()["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize("mode", ["Strict", "Warn", "Ignore"])
def test_a_key_that_stands_twice_is_refused_told_or_taken(server: Served, mode: str) -> None:
    body = '{"metadata": {"name": "twice"}, "data": {"a": "1", "a": "2"}}'
    answer = server.http("POST", f"{CONFIGMAPS_OF_TEST}?fieldValidation={mode}", body.encode())
    said = 'duplicate field "data.a"'
    if mode == "Strict":
        assert answer.status_code == 400
        assert answer.json()["message"].endswith(f"strict decoding error: {said}")
    else:
        assert answer.json()["data"] == {"a": "2"}
        assert (answer.headers.get("Warning", "") == '299 - "duplicate field \\"data.a\\""') is (mode == "Warn")


def test_what_is_empty_is_not_stored(server: Served) -> None:
    pod = {"containers": [{"name": "c", "image": "i"}], "initContainers": []}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    meta = {"name": "empty", "labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
    made = server.http(
        "POST", "/apis/apps/v1/namespaces/test/deployments", dumped({"metadata": meta, "spec": spec})
    ).json()
    assert "initContainers" not in made["spec"]["template"]["spec"]
    assert not {"labels", "annotations", "finalizers", "ownerReferences"} & made["metadata"].keys()
    assert made["spec"]["template"]["spec"]["securityContext"] == {}  # a structure, not a map
