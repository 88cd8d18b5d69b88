"""The grammar of objects: pods, workloads, Canaries, Istio's kinds, roles and CustomResourceDefinitions.

Healthy choices come first and most often; odd ones stand beside them. `OUTSIDE` is a directory that no pod may touch.
Nothing here may harm the machine even where a lab has faults: paths that climb end in OUTSIDE, commands are harmless.
"""

from __future__ import annotations

import base64
import random
from typing import Any

from fuzz_values import LONG, NUL, PATTERNS, SURROGATE, Obj, Pick, Some, grow, mostly

OUTSIDE = "@outside@"  # replaced by a real path, without its first slash, when the input is made
NAMES = Pick(*(f"n{i}" for i in range(10)))
TEXT = mostly("text", "", NUL, LONG, SURROGATE, "$(A)$$(B)$(", "{{ .x }}", "<script>")
LABELS = {"app?": NAMES, "fuzz.example/x?": mostly("y", "-", "a b", LONG)}
NUMBER = mostly(1, 0, -1, 2, 300, 2**31, 2**62)
SECONDS = mostly("1s", "5x", "-1s", "0s", "1h1m", "", "99999999999h", "1.5s")
PORT = mostly(8080, "http", 0, -1, 65536, "nope", "")
CLIMB = "/".join([".."] * 40) + "/"
PATH = mostly("file", "dir/sub/file", f"/{OUTSIDE}/p", f"{CLIMB}{OUTSIDE}/p", "a/../b", "..x", ".", "", "x" * 300, NUL)
SIZE = mostly("10Mi", "1e3", "-1", "1x", "0", "9" * 30, "", 5)

COMMAND = Pick(
    *[["sleep", "1000"]] * 12, ["podinfo"], ["podinfo", "--port=0"], ["true"], ["false"], ["sh", "-c", "echo hello; exit 3"],
    ["nothing-here"], [""], [NUL], ["sleep", NUL], ["echo", "$(A)$$(B)$("], ["."], ["/"], ["sleep", LONG], ["sh", "-c", "exec sleep 1000 >&-"],
)  # fmt: skip
IMAGE = mostly("stefanprodan/podinfo:2.0.0", "podinfo:9.9.9", "nginx", "a/b/c:d:e", ":", "@", "podinfo@sha256:0", "UP:x", LONG)
REFERENCE = {"name": NAMES, "key": mostly("k", "..", "", "a/b"), "optional?": Pick(True, False)}
ITEMS = Some({"key": mostly("k", "..", "missing"), "path": PATH})
FIELD = {"fieldPath": mostly("metadata.name", "metadata.labels['app']", "metadata.labels['", "status.x", "", "spec")}
CHECK = {
    "httpGet?": {"port": PORT, "path?": mostly("/healthz", "//", "http://x", NUL, " "), "host?": TEXT, "scheme?": mostly("HTTP", "HTTPS", "X")},
    "exec?": {"command?": COMMAND}, "tcpSocket?": {"port": PORT}, "grpc?": {"port": NUMBER},
}  # fmt: skip
PROBE = {**CHECK, "periodSeconds?": NUMBER, "timeoutSeconds?": NUMBER, "failureThreshold?": NUMBER, "initialDelaySeconds?": NUMBER}
CONTAINER = {
    "name": mostly("app", "b", "istio-proxy", "UP", "..", "x" * 70), "image": IMAGE, "command": COMMAND, "args?": Some(TEXT),
    "env?": Some({"name": mostly("A", "B", "PATH", "1=", "", "LD_X"), "value?": TEXT, "valueFrom?": Pick(
        {"configMapKeyRef": REFERENCE}, {"secretKeyRef": REFERENCE}, {"fieldRef": FIELD}, {"resourceFieldRef": {"resource": "limits.cpu", "divisor": SIZE}}, {})}),
    "envFrom?": Some(Pick({"configMapRef": {"name": NAMES}}, {"secretRef": {"name": NAMES, "optional": True}, "prefix": TEXT}, {})),
    "ports?": [{"containerPort": Pick(8080, 9898, 0, 65536), "name?": mostly("http", "UP", "x" * 16), "protocol?": mostly("TCP", "X")}],
    "resources?": {"limits": {"cpu?": SIZE, "memory?": SIZE}, "requests?": {"cpu?": SIZE}},
    "livenessProbe?": PROBE, "readinessProbe?": PROBE, "lifecycle?": {"preStop?": CHECK, "postStart?": CHECK},
    "securityContext?": {"runAsUser": NUMBER, "privileged?": True}, "workingDir?": PATH, "imagePullPolicy?": mostly("Always", "X"),
    "terminationMessagePath?": PATH,
}  # fmt: skip
PROMETHEUS = {
    "name": "app", "image": "prom/prometheus:v2.42.0", "args": ["--config.file=/etc/v/prometheus.yml"],
}  # fmt: skip
SOURCE = Pick(
    {"configMap": {"name?": NAMES, "items?": ITEMS, "optional?": True}}, {"secret": {"secretName?": NAMES, "items?": ITEMS, "optional?": True}},
    {"emptyDir": {}}, {"emptyDir": {"sizeLimit": SIZE, "medium": TEXT}}, {"downwardAPI": {"items": Some({"path": PATH, "fieldRef": FIELD})}},
    {"projected": {"sources": Some(Pick(
        {"configMap": {"name": NAMES, "items?": ITEMS}}, {"secret": {"name": NAMES, "items?": ITEMS}}, {},
        {"serviceAccountToken": {"path": PATH, "expirationSeconds?": NUMBER}}, {"downwardAPI": {"items": Some({"path": PATH, "fieldRef": FIELD})}}))}},
    {"hostPath": {"path": f"/{OUTSIDE}"}}, {"persistentVolumeClaim": {"claimName": NAMES}}, {"nfs": {"server": "x", "path": "/"}}, {},
    {"emptyDir": {}, "configMap": {"name": NAMES}},
)  # fmt: skip
VOLUME_NAME = mostly("v", f"{CLIMB}{OUTSIDE}", f"/{OUTSIDE}", "..", "a/b", "x" * 300, NUL, "UP", "")


def pod_spec(r: random.Random) -> Obj:
    """A pod's spec whose mounts name its volumes, and which is never many processes."""
    volumes = [{"name": grow(r, VOLUME_NAME), **grow(r, SOURCE)} for _ in range(r.choice((0, 0, 1, 1, 2)))]
    mounts = [
        {"name": each["name"], "mountPath": grow(r, mostly("/etc/v", "/", "x", "", "/a:b")), **grow(r, {"subPath?": PATH})}
        for each in volumes
    ]
    first = PROMETHEUS if r.random() < 0.02 else CONTAINER
    spec: Obj = grow(r, {
        "containers": Pick([first], [first], [first, {**CONTAINER, "name": "b"}]), "initContainers?": Pick([], [{**CONTAINER, "name": "i", "command": COMMAND}]),
        "restartPolicy?": mostly("Always", "Never", "OnFailure", "X"), "terminationGracePeriodSeconds": mostly(1, 0, -1, 2**62),
        "serviceAccountName?": mostly("default", "nobody", "a/b"), "nodeName?": mostly("lab", "elsewhere"), "hostNetwork?": True,
        "securityContext?": {"runAsNonRoot": True}, "activeDeadlineSeconds?": NUMBER, "hostname?": TEXT, "tolerations?": Some({"key": TEXT}),
    })  # fmt: skip
    for container in spec["containers"]:
        container["volumeMounts"] = mounts
    return {**spec, "volumes": volumes}


def template(r: random.Random) -> Obj:
    return {"metadata": {"labels": {"app": "x"}, **grow(r, {"annotations?": LABELS})}, "spec": pod_spec(r)}


SELECTOR = {"matchLabels": {"app": "x"}, "matchExpressions?": Some({"key": "app", "operator": mostly("Exists", "In", "X"), "values?": ["x"]})}
STRATEGY = {"type?": mostly("RollingUpdate", "Recreate", "X"), "rollingUpdate?": {"maxSurge": mostly(1, "25%", "x%", -1, "500%", 0), "maxUnavailable?": 0}}
DEPLOYMENT = {
    "replicas?": Pick(0, 1, 2, -1), "selector": SELECTOR, "template": template, "strategy?": STRATEGY, "paused?": Pick(True, False),
    "minReadySeconds?": NUMBER, "progressDeadlineSeconds?": mostly(60, 0, -1, 2**31), "revisionHistoryLimit?": mostly(1, 0, -1),
}  # fmt: skip

# -- Flagger

MATCH = Pick(*({how: text} for how in ("exact", "prefix") for text in ("/a", "")), *({"regex": each} for each in (".*", *PATTERNS)), {})
ROUTE_MATCH = {"uri?": MATCH, "headers?": {"x-user": MATCH, "?": MATCH}, "sourceLabels?": LABELS, "port?": NUMBER}
PROVIDER = Pick(
    {"type": "prometheus", "address": mostly("http://127.0.0.1:1", "", "x", "http://[", "ftp://x", LONG), "secretRef?": {"name": NAMES}},
    {"type": mostly("datadog", "nothing", ""), "address?": TEXT, "secretRef?": {"name": NAMES}}, {},
)  # fmt: skip
ANALYSIS = {
    "interval": mostly("1s", "0s", "99999999999s", "1m", "5"), "threshold": mostly(2, -1, 0, 0.5, 2**62), "stepWeight": mostly(50, 0, -5, 200, 1.5),
    "maxWeight?": mostly(50, 0, -1, 10**9), "stepWeights?": Some(NUMBER), "iterations?": NUMBER, "mirror?": True, "mirrorWeight?": NUMBER, "match?": Some(ROUTE_MATCH),
    "primaryReadyThreshold?": NUMBER, "sessionAffinity?": {"cookieName": TEXT, "maxAge?": NUMBER},
    "metrics?": Some({
        "name": mostly("request-success-rate", "request-duration", "nothing", ""), "interval?": SECONDS, "thresholdRange?": {"min?": NUMBER, "max?": NUMBER},
        "threshold?": NUMBER, "query?": mostly("vector(1)", "{{ .x", "{{ nothing }}", "up{", NUL), "templateRef?": {"name": NAMES, "namespace?": NAMES}, "templateVariables?": {"x": TEXT}}),
    "webhooks?": Some({
        "name": TEXT, "url": mostly("http://127.0.0.1:1/", "x", "http://[", "", "file:///etc/hostname"), "metadata?": {"cmd": "true", "type": "bash"}, "retries?": NUMBER,
        "type?": Pick("confirm-rollout", "pre-rollout", "rollout", "event", "rollback", "confirm-promotion", "x"), "timeout?": SECONDS}),
    "alerts?": Some({"name": TEXT, "severity": mostly("info", "warn", "x"), "providerRef": {"name": NAMES, "namespace?": NAMES}}),
}  # fmt: skip
CANARY = {
    "targetRef": {"apiVersion": mostly("apps/v1", "v1", "x"), "kind": mostly("Deployment", "DaemonSet", "Service"), "name": NAMES},
    "autoscalerRef?": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": NAMES},
    "service": {
        "port": mostly(8080, 0, -1, 70000, 1.5), "name?": NAMES, "portName?": TEXT, "targetPort?": PORT, "portDiscovery?": True, "gateways?": Some(mostly("mesh", "a/b/c", "")),
        "hosts?": Some(mostly("h.example", "", "*.x", "a b")), "match?": Some(ROUTE_MATCH), "timeout?": SECONDS, "retries?": {"attempts": NUMBER, "perTryTimeout?": SECONDS},
        "trafficPolicy?": {"tls": {"mode": mostly("ISTIO_MUTUAL", "X", 5)}}, "headers?": {"request": {"add": Pick({"a": "b"}, 5)}}, "apex?": {"labels": LABELS}, "delegation?": True,
        "corsPolicy?": {"allowOrigins": Some(MATCH), "maxAge?": SECONDS}, "rewrite?": {"uri": Pick("/", 5)}, "mirror?": Some(Pick({"backendRef": {}}, {}))},
    "analysis": ANALYSIS, "skipAnalysis?": Pick(True, False), "suspend?": Pick(True, False), "revertOnDeletion?": True, "progressDeadlineSeconds?": NUMBER,
    "provider?": mostly("istio", "kubernetes", "nginx", "x"), "metricsServer?": mostly("http://127.0.0.1:1", "", "http://[", 5),
}  # fmt: skip

# -- Istio: no host of these is one that the victim uses

HOST = Pick("n0", "n1", "n2", "n3.den.svc.cluster.local", "x.example", "*.example", "", "a b", LONG)
DESTINATION = {"host": HOST, "subset?": mostly("v1", "none"), "port?": {"number": mostly(8080, 0, 65536)}}
PERCENT = {"value": mostly(50, 0, 100, 0.0001)}
HEADERS = {"request?": {"set?": {"x-a": TEXT}, "add?": Pick(*({name: TEXT} for name in ("x-b", "x-b", ":path", "a b", ""))), "remove?": Some(TEXT)}, "response?": {"set": {"x-c": TEXT}}}
TRAFFIC = {
    "tls?": {"mode": mostly("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")}, "loadBalancer?": Pick({"simple": mostly("ROUND_ROBIN", "X", 5)}, {"consistentHash": Pick({}, 5, {"httpHeaderName": 5}, {"httpCookie": {"name": "a", "ttl": "x"}})}),
    "outlierDetection?": {"interval?": SECONDS, "baseEjectionTime?": SECONDS, "consecutive5xxErrors?": NUMBER, "maxEjectionPercent?": NUMBER},
    "connectionPool?": {"tcp?": {"maxConnections?": NUMBER, "connectTimeout?": SECONDS, "tcpKeepalive?": {"time": SECONDS}}, "http?": {"maxRetries?": NUMBER, "idleTimeout?": SECONDS, "http1MaxPendingRequests?": NUMBER}},
}  # fmt: skip
VIRTUALSERVICE = {
    "hosts": [HOST], "gateways?": Some(mostly("mesh", "n0", "a/b/c", "")), "exportTo?": Some(Pick(".", "*", "x")), "tcp?": Some({"route": Some({})}),
    "http": Some({
        "match?": Some(ROUTE_MATCH), "route": Some({"destination": DESTINATION, "weight?": mostly(100, 0, 2**31 - 1), "headers?": HEADERS}), "timeout?": SECONDS,
        "retries?": {"attempts": NUMBER, "perTryTimeout?": SECONDS, "retryOn?": mostly("5xx", "x,,y", "")}, "headers?": HEADERS, "mirror?": DESTINATION, "mirrorPercentage?": PERCENT,
        "fault?": {"delay?": {"fixedDelay": SECONDS, "percentage?": PERCENT}, "abort?": {"httpStatus": mostly(418, 0, 99, 1000), "percentage?": PERCENT}},
        "rewrite?": Pick({"uri": TEXT}, {"uriRegexRewrite": {"match": Pick(*PATTERNS), "rewrite": r"\1\9"}}, {"authority": TEXT}), "delegate?": {"name": NAMES},
        "redirect?": {"uri": TEXT, "redirectCode?": mostly(301, 200, 999), "port?": NUMBER}, "directResponse?": {"status": mostly(200, 0, 1000), "body?": {"bytes": "!"}},
        "corsPolicy?": {"allowOrigins?": Some(MATCH), "maxAge?": SECONDS, "allowMethods?": Some(TEXT)}}),
}  # fmt: skip
DESTINATIONRULE = {
    "host": HOST, "trafficPolicy?": {**TRAFFIC, "portLevelSettings?": Some({"port?": {"number": mostly(8080, 0, 65536)}, **TRAFFIC})},
    "subsets?": Some({"name": mostly("v1", "", "a|b"), "labels?": LABELS, "trafficPolicy?": TRAFFIC}), "workloadSelector?": Pick({}, 5),
}  # fmt: skip
GATEWAY = {
    "selector?": Pick({"istio": "ingressgateway"}, {"app": "x"}, {}),
    "servers": Some({"port": {"number": mostly(8081, 0, 80, 65536, 4294967295), "protocol": mostly("HTTP", "HTTPS", "X", ""), "name": TEXT},
                     "hosts": Some(mostly("x.example", "*.y", "", "a/b/c")), "tls?": Pick({"mode": "SIMPLE", "credentialName": NAMES}, {"httpsRedirect": True}, 5), "bind?": TEXT}),
}  # fmt: skip

# -- roles: what the administrator gives away here is worth nothing

RULES = Some({"apiGroups": mostly(["fuzz.example"], [""], []), "resources": mostly(["things"], ["things/x"], []), "verbs": mostly(["get"], ["x"], []), "resourceNames?": Some(TEXT)})
SUBJECTS = Some({"kind": mostly("ServiceAccount", "User", "Group", "X"), "name": NAMES, "namespace": "fair", "apiGroup?": ""})

# -- CustomResourceDefinitions

TYPE = Pick("object", "string", "integer", "number", "boolean", "array")


def schema(r: random.Random, depth: int = 0) -> Obj:
    """A schema of a few levels; each has its own ways to be wrong."""
    kind = grow(r, TYPE) if depth else "object"
    inner = schema(r, depth + 1) if depth < 4 else {"type": "string"}
    extra: Obj = {
        "object": Pick({"properties": {"a": inner, "b": {"type": "string", "pattern": Pick(*PATTERNS)}}}, {"additionalProperties": inner}, {"x-kubernetes-preserve-unknown-fields": True}),
        "array": {"items": inner, "maxItems?": NUMBER, "uniqueItems?": True, "x-kubernetes-list-type?": Pick("set", "map", "atomic"), "x-kubernetes-list-map-keys?": ["a"]},
        "string": {"pattern?": Pick(*PATTERNS), "format?": mostly("date-time", "byte", "uuid", "x"), "maxLength?": NUMBER, "enum?": Some(TEXT), "default?": TEXT},
        "integer": {"minimum?": NUMBER, "multipleOf?": NUMBER, "default?": NUMBER}, "number": {"maximum?": NUMBER, "enum?": [1, "x"]}, "boolean": {"default?": True},
    }[kind]  # fmt: skip
    rest = {"nullable?": True, "description?": TEXT, "required?": ["a"], "oneOf?": Some({"required": ["a"]}), "not?": {"pattern": "("}, "x-kubernetes-int-or-string?": True}
    return {"type": kind, **grow(r, extra), **(grow(r, rest) if depth and r.random() < 0.3 else {})}


def definition(r: random.Random) -> Obj:
    """Of one of four groups, so that there are never many."""
    number = r.randrange(4)
    version = {
        "name": mostly("v1", "V1", "x" * 70), "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema, "status": {"type": "object"}}}},
        "subresources?": {"status?": {}, "scale?": {"specReplicasPath": mostly(".spec.a", "x", ".spec['"), "statusReplicasPath": ".status.a"}},
        "additionalPrinterColumns?": Some({"name": TEXT, "type": mostly("string", "date", "x"), "jsonPath": mostly(".spec.a", ".spec[?(@.a)]", "..", ".spec.a[*", "")}),
    }  # fmt: skip
    names = {"plural": "things", "singular": "thing", "kind": "Thing", "shortNames?": Some(mostly("th", "po", "")), "categories?": ["all"]}
    made = {"group": f"g{number}.fuzz.example", "scope": "Namespaced", "names": names, "versions": [version], "conversion?": {"strategy": mostly("None", "Webhook")}}
    return {"metadata": {"name": f"things.g{number}.fuzz.example"}, "spec": grow(r, made)}


def thing(r: random.Random) -> Any:
    """Something for the schemas above."""
    return grow(r, Pick({"a": thing, "b": TEXT}, [thing], "a" * 28 + "!", TEXT, NUMBER, {}) if r.random() < 0.6 else TEXT)


def encoded(r: random.Random) -> str:
    return base64.b64encode(r.randbytes(6)).decode() if r.random() < 0.8 else r.choice(("!", "====", "a"))


SERVICE = {"selector?": {"app": "x"}, "ports": [{"port": mostly(8080, 0, 70000), "targetPort?": PORT, "name?": mostly("http", "UP"), "protocol?": mostly("TCP", "X")}],
           "type?": mostly("ClusterIP", "NodePort", "ExternalName", "X"), "clusterIP?": mostly("None", "10.0.0.1", "x"), "externalName?": TEXT}  # fmt: skip
AUTOSCALER = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAMES}, "minReplicas?": NUMBER, "maxReplicas": mostly(2, 0, -1), "metrics?": Some({"type": TEXT})}
KEYS = {"k": TEXT, "prometheus.yml?": Pick("a: [unclosed", "", "[]", "scrape_configs: 5", "scrape_configs: [5]"), "..?": TEXT, "a/b?": TEXT}

# plural: apiVersion, kind, everything but metadata
KINDS: dict[str, tuple[str, str, Any]] = {
    "pods": ("v1", "Pod", {"spec": pod_spec}),
    "deployments": ("apps/v1", "Deployment", {"spec": DEPLOYMENT}),
    "replicasets": ("apps/v1", "ReplicaSet", {"spec": {"replicas": Pick(0, 1, -1), "selector": SELECTOR, "template": template}}),
    "services": ("v1", "Service", {"spec": SERVICE}),
    "configmaps": ("v1", "ConfigMap", {"data?": KEYS, "binaryData?": {"k2": encoded}, "immutable?": Pick(False, None)}),
    "secrets": ("v1", "Secret", {"data?": {"k": encoded}, "stringData?": KEYS, "type?": mostly("Opaque", "kubernetes.io/tls", "")}),
    "serviceaccounts": ("v1", "ServiceAccount", {"secrets?": Some({"name": NAMES})}),
    "endpoints": ("v1", "Endpoints", {"subsets": Some({"addresses": Some({"ip": mostly("127.0.0.1", "x", "8.8.8.8")}), "ports": Some({"port": NUMBER})})}),
    "horizontalpodautoscalers": ("autoscaling/v2", "HorizontalPodAutoscaler", {"spec": AUTOSCALER}),
    "leases": ("coordination.k8s.io/v1", "Lease", {"spec": {"holderIdentity?": TEXT, "leaseDurationSeconds?": NUMBER, "renewTime?": mostly("2026-01-01T00:00:00.000000Z", "x")}}),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", {"rules": RULES}),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": mostly("Role", "ClusterRole", "X"), "name": NAMES}, "subjects?": SUBJECTS}),
    "canaries": ("flagger.app/v1beta1", "Canary", Pick(*[{"spec": CANARY}] * 9, {}, {"spec?": {}})),
    "metrictemplates": ("flagger.app/v1beta1", "MetricTemplate", {"spec?": {"provider?": PROVIDER, "query?": mostly("vector(1)", "{{", "{{ .x }}", NUL)}}),
    "alertproviders": ("flagger.app/v1beta1", "AlertProvider", {"spec?": {"type?": mostly("slack", "x", ""), "address?": mostly("http://127.0.0.1:1", "", "http://["), "secretRef?": {"name": NAMES}}}),
    "virtualservices": ("networking.istio.io/v1", "VirtualService", {"spec?": VIRTUALSERVICE}),
    "destinationrules": ("networking.istio.io/v1", "DestinationRule", {"spec?": DESTINATIONRULE}),
    "gateways": ("networking.istio.io/v1", "Gateway", {"spec?": GATEWAY}),
    "telemetries": ("telemetry.istio.io/v1", "Telemetry", {"spec?": {"metrics?": Some({"overrides": Some({"tagOverrides": Pick({}, 5)})}), "x?": TEXT}}),
    **{f"things.g{i}": (f"g{i}.fuzz.example/v1", "Thing", {"spec?": thing, "status?": thing}) for i in range(4)},
}  # fmt: skip


def make(r: random.Random, plural: str, name: str, namespace: str) -> Obj:
    """One object of a kind, as it grew."""
    api_version, kind, shape = KINDS[plural]
    meta = grow(r, {"labels?": LABELS, "annotations?": {"a": TEXT}, "finalizers?": mostly([], ["fuzz.example/x"], ["x"]), "ownerReferences?": mostly([], [{"apiVersion": "v1", "kind": "ConfigMap", "name": "n0", "uid": "x"}])})
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace, **meta}, **grow(r, shape)}
