"""What kubectl does, as coroutines: a client for the API server that a scenario is played on."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

Obj = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# kind -> (group and version, plural)
KINDS = {
    "Namespace": ("v1", "namespaces"),
    "Service": ("v1", "services"),
    "ConfigMap": ("v1", "configmaps"),
    "Secret": ("v1", "secrets"),
    "Event": ("v1", "events"),
    "Pod": ("v1", "pods"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Deployment": ("apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "Lease": ("coordination.k8s.io/v1", "leases"),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Canary": ("flagger.app/v1beta1", "canaries"),
    "MetricTemplate": ("flagger.app/v1beta1", "metrictemplates"),
    "AlertProvider": ("flagger.app/v1beta1", "alertproviders"),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"),
    "Gateway": ("networking.istio.io/v1beta1", "gateways"),
    "Telemetry": ("telemetry.istio.io/v1", "telemetries"),
    "VirtualService": ("networking.istio.io/v1beta1", "virtualservices"),
    "DestinationRule": ("networking.istio.io/v1beta1", "destinationrules"),
}
UNNAMESPACED = (
    *("Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "MutatingWebhookConfiguration"),
)
PATCHES = {"merge": "merge-patch", "strategic": "strategic-merge-patch", "json": "json-patch"}


class Refused(Exception):
    """The API server's refusal, with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Kube:
    """An API server at `server`; `tls` checks its certificate."""

    def __init__(self, server: str, token: str, tls: ssl.SSLContext | None = None) -> None:
        connector = aiohttp.TCPConnector(ssl=tls or True, limit=0)
        headers = {"Authorization": f"Bearer {token}"}
        timeout = aiohttp.ClientTimeout(total=None)
        self._http = aiohttp.ClientSession(server, connector=connector, headers=headers, timeout=timeout)

    async def close(self) -> None:
        await self._http.close()

    async def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Obj:
        data = None if body is None else json.dumps(body)
        async with self._http.request(method, path, data=data, headers={"Content-Type": content}) as answer:
            found: Obj = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Refused(answer.status, found.get("message", ""))
            return found

    async def get(self, kind: str, name: str, namespace: str = "") -> Obj | None:
        try:
            return await self.request("GET", path(kind, namespace, name))
        except Refused as refused:
            if refused.code == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str = "", **query: str) -> list[Obj]:
        words = "&".join(f"{key}={value}" for key, value in query.items())
        found = await self.request("GET", f"{path(kind, namespace)}?{words}")
        return [{"kind": kind, **obj} for obj in found["items"]]

    async def create(self, obj: Obj) -> Obj:
        where = path(obj["kind"], obj["metadata"].get("namespace", ""), version=obj["apiVersion"])
        return await self.request("POST", where, obj)

    async def apply(self, obj: Obj) -> Obj:
        """As `kubectl apply` without --server-side, for objects that only gain fields."""
        meta = obj["metadata"]
        annotations = {**meta.get("annotations", {}), LAST_APPLIED: json.dumps(obj, sort_keys=True)}
        applied = {**obj, "metadata": {**meta, "annotations": annotations}}
        try:
            return await self.create(applied)
        except Refused as refused:
            if refused.code != 409:
                raise
        return await self.patch(obj["kind"], meta["name"], meta.get("namespace", ""), applied)

    async def patch(self, kind: str, name: str, namespace: str, body: Any, how: str = "merge") -> Obj:
        return await self.request("PATCH", path(kind, namespace, name), body, f"application/{PATCHES[how]}+json")

    async def delete(self, kind: str, name: str, namespace: str = "") -> None:
        await self.request("DELETE", path(kind, namespace, name), {"propagationPolicy": "Background"})

    async def watch(self, kind: str) -> AsyncIterator[tuple[str, Obj]]:
        """What is there, and all that happens to it from now on, in every namespace."""
        found = await self.request("GET", path(kind))
        for obj in found["items"]:
            yield "ADDED", {"kind": kind, **obj}
        version = found["metadata"]["resourceVersion"]
        where = f"{path(kind)}?watch=1&resourceVersion={version}&timeoutSeconds=7200"
        async with self._http.get(where, read_bufsize=2**22) as answer:
            async for line in answer.content:
                news = json.loads(line)
                yield news["type"], news["object"]


def path(kind: str, namespace: str = "", name: str = "", version: str = "") -> str:
    known, plural = KINDS[kind]
    version = version or known
    parts = ["api" if version == "v1" else "apis", version]
    if namespace and kind not in UNNAMESPACED:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, plural, *([name] if name else [])])
