"""Make `canary_tutorial/lab/schemas/protobuf.json.gz`: how kubectl's binary bodies are to be read.

    uv run --no-project --with k8s-proto==0.0.3 --with setuptools python tools/make_protobuf.py

`kubectl create` sends protobuf for built-in kinds, and nothing makes it send JSON. A message is a table from field
number to name and type; numbers never change their meaning. Those of the core group and of metadata come from
`k8s-proto` (Kubernetes 1.16); what is younger or of another group is in the tables below.

Types: `s` string, `i` integer, `b` boolean, `y` bytes, or a message's name; before it `[]` for a list, `{}` for a map.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

WANTED = (
    "Namespace Pod Service ConfigMap Secret ServiceAccount Event Endpoints Node Deployment ReplicaSet Role RoleBinding "
    "ClusterRole ClusterRoleBinding HorizontalPodAutoscaler autoscaling/v1/HorizontalPodAutoscaler Lease "
    "SelfSubjectAccessReview SubjectAccessReview "
    "SelfSubjectReview SelfSubjectRulesReview TokenRequest TokenReview Eviction DeleteOptions"
)
# Parts of a struct that JSON shows as if they were fields of what holds them.
INLINE = {"volumeSource", "handler", "localObjectReference"}
TYPES = {9: "s", 12: "y", 8: "b", 3: "i", 5: "i", 13: "i", 4: "i"}

OTHER_GROUPS = """
Deployment: 1 metadata ObjectMeta, 2 spec DeploymentSpec, 3 status Ignored
DeploymentSpec: 1 replicas i, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 strategy DeploymentStrategy,
 5 minReadySeconds i, 6 revisionHistoryLimit i, 7 paused b, 9 progressDeadlineSeconds i
DeploymentStrategy: 1 type s, 2 rollingUpdate RollingUpdateDeployment
RollingUpdateDeployment: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
ReplicaSet: 1 metadata ObjectMeta, 2 spec ReplicaSetSpec, 3 status Ignored
ReplicaSetSpec: 1 replicas i, 2 selector LabelSelector, 3 template PodTemplateSpec, 4 minReadySeconds i
Role: 1 metadata ObjectMeta, 2 rules []PolicyRule
ClusterRole: 1 metadata ObjectMeta, 2 rules []PolicyRule, 3 aggregationRule AggregationRule
AggregationRule: 1 clusterRoleSelectors []LabelSelector
PolicyRule: 1 verbs []s, 2 apiGroups []s, 3 resources []s, 4 resourceNames []s, 5 nonResourceURLs []s
RoleBinding: 1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef
ClusterRoleBinding: 1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef
Subject: 1 kind s, 2 apiGroup s, 3 name s, 4 namespace s
RoleRef: 1 apiGroup s, 2 kind s, 3 name s
HorizontalPodAutoscaler: 1 metadata ObjectMeta, 2 spec HorizontalPodAutoscalerSpec, 3 status Ignored
HorizontalPodAutoscalerSpec: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas i, 3 maxReplicas i,
 4 metrics []MetricSpec
autoscaling/v1/HorizontalPodAutoscaler: 1 metadata ObjectMeta, 2 spec OldAutoscalerSpec, 3 status Ignored
OldAutoscalerSpec: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas i, 3 maxReplicas i,
 4 targetCPUUtilizationPercentage i
CrossVersionObjectReference: 1 kind s, 2 name s, 3 apiVersion s
MetricSpec: 1 type s, 4 resource ResourceMetricSource
ResourceMetricSource: 1 name s, 2 target MetricTarget
MetricTarget: 1 type s, 2 value Quantity, 3 averageValue Quantity, 4 averageUtilization i
Lease: 1 metadata ObjectMeta, 2 spec LeaseSpec
LeaseSpec: 1 holderIdentity s, 2 leaseDurationSeconds i, 3 acquireTime MicroTime, 4 renewTime MicroTime,
 5 leaseTransitions i, 6 strategy s, 7 preferredHolder s
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec AccessReviewSpec, 3 status Ignored
SubjectAccessReview: 1 metadata ObjectMeta, 2 spec AccessReviewSpec, 3 status Ignored
AccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes, 3 user s,
 4 groups []s, 6 uid s
ResourceAttributes: 1 namespace s, 2 verb s, 3 group s, 4 version s, 5 resource s, 6 subresource s, 7 name s
NonResourceAttributes: 1 path s, 2 verb s
SelfSubjectReview: 1 metadata ObjectMeta, 2 status Ignored
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec SelfSubjectRulesReviewSpec, 3 status Ignored
SelfSubjectRulesReviewSpec: 1 namespace s
TokenRequest: 1 metadata ObjectMeta, 2 spec TokenRequestSpec, 3 status Ignored
TokenRequestSpec: 1 audiences []s, 3 boundObjectRef BoundObjectReference, 4 expirationSeconds i
BoundObjectReference: 1 kind s, 2 apiVersion s, 3 name s, 4 uid s
TokenReview: 1 metadata ObjectMeta, 2 spec TokenReviewSpec, 3 status Ignored
TokenReviewSpec: 1 token s, 2 audiences []s
Eviction: 1 metadata ObjectMeta, 2 deleteOptions DeleteOptions
"""
YOUNGER = """
ServiceSpec: 17 ipFamilyPolicy s, 18 clusterIPs []s, 19 ipFamilies []s, 20 allocateLoadBalancerNodePorts b,
 21 loadBalancerClass s, 22 internalTrafficPolicy s, 23 trafficDistribution s
ServicePort: 6 appProtocol s
ConfigMap: 4 immutable b
Secret: 5 immutable b
Probe: 7 terminationGracePeriodSeconds i
PodSecurityContext: 9 fsGroupChangePolicy s, 10 seccompProfile SeccompProfile
SecurityContext: 11 seccompProfile SeccompProfile
SeccompProfile: 1 type s, 2 localhostProfile s
"""


def main() -> None:
    from k8s.io.api.core.v1 import generated_pb2 as core
    from k8s.io.apimachinery.pkg.apis.meta.v1 import generated_pb2 as meta

    messages: dict[str, dict[str, list[str]]] = {}
    for module in (meta, core):
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items():
            messages[name] = {str(field.number): [_name(field), _type(field)] for field in descriptor.fields}
    for text in (OTHER_GROUPS, YOUNGER):
        for name, fields in _table(text).items():
            messages[name] = messages.get(name, {}) | fields if text is YOUNGER else fields
    kept: dict[str, Any] = {}
    todo = WANTED.split()
    while todo:
        name = todo.pop()
        if name not in kept and name in messages:
            kept[name] = messages[name]
            todo += [type_.removeprefix("[]").removeprefix("{}") for _, type_ in kept[name].values()]
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    target = Path(__file__).parents[1] / "canary_tutorial/lab/schemas/protobuf.json.gz"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(kept)} messages, {target.stat().st_size:,} bytes")


def _table(text: str) -> dict[str, dict[str, list[str]]]:
    lines = text.strip().replace(",\n ", ", ").splitlines()
    made = {}
    for line in lines:
        name, fields = line.split(": ")
        made[name] = {number: [field, type_] for number, field, type_ in (each.split() for each in fields.split(", "))}
    return made


def _name(field: Any) -> str:
    return "" if field.name in INLINE and field.message_type else str(field.name)


def _type(field: Any) -> str:
    message = field.message_type
    if message and message.GetOptions().map_entry:
        return "{}" + _type(message.fields_by_name["value"])
    prefix = "[]" if field.label == field.LABEL_REPEATED else ""
    return prefix + (message.name if message else TYPES[field.type])


if __name__ == "__main__":
    main()
