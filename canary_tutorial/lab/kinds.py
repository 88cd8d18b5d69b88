"""`Kind`: a kind's names, and whether it has a status and a scale; and the kinds that code refers to by name.

These are the kinds that the store, the controllers and the kubelet use, which may not import the API. Every other kind is
defined in its module of `api/kinds`, as is all else about kinds. CustomResourceDefinitions add more (`Store.kinds`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Where a scalable kind keeps its numbers, as in a CustomResourceDefinition's `subresources.scale`."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of object. `version` is the version that is stored and preferred, `served` are all of them."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False  # has /status: then a plain update leaves the status alone, and only /status changes it
    scale: Scale | None = None
    generation: bool = False  # counts changes of the wanted state in metadata.generation
    also_served: tuple[str, ...] = ()
    list_kind: str = ""
    custom: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def served(self) -> tuple[str, ...]:
        return (self.version, *self.also_served)

    @property
    def resource(self) -> str:
        """The name used in messages: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def __repr__(self) -> str:
        return f"<Kind {self.kind} {self.api_version}>"


ALL = ("all",)
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"

NAMESPACES = Kind("", "v1", "Namespace", "namespaces", "namespace", False, ("ns",), status=True)
PODS = Kind("", "v1", "Pod", "pods", "pod", True, ("po",), ALL, status=True)
NODES = Kind("", "v1", "Node", "nodes", "node", False, ("no",), status=True)
SERVICES = Kind("", "v1", "Service", "services", "service", True, ("svc",), ALL, status=True)
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", "endpoints", True, ("ep",))
CONFIGMAPS = Kind("", "v1", "ConfigMap", "configmaps", "configmap", True, ("cm",))
SECRETS = Kind("", "v1", "Secret", "secrets", "secret", True)
SERVICEACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", True, ("sa",))
EVENTS = Kind("", "v1", "Event", "events", "event", True, ("ev",))
DEPLOYMENTS = Kind(
    "apps", "v1", "Deployment", "deployments", "deployment", True, ("deploy",), ALL, True, Scale(), generation=True
)
REPLICASETS = Kind(
    "apps", "v1", "ReplicaSet", "replicasets", "replicaset", True, ("rs",), ALL, True, Scale(), generation=True
)
AUTOSCALERS = Kind(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler", True,
    ("hpa",), ALL, status=True, also_served=("v1",),
)  # fmt: skip
ENDPOINTSLICES = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", True)
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases", "lease", True)
ROLES = Kind(RBAC, "v1", "Role", "roles", "role", True)
ROLEBINDINGS = Kind(RBAC, "v1", "RoleBinding", "rolebindings", "rolebinding", True)
CLUSTERROLES = Kind(RBAC, "v1", "ClusterRole", "clusterroles", "clusterrole", False)
CLUSTERROLEBINDINGS = Kind(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding", False)
CRDS = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "customresourcedefinition",
    False, ("crd", "crds"), ("api-extensions",), status=True, generation=True,
)  # fmt: skip
MUTATINGWEBHOOKS = Kind(
    ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration",
    False, (), ("api-extensions",), generation=True,
)  # fmt: skip
