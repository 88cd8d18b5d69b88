"""What Kubernetes fills in where a manifest is silent: Always, ClusterIP, 25%, RollingUpdate. Pure.

Only fields that the lab, kubectl or a lesson looks at. Each function completes an object in place.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from canary_tutorial.lab import kinds
from canary_tutorial.lab.objects import Obj


def pod(spec: Obj) -> None:
    _fill(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst",
          securityContext={}, schedulerName="default-scheduler", enableServiceLinks=True)  # fmt: skip
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        container(each)
    for volume in spec.get("volumes") or []:
        if volume.keys() <= {"name"}:
            volume["emptyDir"] = {}
        for source in ("configMap", "secret", "downwardAPI", "projected"):
            if isinstance(volume.get(source), dict):
                volume[source].setdefault("defaultMode", 420)


def container(each: Obj) -> None:
    tag = each.get("image", "").rpartition("/")[2].partition(":")[2]
    _fill(each, resources={}, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
          imagePullPolicy="Always" if tag in ("", "latest") else "IfNotPresent")  # fmt: skip
    for port in each.get("ports") or []:
        _fill(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(name):
            _fill(each[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if each[name].get("httpGet") is not None:
                _fill(each[name]["httpGet"], path="/", scheme="HTTP")
    for variable in each.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, apiVersion="v1")


def deployment(obj: Obj) -> None:
    spec = obj["spec"]
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    strategy = spec["strategy"]
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy, rollingUpdate={})
        _fill(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    pod(spec["template"].setdefault("spec", {}))


def replicaset(obj: Obj) -> None:
    spec = obj["spec"]
    _fill(spec, replicas=1)
    template = spec.get("template")
    if template:
        pod(template.setdefault("spec", {}))


def service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    for port in spec.get("ports") or []:
        _fill(port, protocol="TCP")
        _fill(port, targetPort=port["port"])


def autoscaler(obj: Obj) -> None:
    _fill(obj["spec"], minReplicas=1)
    if not obj["spec"].get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        obj["spec"]["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def namespace(obj: Obj) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    _fill(obj.setdefault("spec", {}), finalizers=["kubernetes"])


def secret(obj: Obj) -> None:
    _fill(obj, type="Opaque")
    plain = obj.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        obj["data"] = (obj.get("data") or {}) | encoded


def webhooks(obj: Obj) -> None:
    for hook in obj.get("webhooks") or []:
        _fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10, namespaceSelector={},
              objectSelector={})  # fmt: skip
        if obj["kind"].startswith("Mutating"):
            _fill(hook, reinvocationPolicy="Never")
        service_ = (hook.get("clientConfig") or {}).get("service")
        if service_:
            _fill(service_, port=443)
        for rule in hook.get("rules") or []:
            _fill(rule, scope="*")


def binding(obj: Obj) -> None:
    _fill(obj["roleRef"], apiGroup=kinds.RBAC)
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup=kinds.RBAC)


def _fill(obj: Obj, **values: Any) -> None:
    for name, value in values.items():
        obj.setdefault(name, value)


FOR: dict[tuple[str, str], Callable[[Obj], None]] = {
    kinds.PODS.key: lambda obj: pod(obj["spec"]),
    kinds.DEPLOYMENTS.key: deployment,
    kinds.REPLICASETS.key: replicaset,
    kinds.SERVICES.key: service,
    kinds.AUTOSCALERS.key: autoscaler,
    kinds.NAMESPACES.key: namespace,
    kinds.SECRETS.key: secret,
    kinds.MUTATINGWEBHOOKS.key: webhooks,
    kinds.VALIDATINGWEBHOOKS.key: webhooks,
    kinds.ROLEBINDINGS.key: binding,
    kinds.CLUSTERROLEBINDINGS.key: binding,
}
