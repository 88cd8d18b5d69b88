"""HTTP client for the Kubernetes API, with objects as plain dicts.

The official client reads the kubeconfig, and does certificates, expiring tokens and WebSockets. Its models are not used,
so that a learner sees the YAML's own fields. Kinds are resolved by the server's discovery, as kubectl does, so `deploy`,
`deployments` and `Deployment` are the same. `kubernetes.dynamic` was tried for discovery, apply and watch: it takes as
many requests and lines, caches discovery in a file that every user of the machine may read, fails as a whole where the
account may not read one group, and does not wait when a busy server asks for it (Retry-After).
All I/O with the API server is here and in `exec.py`.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from canary_tutorial.errors import BadInput, Missing, Refused, Unreachable, refused
from canary_tutorial.kube.objects import Obj

Query = Mapping[str, str | int | None]
Timeout = float | tuple[float, float]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
JSON = "application/json"
ANY = "*/*"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TRIES = 10  # of a request that a busy server puts off, as client-go's
LONGEST_PAUSE = 30.0  # seconds
# Kubernetes' own groups. A name alone does not tell: gateway.networking.k8s.io is made of CustomResourceDefinitions.
OF_K8S_IO = """
    admissionregistration apiextensions apiregistration authentication authorization certificates coordination discovery
    events flowcontrol.apiserver internal.apiserver networking node rbac.authorization resource scheduling storage
    storagemigration
"""
KUBERNETES = {"", "apps", "autoscaling", "batch", "extensions", "policy", *(f"{x}.k8s.io" for x in OF_K8S_IO.split())}
NO_ANSWER = "Is it still running? For the lab: `canary-tutorial status`, and connect() starts a new one."


@dataclass(frozen=True)
class Resource:
    """One row of discovery."""

    group_version: str
    kind: str
    plural: str
    namespaced: bool
    names: tuple[str, ...]  # everything that kubectl accepts, in lower case
    verbs: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.group_version.rpartition("/")[0]

    @property
    def built_in(self) -> bool:
        """Whether it is a kind of Kubernetes itself, as kubectl knows."""
        return self.group in KUBERNETES

    def path(self, name: str | None = None, namespace: str | None = None, subresource: str | None = None) -> str:
        parts = ["/api" if "/" not in self.group_version else "/apis", self.group_version]
        parts += ["namespaces", namespace] if self.namespaced and namespace else []
        parts += [self.plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/".join(parts)


class Api:
    """Requests to one API server. `configuration` is the client's own, as its kubeconfig loader fills it."""

    def __init__(self, configuration: Any) -> None:
        from kubernetes import client

        configuration.retries = False
        configuration.connection_pool_maxsize = 8
        self.configuration = configuration
        self.client = client.ApiClient(configuration)
        self._resources: list[Resource] = []
        self._lock = threading.Lock()

    @property
    def server(self) -> str:
        return str(self.configuration.host)

    def headers(self) -> dict[str, str]:
        """What a request outside the client (Prometheus through the proxy) must carry: a fresh token, if any."""
        request = self.client.param_serialize("GET", "/", auth_settings=["BearerToken"])
        return {k: v for k, v in request[2].items() if k.lower() == "authorization"}

    def request(
        self, method: str, path: str, body: Any = None, query: Query | None = None, *, accept: str = JSON,
        content_type: str = JSON, timeout: Timeout = 30, parse: bool = True,
    ) -> Any:  # fmt: skip
        """One request; the answer as parsed JSON, or as text if it is not JSON or `parse` is off. What Kubernetes says
        as `null` is left out (see `read_json`); a page of somebody else's, behind the proxy, stays as it is.

        Raises Refused, Missing, Unreachable.
        """
        response = self._send(method, path, body, query, accept, content_type, timeout)
        data = response.read().decode(errors="replace")
        return _parsed(data, kubernetes=accept != ANY) if parse else data

    def lines(self, path: str, query: Query | None = None, timeout: float = 330) -> Iterator[str]:
        """The lines of an answer as they come (watches, logs); ends when the server ends it. Closing it disconnects."""
        response = self._send("GET", path, None, query, JSON, "", (10, timeout))
        rest = b""
        try:
            for chunk in response.response.stream(amt=None, decode_content=False):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
            if rest:
                yield rest.decode(errors="replace")
        except Exception as exc:
            raise _unreachable(self.server, exc) from exc
        finally:
            response.response.close()

    def _send(
        self, method: str, path: str, body: Any, query: Query | None, accept: str, content_type: str, timeout: Timeout
    ) -> Any:
        headers = {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}
        pairs = [(key, value) for key, value in (query or {}).items() if value not in (None, "")]
        verb, url, sent, *_ = self.client.param_serialize(
            method, path, query_params=pairs, header_params=headers, auth_settings=["BearerToken"]
        )
        for attempt in range(TRIES):
            response = self._translated(
                lambda: self.client.call_api(verb, url, sent, body=body, _request_timeout=timeout)
            )
            if response.status < 300:
                return response
            data = self._translated(response.read).decode(errors="replace")
            pause = _retry_after(response) if attempt < TRIES - 1 else None
            if pause is None:
                answer = _parsed(data)
                raise refused(response.status, answer if isinstance(answer, dict) else {"message": answer})
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _translated(self, call: Callable[[], Any]) -> Any:
        """What `call` answers; an error of the connection becomes Unreachable."""
        import urllib3
        from kubernetes.client import ApiException

        try:
            return call()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as exc:
            raise _unreachable(self.server, exc) from exc

    def resource(self, name: str) -> Resource:
        """The kind that kubectl would understand by `name` (`deploy`, `Canary`, `virtualservices.networking.istio.io`).

        Discovery is read once and again when a name is unknown: a CRD may have come since. Raises Missing.
        """
        wanted = name.lower()
        for attempt in range(2):
            for resource in self._discovered(again=attempt > 0):
                if wanted in resource.names:
                    return resource
        raise Missing(
            f'The server doesn\'t have a resource type "{name}".',
            'Install its CustomResourceDefinition: cluster.apply("flagger-crd.yaml"), or "mesh.yaml" for Istio.',
            status=404,
        )

    def resource_of(self, obj: Obj) -> Resource:
        """The kind of an object, by its own apiVersion and kind."""
        for attempt in range(2):
            for resource in self._discovered(again=attempt > 0):
                if (resource.group_version, resource.kind) == (obj["apiVersion"], obj["kind"]):
                    return resource
        raise Missing(
            f'No matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}".',
            'Install its CustomResourceDefinition: cluster.apply("flagger-crd.yaml"), or "mesh.yaml" for Istio.',
            status=404,
        )

    def versions(self, name: str) -> list[str]:
        """The versions in which the server has a kind, given as `canaries.flagger.app`; the preferred one first. As its
        discovery was last read (`rediscover`)."""
        plural, _, group = name.partition(".")
        rows = self._discovered(again=False)
        return [r.group_version.partition("/")[2] for r in rows if (r.plural, r.group) == (plural, group)]

    def listable(self) -> list[Resource]:
        """Each kind that can be listed, once, in its preferred version."""
        found: dict[tuple[str, str], Resource] = {}
        for resource in self._discovered(again=False):
            if "list" in resource.verbs:
                found.setdefault((resource.group, resource.plural), resource)
        return list(found.values())

    def rediscover(self) -> None:
        """Ask the server again which kinds it has: somebody may have installed some meanwhile."""
        self._discovered(again=True)

    def _discovered(self, again: bool) -> list[Resource]:
        with self._lock:
            if again or not self._resources:
                groups = self.request("GET", "/apis")["groups"]
                versions = ["v1"]  # the preferred version of each group first: that is what a bare name means
                for group in groups:
                    preferred = group["preferredVersion"]["groupVersion"]
                    versions += sorted((v["groupVersion"] for v in group["versions"]), key=lambda v: v != preferred)
                self._resources = [resource for version in versions for resource in self._of_version(version)]
            return self._resources

    def _of_version(self, version: str) -> list[Resource]:
        group = version.partition("/")[0] if "/" in version else ""
        try:
            answer = self.request("GET", ("/api/" if not group else "/apis/") + version)
        except Refused:  # an aggregated API whose server is down; kubectl goes on without it, too
            return []
        found = []
        for row in answer.get("resources", []):
            if "/" in row["name"]:
                continue
            names = {row["name"], row.get("singularName") or row["kind"], row["kind"], *row.get("shortNames", [])}
            names |= {f"{row['name']}.{group}"} if group else set()
            known_as = tuple(sorted(name.lower() for name in names))
            verbs = tuple(row.get("verbs", []))
            found.append(Resource(version, row["kind"], row["name"], row["namespaced"], known_as, verbs))
        return found


def of_kubeconfig(path: str | None, context: str | None) -> Api:
    """An Api for one context of a kubeconfig file (None: the usual files; its current context). Raises BadInput."""
    import yaml
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        load: Any = config.load_kube_config  # untyped
        load(path, context, client_configuration=configuration, persist_config=False)
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as exc:
        file = path or os.environ.get("KUBECONFIG") or "~/.kube/config"
        why = "is not a kubeconfig" if not isinstance(exc, config.ConfigException | OSError) else "cannot be used"
        said = " ".join(str(exc).split())
        raise BadInput(
            (f'Cannot connect to "{context}". ' if context else "") + f"The kubeconfig {file} {why}: {said}",
            f"kubectl --kubeconfig {file} config get-contexts",
        ) from exc
    return Api(configuration)


def read_json(text: str) -> Any:
    """Kubernetes' JSON, without the fields that are `null`: there, null and absent mean the same, and so one default
    (`.get("conditions", [])`) serves both. Raises ValueError."""
    return json.loads(text, object_pairs_hook=lambda pairs: {key: value for key, value in pairs if value is not None})


def _parsed(data: str, kubernetes: bool = True) -> Any:
    try:
        return read_json(data) if kubernetes else json.loads(data)
    except ValueError:
        return data


def _retry_after(response: Any) -> float | None:
    """Seconds after which a busy server wants to be asked again, as client-go reads it; None if it says nothing."""
    asked = str(response.headers.get("Retry-After", ""))
    busy = response.status == 429 or response.status >= 500
    return min(float(asked), LONGEST_PAUSE) if busy and asked.isascii() and asked.isdigit() else None


def _unreachable(server: str, exc: Exception) -> Unreachable:
    why = re.sub(r"^.*(Connection\w*\(.*?\)|<.*?>): ", "", str(getattr(exc, "reason", None) or exc))
    return Unreachable(f"{server} does not answer: {why}", NO_ANSWER)
