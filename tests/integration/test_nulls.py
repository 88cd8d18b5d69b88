"""`null` where Kubernetes says null, and nothing where a client sends it: what Go's types make of absent lists and times."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from served_api import Served

from canary_tutorial.lab import kinds

Obj = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(plural: str = "things", group: str = "x.io", **version: Any) -> Obj:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    each = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}} | version
    spec = {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": "Thing"}, "versions": [each]}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


def send(server: Served, method: str, path: str, obj: Any, media: str = "application/json") -> Obj:
    answer = server.http(method, path, json.dumps(obj).encode(), Content_Type=media)
    assert answer.status_code in (200, 201), answer.text
    found: Obj = answer.json()
    return found


def test_a_new_kind_has_no_conditions_until_they_come_in_an_update_of_their_own(server: Served) -> None:
    made = send(server, "POST", CRDS, definition())
    assert made["status"] == {
        "conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"],
    }  # fmt: skip
    path = f"{CRDS}/things.x.io"
    found = server.http("GET", path).json()
    while not found["status"]["conditions"]:
        time.sleep(0.01)
        found = server.http("GET", path).json()
    assert {each["type"]: each["status"] for each in found["status"]["conditions"]} == {
        "NamesAccepted": "True", "Established": "True",
    }  # fmt: skip
    assert int(found["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert found["status"]["acceptedNames"]["plural"] == "things"


@pytest.mark.parametrize(
    ("plural", "group"),
    [("deployments", "apps"), ("roles", "rbac.authorization.k8s.io"), ("pods", "x"), ("a/b", "x.io")],
)
def test_a_definition_takes_no_kind_of_the_cluster_away(server: Served, plural: str, group: str) -> None:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}  # fmt: skip
    send(server, "POST", "/apis/apps/v1/namespaces/test/deployments", {"metadata": {"name": "d"}, "spec": spec})
    refused = server.http("POST", CRDS, json.dumps(definition(plural, group)).encode())
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    server.http("DELETE", f"{CRDS}/{plural}.{group}")
    assert server.http("GET", "/apis/apps/v1/namespaces/test/deployments/d").status_code == 200
    assert server.http("GET", f"{RBAC}/roles").status_code == 200


def test_lists_and_times_that_are_not_there_are_null(server: Served) -> None:
    assert send(server, "POST", f"{RBAC}/clusterroles", {"metadata": {"name": "r"}})["rules"] is None
    assert (
        send(server, "POST", f"{RBAC}/namespaces/test/roles", {"metadata": {"name": "r"}, "rules": []})["rules"] is None
    )
    piece = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": []}
    made = send(server, "POST", "/apis/discovery.k8s.io/v1/namespaces/test/endpointslices", piece)
    assert (made["endpoints"], made["ports"]) == (None, None)
    event = {"metadata": {"name": "e", "namespace": "test"}, "involvedObject": {"kind": "Pod", "name": "p"}}
    made = send(server, "POST", "/api/v1/namespaces/test/events", event)
    assert [made[name] for name in ("eventTime", "firstTimestamp", "lastTimestamp")] == [None] * 3
    other = server.http("GET", "/apis/events.k8s.io/v1/namespaces/test/events/e").json()
    assert (other["eventTime"], other["deprecatedLastTimestamp"]) == (None, None)
    for path in (f"{RBAC}/clusterroles", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/events"):
        listed = server.http("GET", path).json()["items"]
        assert any(None in each.values() for each in listed), path


NULLS = {
    "metadata": {"name": "d", "labels": None, "annotations": None, "ownerReferences": None, "finalizers": None},
    "spec": {
        "replicas": None, "strategy": None, "selector": {"matchLabels": {"a": "b"}, "matchExpressions": None},
        "template": {"metadata": {"creationTimestamp": None, "labels": {"a": "b"}}, "spec": {
            "volumes": None, "initContainers": None, "securityContext": None,
            "containers": [{"name": "c", "image": "i", "ports": None, "env": None, "envFrom": None, "volumeMounts": None,
                            "resources": None, "livenessProbe": None, "lifecycle": None, "command": None}]}},
    },
    "status": None,
}  # fmt: skip


def test_null_empty_and_absent_are_the_same_to_a_built_in_kind(server: Served) -> None:
    path = "/apis/apps/v1/namespaces/test/deployments"
    made = send(server, "POST", path, NULLS)
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["template"]["metadata"] == {"creationTimestamp": None, "labels": {"a": "b"}}
    assert "env" not in made["spec"]["template"]["spec"]["containers"][0]
    again = send(server, "PUT", f"{path}/d", NULLS)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], "nothing has changed"
    config = {"apiVersion": "apps/v1", "kind": "Deployment", **NULLS}
    config["metadata"] = {"name": "d", "labels": None}
    send(server, "PATCH", f"{path}/d?fieldManager=m&force=true", config, "application/apply-patch+yaml")
    for media in ("merge-patch", "strategic-merge-patch"):
        send(server, "PATCH", f"{path}/d", {"spec": {"paused": None}, "status": None}, f"application/{media}+json")
    send(server, "PUT", f"{path}/d/status", NULLS)
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    assert server.http("GET", path, Accept=table).status_code == 200


def test_a_custom_object_of_nulls_is_read_shown_and_scaled(server: Served) -> None:
    scale = {"specReplicasPath": ".spec.a.replicas", "statusReplicasPath": ".status.replicas"}
    columns = [
        {"name": "A", "type": "string", "jsonPath": '.spec.a[?(@.b=="c")].d'},
        {"name": "B", "type": "date", "jsonPath": ".spec"},
    ]
    send(
        server, "POST", CRDS, definition(subresources={"status": {}, "scale": scale}, additionalPrinterColumns=columns)
    )
    path = "/apis/x.io/v1/namespaces/test/things"
    for name, spec in (
        ("null", None),
        ("text", "x"),
        ("list", [1]),
        ("deep", {"a": None}),
        ("other", {"a": {"replicas": "x"}}),
    ):
        thing = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": name, "labels": None}, "spec": spec}
        send(server, "POST", path, thing)
        assert send(server, "GET", f"{path}/{name}/scale", {})["spec"] == {"replicas": 0}
        send(server, "PATCH", f"{path}/{name}/status", {"status": {"replicas": None}}, "application/merge-patch+json")
        scaled = send(
            server, "PATCH", f"{path}/{name}/scale", {"spec": {"replicas": 3}}, "application/merge-patch+json"
        )
        assert scaled["spec"] == {"replicas": 3}
    table = server.http("GET", path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert len(table.json()["rows"]) == 5


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"properties": {"a": {"type": "string", "pattern": "("}}},
         '.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing '
         "regexp: missing closing ): `(`"),
        ({"properties": {"a": {"type": "string", "pattern": "(?!a)b"}}}, "invalid or unsupported Perl syntax: `(?!`"),
        ({"properties": {"a": {"$ref": "nowhere"}}}, ".properties[a].$ref: Forbidden: $ref is not supported"),
        ({"properties": {f"p{i}": {"type": "string", "pattern": f"(a|b){{{i}}}c"} for i in range(500, 900)}},
         "the regular expressions of this definition are too large together"),
    ],
    ids=["a bracket", "a look-ahead", "a reference", "too many"],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_is_refused(server: Served, schema: Obj, fault: str) -> None:
    made = definition(schema={"openAPIV3Schema": {"type": "object"} | schema})
    refused = server.http("POST", CRDS, json.dumps(made).encode())
    assert refused.status_code == 422
    assert fault in refused.json()["message"]
    assert server.http("GET", "/openapi/v3").status_code == 200
    assert kinds.PODS.key in server.store.kinds
