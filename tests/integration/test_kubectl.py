"""Everyday kubectl against the API server alone (no controllers): what it prints is what Kubernetes prints."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timedelta
from typing import Any

from served_api import Kubectl, Served

from canary_tutorial.lab import kinds

PODINFO = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: test, labels: {app: podinfo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: podinfod
        image: stefanprodan/podinfo:2.0.0
        ports: [{containerPort: 9898, name: http}]
---
apiVersion: v1
kind: Service
metadata: {name: podinfo, namespace: test}
spec: {selector: {app: podinfo}, ports: [{port: 9898, name: http}]}
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: canaries.flagger.app}
spec:
  group: flagger.app
  names: {plural: canaries, singular: canary, kind: Canary, shortNames: [cd]}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Status, type: string, jsonPath: .status.phase}
    - {name: Weight, type: string, jsonPath: .status.canaryWeight}
    - {name: Interval, type: string, jsonPath: .spec.analysis.interval, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [targetRef]
            properties:
              provider: {type: string, default: istio}
              targetRef: {type: object, required: [name], properties: {name: {type: string}}}
              analysis: {type: object, properties: {interval: {type: string}, maxWeight: {type: number}}}
          status:
            type: object
            properties: {phase: {type: string}, canaryWeight: {type: number}}
"""
CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  targetRef: {name: podinfo}
  analysis: {interval: 30s, maxWeight: 60}
"""


def read(kubectl: Kubectl, *what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "-n", "test", *what, "-o", "json").stdout)
    return found


def test_apply_creates_changes_and_leaves_alone(kubectl: Kubectl) -> None:
    assert (
        kubectl("apply", "-f", "-", stdin=PODINFO).stdout
        == "deployment.apps/podinfo created\nservice/podinfo created\n"
    )
    assert (
        kubectl("apply", "-f", "-", stdin=PODINFO).stdout
        == "deployment.apps/podinfo unchanged\nservice/podinfo unchanged\n"
    )
    changed = PODINFO.replace("replicas: 2", "replicas: 3")
    assert kubectl("diff", "-f", "-", stdin=changed, ok=False).returncode == 1
    assert "deployment.apps/podinfo configured" in kubectl("apply", "-f", "-", stdin=changed).stdout
    assert read(kubectl, "deploy/podinfo")["spec"]["replicas"] == 3
    dry = kubectl("apply", "--dry-run=server", "-f", "-", stdin=PODINFO).stdout
    assert "deployment.apps/podinfo configured (server dry run)" in dry
    assert read(kubectl, "deploy/podinfo")["spec"]["replicas"] == 3


def test_set_image_scale_and_restart_change_the_deployment(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=PODINFO)
    said = kubectl("set", "image", "-n", "test", "deployment/podinfo", "podinfod=stefanprodan/podinfo:2.1.3").stdout
    assert said == "deployment.apps/podinfo image updated\n"
    kubectl("scale", "-n", "test", "deployment/podinfo", "--replicas=0")
    kubectl("rollout", "restart", "-n", "test", "deployment/podinfo")
    found = read(kubectl, "deployment/podinfo")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "stefanprodan/podinfo:2.1.3"
    assert found["spec"]["replicas"] == 0
    assert found["metadata"]["generation"] == 4
    refused = kubectl(
        "scale", "-n", "test", "deployment/podinfo", "--replicas=2", "--current-replicas=9", ok=False
    ).stderr
    assert "Expected replicas to be 9" in refused


def test_get_prints_the_usual_columns(server: Served, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=PODINFO)
    server.pod("podinfo-1", ("podinfod", "istio-proxy"))
    assert kubectl("get", "pods", "-n", "test").stdout.splitlines()[0].split() == [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
    ]
    row = kubectl("get", "pods", "-n", "test", "--no-headers", "-o", "wide").stdout.split()
    assert row[:4] == ["podinfo-1", "2/2", "Running", "0"]
    assert row[5:7] == ["127.0.0.1", "lab"]
    table = kubectl("get", "all", "-n", "test").stdout
    for line in ("pod/podinfo-1", "service/podinfo", "deployment.apps/podinfo"):
        assert line in table
    everywhere = kubectl("get", "deploy", "-A").stdout
    assert everywhere.splitlines()[0].split() == ["NAMESPACE", "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert kubectl("get", "pods", "-n", "test", "-l", "app=nothing").stderr == "No resources found in test namespace.\n"
    assert kubectl("get", "pods", "-n", "test", "--field-selector=status.phase!=Running", "-o", "name").stdout == ""
    assert kubectl("get", "pods", "-n", "test", "-o", "jsonpath={.items[*].metadata.name}").stdout == "podinfo-1"
    assert kubectl("get", "deploy", "-n", "test", "--show-labels").stdout.splitlines()[1].split()[-1] == "app=podinfo"
    assert "Conditions:" in kubectl("describe", "pod", "-n", "test", "podinfo-1").stdout


def test_custom_kinds_are_served_printed_and_explained(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=CRD)
    kubectl("wait", "--for=condition=established", "crd/canaries.flagger.app", "--timeout=5s")
    assert kubectl("apply", "-f", "-", stdin=CANARY).stdout == "canary.flagger.app/podinfo created\n"
    status = '{"status":{"phase":"Progressing","canaryWeight":20}}'
    kubectl("patch", "canary", "podinfo", "-n", "test", "--subresource=status", "--type=merge", "-p", status)
    lines = [line.split() for line in kubectl("get", "cd", "-n", "test").stdout.splitlines()]
    assert lines == [["NAME", "STATUS", "WEIGHT"], ["podinfo", "Progressing", "20"]]
    wide = kubectl("get", "canaries", "-n", "test", "-o", "wide", "--no-headers").stdout.split()
    assert wide == ["podinfo", "Progressing", "20", "30s"]
    found = read(kubectl, "canary/podinfo")
    assert (found["spec"]["provider"], found["metadata"]["generation"]) == ("istio", 1)
    explained = kubectl("explain", "canary.spec.analysis").stdout
    assert "interval\t<string>" in explained
    assert "maxUnavailable\t<IntOrString>" in kubectl("explain", "deployment.spec.strategy.rollingUpdate").stdout
    kubectl("delete", "crd", "canaries.flagger.app")
    assert "could not find the requested resource" in kubectl("get", "canaries", "-n", "test", ok=False).stderr


def test_mistakes_get_the_messages_of_a_real_server(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=CRD)
    say = {
        PODINFO.replace("replicas", "replicaz"): 'strict decoding error: unknown field "spec.replicaz"',
        PODINFO.replace(
            "replicas: 2", "replicas: two"
        ): "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas",
        PODINFO.replace(
            "replicas: 2", "replicas: -2"
        ): "spec.replicas: Invalid value: -2: must be greater than or equal to 0",
        PODINFO.replace("namespace: test", "namespace: nowhere"): 'namespaces "nowhere" not found',
        CANARY.replace("v1beta1", "v1alpha3"): 'no matches for kind "Canary" in version "flagger.app/v1alpha3"',
        CANARY.replace("30s", "5"): 'spec.analysis.interval in body must be of type string: "integer"',
        CANARY.replace("targetRef: {name: podinfo}", "targetRef: {}"): "spec.targetRef.name: Required value",
    }
    for manifest, message in say.items():
        refused = kubectl("apply", "-f", "-", stdin=manifest, ok=False)
        assert refused.returncode == 1
        assert message in refused.stderr
    assert 'Error from server (NotFound): pods "x" not found' in kubectl("get", "pod", "x", ok=False).stderr
    assert "the server doesn't have a resource type" in kubectl("get", "nothing", ok=False).stderr


def test_server_side_apply_finds_conflicts(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=PODINFO)
    kubectl("scale", "-n", "test", "deploy/podinfo", "--replicas=5")
    changed = PODINFO.replace("replicas: 2", "replicas: 3")
    refused = kubectl("apply", "--server-side", "-f", "-", stdin=changed, ok=False).stderr
    assert 'Apply failed with 1 conflict: conflict with "kubectl"' in refused
    assert ".spec.replicas" in refused
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
    assert read(kubectl, "deploy/podinfo")["spec"]["replicas"] == 3
    kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin=changed.replace("        ports: [{containerPort: 9898, name: http}]\n", ""),
    )
    assert "ports" not in read(kubectl, "deploy/podinfo")["spec"]["template"]["spec"]["containers"][0]


def test_server_side_apply_takes_a_part_of_what_is_there_and_no_less_than_a_whole_of_what_is_not(
    kubectl: Kubectl,
) -> None:
    part = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: podinfo, labels: {team: a}}\nspec: {replicas: 2}\n"
    refused = kubectl("apply", "--server-side", "-f", "-", stdin=part, ok=False).stderr
    assert "* spec.selector: Required value\n* spec.template: Required value" in refused
    kubectl("create", "deployment", "podinfo", "--image=stefanprodan/podinfo:2.0.0", "--replicas=2")
    kubectl("apply", "--server-side", "-f", "-", stdin=part)
    shown = kubectl("get", "deployment", "podinfo", "-o", "json", "--show-managed-fields")
    found = json.loads(shown.stdout)
    mine = next(each for each in found["metadata"]["managedFields"] if each["operation"] == "Apply")
    assert mine["fieldsV1"] == {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:replicas": {}}}
    wrong = kubectl("apply", "--server-side", "-f", "-", stdin=part.replace(": 2}", ": two}"), ok=False).stderr
    assert "replicas" in wrong


def test_an_eviction_is_a_deletion_that_can_be_tried(kubectl: Kubectl) -> None:
    served = json.loads(kubectl("get", "--raw", "/api/v1").stdout)["resources"]
    (found,) = [each for each in served if each["name"] == "pods/eviction"]
    assert (found["group"], found["version"], found["kind"]) == ("policy", "v1", "Eviction")
    kubectl("run", "web", "--image=stefanprodan/podinfo:2.0.0")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}
    path = "/api/v1/namespaces/default/pods/web/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction | {"deleteOptions": {"dryRun": ["All"]}}))
    assert kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.deletionTimestamp}").stdout == ""
    wrong = eviction | {"deleteOptions": {"preconditions": {"uid": "another"}}}
    refused = kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(wrong), ok=False).stderr
    assert "the UID in the precondition (another)" in refused
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    assert kubectl("get", "pod", "web", ok=False).returncode == 1


def test_events_of_both_groups_are_chosen_by_the_names_of_their_own_fields(kubectl: Kubectl) -> None:
    event = """{"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "message": "hi",
                "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"}, "reason": "R", "type": "Normal"}"""
    kubectl("create", "-f", "-", stdin=event)
    for kind, field in (("events", "involvedObject.name"), ("events.v1.events.k8s.io", "regarding.name")):
        assert kubectl("get", kind, f"--field-selector={field}=web", "-o", "name").stdout.startswith("event")
        assert kubectl("get", kind, f"--field-selector={field}=other", "-o", "name").stdout == ""
    refused = kubectl("get", "events", "--field-selector=regarding.name=web", ok=False).stderr
    assert "field label not supported: regarding.name" in refused


def test_lists_and_watches_refuse_options_that_contradict_each_other(kubectl: Kubectl) -> None:
    refused = kubectl("get", "--raw", "/api/v1/configmaps?sendInitialEvents=true", ok=False).stderr
    assert "sendInitialEvents is forbidden for list" in refused
    refused = kubectl("get", "--raw", "/api/v1/configmaps?watch=true&sendInitialEvents=true", ok=False).stderr
    assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in refused


def test_a_token_says_how_long_it_was_asked_for(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    made = json.loads(kubectl("create", "token", "robot", "--duration=20m", "-o", "json").stdout)
    made_at, ends = made["metadata"]["creationTimestamp"], made["status"]["expirationTimestamp"]
    assert datetime.fromisoformat(ends) - datetime.fromisoformat(made_at) == timedelta(minutes=20)
    refused = kubectl("create", "token", "robot", "--duration=5m", ok=False).stderr
    assert "may not specify a duration less than 10 minutes" in refused


def test_readiness_is_told_in_words(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", "/readyz?verbose").stdout == "[+]ping ok\nreadyz check passed\n"


def test_commands_that_speak_protobuf_are_understood(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "other")
    kubectl("create", "configmap", "c", "-n", "other", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "s", "-n", "other", "--from-literal=a=b")
    kubectl("create", "deployment", "web", "-n", "other", "--image=podinfo:1", "--port=80", "--replicas=0")
    kubectl("autoscale", "deployment", "web", "-n", "other", "--min=1", "--max=3", "--cpu-percent=50")
    kubectl("create", "serviceaccount", "flagger", "-n", "other")
    kubectl("create", "clusterrole", "r", "--verb=get", "--resource=pods")
    kubectl("create", "clusterrolebinding", "b", "--clusterrole=r", "--serviceaccount=other:flagger")
    assert kubectl("create", "token", "flagger", "-n", "other").stdout == "other/flagger"
    assert kubectl("auth", "can-i", "delete", "pods").stdout == "yes\n"
    assert "admin" in kubectl("auth", "whoami").stdout
    found = kubectl("get", "hpa", "-n", "other", "--no-headers").stdout.split()
    assert found[:7] == ["web", "Deployment/web", "cpu:", "<unknown>/50%", "1", "3", "0"]
    deployment = json.loads(kubectl("get", "deploy", "web", "-n", "other", "-o", "json").stdout)
    assert deployment["spec"]["replicas"] == 0
    assert deployment["spec"]["template"]["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]
    assert kubectl("get", "cm", "c", "-n", "other", "-o", "jsonpath={.data.a}").stdout == "b"


def test_patches_labels_and_deletes(server: Served, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=PODINFO)
    kubectl(
        "patch",
        "deploy",
        "podinfo",
        "-n",
        "test",
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/replicas","value":4}]',
    )
    kubectl("patch", "deploy", "podinfo", "-n", "test", "--type=merge", "-p", '{"spec":{"paused":true}}')
    kubectl(
        "patch",
        "deploy",
        "podinfo",
        "-n",
        "test",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"podinfod","tty":true}]}}}}',
    )
    kubectl("label", "namespace", "test", "istio-injection=enabled")
    kubectl("annotate", "deploy", "podinfo", "-n", "test", "note=x")
    spec = read(kubectl, "deploy/podinfo")["spec"]
    assert (spec["replicas"], spec["paused"], spec["template"]["spec"]["containers"][0]["tty"]) == (4, True, True)
    assert kubectl("get", "ns", "-l", "istio-injection=enabled", "-o", "name").stdout == "namespace/test\n"
    assert kubectl("delete", "-f", "-", stdin=PODINFO).stdout == (
        'deployment.apps "podinfo" deleted\nservice "podinfo" deleted\n'
    )
    server.pod("running")
    kubectl("delete", "pod", "running", "-n", "test", "--wait=false")
    assert read(kubectl, "pod/running")["metadata"]["deletionGracePeriodSeconds"] == 30
    kubectl("delete", "pod", "running", "-n", "test", "--force", "--grace-period=0")
    assert read(kubectl, "pods")["items"] == []


def test_get_watch_prints_rows_as_they_change(server: Served, kubectl: Kubectl) -> None:
    server.pod("p")
    watching = subprocess.Popen(["kubectl", "get", "pods", "-n", "test", "-w", "--no-headers"], env=server.environment,
                                stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert watching.stdout
        assert watching.stdout.readline().split()[:3] == ["p", "1/1", "Running"]
        server.call(server.store.delete, kinds.PODS, "p", "test")
        assert watching.stdout.readline().split()[:3] == ["p", "1/1", "Terminating"]
        server.call(server.store.delete, kinds.PODS, "p", "test", grace=0)
    finally:
        watching.kill()
        watching.communicate()


def test_wait_hears_of_a_condition(server: Served, kubectl: Kubectl) -> None:
    server.pod("p")
    kubectl("wait", "--for=condition=Ready", "pod/p", "-n", "test", "--timeout=5s")
    server.call(server.store.delete, kinds.PODS, "p", "test", grace=0)
    kubectl("wait", "--for=delete", "pod/p", "-n", "test", "--timeout=5s")


def test_large_lists_come_in_pages(server: Served, kubectl: Kubectl) -> None:
    def fill() -> None:
        for i in range(1200):
            server.store.create(kinds.CONFIGMAPS, {"metadata": {"name": f"c{i:04}", "namespace": "test"}})

    server.call(fill)
    assert len(kubectl("get", "cm", "-n", "test", "-o", "name", "--chunk-size=500").stdout.splitlines()) == 1200
    deleted = server.http("DELETE", "/api/v1/namespaces/test/configmaps")
    assert len(deleted.json()["items"]) == 1200
    assert kubectl("get", "cm", "-n", "test").stderr == "No resources found in test namespace.\n"


def test_version_and_resources_are_told(kubectl: Kubectl) -> None:
    assert "Server Version: v1.32.4" in kubectl("version").stdout
    resources = kubectl("api-resources", "--no-headers").stdout
    for word in ("deployments", "leases", "customresourcedefinitions", "tokenreviews"):
        assert word in resources
    assert "apps/v1\n" in kubectl("api-versions").stdout
