"""Client for the Kubernetes API: objects as dicts, refused requests as `Refused`. I/O: lightkube."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
from lightkube import AsyncClient, KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.patience import Patient

_FLAGGER, _ISTIO = ("flagger.app", "v1beta1"), ("networking.istio.io", "v1beta1")
RESOURCES: dict[str, Any] = {
    kind: create_namespaced_resource(group, version, kind, plural)
    for group, version, kind, plural in (
        (*_FLAGGER, "Canary", "canaries"),
        (*_FLAGGER, "MetricTemplate", "metrictemplates"),
        (*_FLAGGER, "AlertProvider", "alertproviders"),
        (*_ISTIO, "VirtualService", "virtualservices"),
        (*_ISTIO, "DestinationRule", "destinationrules"),
        ("apps", "v1", "Deployment", "deployments"),
        ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ("coordination.k8s.io", "v1", "Lease", "leases"),
        ("", "v1", "Service", "services"),
        ("", "v1", "ConfigMap", "configmaps"),
        ("", "v1", "Secret", "secrets"),
        ("", "v1", "Event", "events"),
    )
}
CONFLICT_TRIES = 5
AT_ONCE = 10  # requests under way: a hundred Canaries on one beat need no hundred connections


def connection(kubeconfig: str = "", master: str = "") -> SingleConfig:
    """Whom to talk to: a kubeconfig's current context, else the environment's; `master` is another address for it.

    Raises ConfigError if there is none.
    """
    if master and not kubeconfig:
        found = KubeConfig.from_server(master).get()
    else:
        found = (KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()).get()
    if found is None:
        raise ConfigError("the kubeconfig has no current context")
    if master:
        found.cluster.server = master
    return found._replace(user=found.user or User())  # a server that asks nobody who they are is one, too


class Kube:
    """A client for the kinds that Flagger reads and writes."""

    def __init__(self, config: SingleConfig) -> None:
        self._client = AsyncClient(config=config, field_manager="flagger", trust_env=False, transport=Patient(config))
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def version(self) -> str:
        """The server's gitVersion."""
        http: httpx2.AsyncClient = self._client._client._client
        try:
            answer = await http.get("/version")
            answer.raise_for_status()
            return str(answer.json()["gitVersion"])
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            raise _refused(error) from error

    async def get(self, kind: str, name: str, namespace: str) -> Obj:
        check_names(name, namespace)
        return await self._answer(self._client.get(RESOURCES[kind], name, namespace=namespace))

    async def create(self, kind: str, obj: Obj) -> Obj:
        return await self._answer(self._client.create(RESOURCES[kind](obj)))

    async def update(self, kind: str, obj: Obj) -> Obj:
        return await self._answer(self._client.replace(RESOURCES[kind](obj)))

    async def patch(self, kind: str, name: str, namespace: str, body: Obj) -> Obj:
        check_names(name, namespace)
        patched = self._client.patch(RESOURCES[kind], name, body, namespace=namespace, patch_type=PatchType.MERGE)
        return await self._answer(patched)

    async def write_status(self, name: str, namespace: str, fields: Callable[[Obj], Obj]) -> Obj:
        """PUT /status with `fields(canary)` as its status; on a conflict, once more on what is there now."""
        for attempt in range(CONFLICT_TRIES):
            current = await self.get("Canary", name, namespace)
            body = RESOURCES["Canary"].Status({**current, "status": fields(current)})
            try:
                return await self._answer(self._client.replace(body))
            except Refused as refused:
                if not refused.conflict or attempt == CONFLICT_TRIES - 1:
                    raise
                await asyncio.sleep(0.01 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _answer(self, call: Awaitable[Any]) -> Obj:
        async with self._slots:
            try:
                return dict(await call)
            except Exception as error:
                raise _refused(error) from error

    async def list(self, kind: str, namespace: str) -> tuple[list[Obj], str]:
        """The objects (of all namespaces for "") and the resourceVersion to watch from."""
        answer = self._client.list(RESOURCES[kind], namespace=namespace or "*")
        try:
            found = [dict(obj) async for obj in answer]
            return found, str(answer.resourceVersion)
        except Exception as error:
            raise _refused(error) from error

    async def watch(self, kind: str, namespace: str, version: str) -> AsyncIterator[tuple[str, Obj]]:
        """News from `version` on, for ever; a broken connection is taken up again by the client, else refused."""
        try:
            watching = self._client.watch(RESOURCES[kind], namespace=namespace or "*", resource_version=version)
            async for type_, obj in watching:
                yield type_, dict(obj)
        except Exception as error:
            raise _refused(error) from error


def check_names(*names: str) -> None:
    """As client-go: a name that a user wrote into an object must not lead to another object's path."""
    if not all(names):
        raise Refused("resource name may not be empty")
    for name in names:
        if name in (".", ".."):
            raise Refused(f"invalid resource name \"{name}\": [may not be '{name}']")
        for sign in "/%?#":
            if sign in name:
                raise Refused(f"invalid resource name \"{name}\": [may not contain '{sign}']")


def _refused(error: Exception) -> Refused:
    """Whatever went wrong with a request, also an answer that cannot be read, in one exception."""
    code = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) and error.response else 0
    if isinstance(error, ApiError):
        code = int(error.status.code or code)
        return Refused(str(error.status.message), missing=code == 404, conflict=code == 409, passing=code >= 500)
    passing = code >= 500 or isinstance(error, httpx2.TransportError)
    return Refused(str(error) or type(error).__name__, passing=passing)
