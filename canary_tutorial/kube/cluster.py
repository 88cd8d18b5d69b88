"""A Kubernetes cluster, the lab's or another one, with kubectl's verbs on plain dicts.

A kind may be given as kubectl takes it (`deploy`, `Canary`). The default namespace is the cluster's own (`test`); "*"
means all namespaces.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from canary_tutorial.errors import BadInput, Missing, Refused
from canary_tutorial.kube import exec, manifests, rollouts
from canary_tutorial.kube.api import ANY, MERGE, STRATEGIC, TABLE, Api, Resource, read_json
from canary_tutorial.kube.objects import Obj
from canary_tutorial.kube.wait import wait_until
from canary_tutorial.screen.tables import Table

MANAGER = "canary-tutorial"  # the field manager of all that this package writes
WATCH = 10  # seconds after which a watch is begun anew, and looks whether it is still wanted
ALL = "*"
Objects = list[Obj]


class Cluster:
    """One cluster, and the namespace that is meant where none is named.

    `chosen`: whether the user named that namespace; "test" is only the default.
    """

    def __init__(self, name: str, api: Api, version: str, namespace: str = "test", *, chosen: bool = False) -> None:
        self.name, self.api, self.version, self.namespace, self.chosen = name, api, version, namespace, chosen

    def __repr__(self) -> str:
        return f"<Cluster {self.name} {self.api.server} Kubernetes {self.version}>"

    # -- reading ------------------------------------------------------------------------------------------------

    @overload
    def get(self, kind: str, name: str, namespace: str | None = None) -> Obj: ...

    @overload
    def get(
        self, kind: str, name: None = None, namespace: str | None = None, *, labels: str = "", wide: bool = False
    ) -> Table: ...

    def get(
        self, kind: str, name: str | None = None, namespace: str | None = None, *, labels: str = "", wide: bool = False
    ) -> Obj | Table:
        """One object by its name; or what `kubectl get` shows of all of them, the table that the API server makes.

        `labels` is a selector such as "app=podinfo". Raises Missing.
        """
        if name is not None:
            return dict(self.api.request("GET", self._path(kind, name, namespace)))
        query = {"labelSelector": labels}
        answer = self.api.request("GET", self._path(kind, None, namespace), query=query, accept=TABLE)
        return Table.of_server(answer, wide, namespaces=namespace == ALL and self.api.resource(kind).namespaced)

    def serves(self, kind: str) -> bool:
        """Whether the API server knows the kind ("canaries.flagger.app"): whether its CRD is installed."""
        return bool(self.api.versions(kind))

    def get_or_none(self, kind: str, name: str, namespace: str | None = None) -> Obj | None:
        """One object, or None where there is none (or no such kind)."""
        try:
            return self.get(kind, name, namespace)
        except Missing:
            return None

    def list(self, kind: str, namespace: str | None = None, labels: str = "") -> Objects:
        """All objects of a kind; `labels` is a selector such as "app=podinfo"."""
        resource = self.api.resource(kind)
        answer = self.api.request("GET", self._path(kind, None, namespace), query={"labelSelector": labels})
        return [{"apiVersion": resource.group_version, "kind": resource.kind, **item} for item in answer["items"]]

    def watch(
        self, kind: str, namespace: str | None = None, name: str = "", stop: threading.Event | None = None
    ) -> Iterator[tuple[str, Obj]]:
        """(ADDED | MODIFIED | DELETED, object) for what is there and for whatever happens to it, until `stop` is set.

        Starts again by itself where a watch ends or has fallen too far behind (410), so an ADDED may come twice.
        """
        path, only = self._path(kind, None, namespace), f"metadata.name={name}" if name else ""
        stop = stop or threading.Event()
        while not stop.is_set():
            listed = self.api.request("GET", path, query={"fieldSelector": only})
            yield from (("ADDED", item) for item in listed["items"])
            version = listed["metadata"]["resourceVersion"]
            while version and not stop.is_set():
                query = {"watch": "1", "resourceVersion": version, "fieldSelector": only, "timeoutSeconds": WATCH}
                for line in self.api.lines(path, query):
                    event = read_json(line)
                    if event["type"] == "ERROR":
                        version = ""
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]

    # -- writing ------------------------------------------------------------------------------------------------

    def live(self, obj: Obj) -> Obj | None:
        """An object of a manifest as it is on the cluster; None where it, or its kind, is not there. A Namespace that
        the account may not read counts as there: whoever gave it rights in one has made it."""
        try:
            return dict(self.api.request("GET", self.path_of(obj)))
        except Missing:
            return None
        except Refused as refused:
            if refused.status == 403 and obj["kind"] == "Namespace":
                return {"metadata": {}}
            raise

    def has_node(self, label: str) -> bool:
        """Whether a node carries this label, as far as the account may see nodes."""
        return self.can_i("list", "nodes") and bool(self.list("nodes", ALL, label))

    def objects(self, file: str | Path) -> Objects:
        """The objects of a file, as `apply` would write them: the tutorial's own with this cluster's namespace."""
        path = manifests.find(file)
        found = manifests.read(path)
        return manifests.placed(found, self.namespace) if path.parent == manifests.home() else found

    def patch(
        self,
        kind: str,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        how: str = "",
        subresource: str = "",
    ) -> Obj:
        """`kubectl patch`: a strategic merge patch for Kubernetes' own kinds, a JSON merge patch for custom resources,
        which know no other; or `how`: api.STRATEGIC or api.MERGE."""
        how = how or (STRATEGIC if self.api.resource(kind).built_in else MERGE)
        path = self._path(kind, name, namespace) + (f"/{subresource}" if subresource else "")
        return dict(self.api.request("PATCH", path, body, {"fieldManager": MANAGER}, content_type=how))

    def set_image(self, target: str, namespace: str | None = None, /, **images: str) -> Obj:
        """`kubectl set image deployment/podinfo podinfod=IMAGE`, with the very patch that kubectl sends."""
        kind, name = _split(target)
        known = [c["name"] for c in self.get(kind, name, namespace)["spec"]["template"]["spec"]["containers"]]
        if wrong := set(images) - set(known):
            raise BadInput(f"{target} has no container {', '.join(wrong)}", f"It has: {', '.join(known)}.")
        return self.patch(kind, name, {"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": name} for name in known],
            "containers": [{"name": name, "image": image} for name, image in images.items()],
        }}}}, namespace)  # fmt: skip

    def wait(self, check: Callable[[], tuple[bool, str]], what: str, timeout: float = 60) -> None:
        """Wait for anything, as `kubectl wait` does for a condition: `check()` answers (done, how far it is). Raises
        TookTooLong after `timeout` seconds."""
        wait_until(check, what, timeout)

    def scale(self, target: str, replicas: int, namespace: str | None = None) -> None:
        """`kubectl scale`: through the scale subresource."""
        kind, name = _split(target)
        body = {"spec": {"replicas": replicas}}
        self.patch(kind, name, body, namespace, how=MERGE, subresource="scale")

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """`kubectl delete --wait=false`; nothing happens where there is nothing. Raises Refused."""
        try:
            self.api.request("DELETE", self._path(kind, name, namespace), {"propagationPolicy": "Background"})
        except Missing:
            return

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait_established(self, crd: str, timeout: float = 30) -> None:
        """Until the API server has digested a CustomResourceDefinition. Raises TookTooLong."""

        def established() -> tuple[bool, str]:
            status = (self.get_or_none("customresourcedefinitions", crd) or {}).get("status") or {}
            conditions = status.get("conditions") or []
            return any(c["type"] == "Established" and c["status"] == "True" for c in conditions), "not yet established"

        wait_until(established, f"the CustomResourceDefinition {crd}", timeout)

    def rollout_status(self, *targets: str, namespace: str | None = None, timeout: float = 120) -> None:
        """`kubectl rollout status` for each `deployment/NAME`; says what keeps it. Raises TookTooLong, Missing."""
        for target in targets:
            kind, name = _split(target)

            def finished(kind: str = kind, name: str = name) -> tuple[bool, str]:
                deployment = self.get(kind, name, namespace)
                done, text = rollouts.progress(deployment)
                if done:
                    return True, text
                pods_of_it = self.list("pods", namespace, rollouts.selector(deployment))
                return False, rollouts.blocking_reason(pods_of_it) or text

            wait_until(
                finished,
                f"{target} to roll out",
                timeout,
                next_step=f"Look at its pods: cluster.get('pods'), cluster.logs('{target}').",
            )

    # -- pods and pages -----------------------------------------------------------------------------------------

    def exec(
        self, target: str, *command: str, namespace: str | None = None, container: str = "", show: bool = True
    ) -> str:
        """`kubectl exec`: run a command in a pod (or in one of a deployment's), printing what it says as it comes.

        Returns what it wrote to stdout. Raises CommandFailed if it ends with another code than 0.
        """
        pod = self.pod(target, namespace)
        return exec.run(self.api, pod, container or exec.main_container(pod), list(command), show)

    def logs(
        self,
        target: str,
        namespace: str | None = None,
        *,
        container: str = "",
        tail: int | None = None,
        previous: bool = False,
    ) -> str:
        """`kubectl logs` of a pod, or of one of a deployment's."""
        pod = self.pod(target, namespace)
        path = self._path("pods", pod["metadata"]["name"], pod["metadata"]["namespace"]) + "/log"
        query = {
            "container": container or exec.main_container(pod),
            "tailLines": tail,
            "previous": "true" if previous else None,
        }
        return str(self.api.request("GET", path, query=query, accept=ANY, parse=False))

    def pod(self, target: str, namespace: str | None = None) -> Obj:
        """The pod that `kubectl exec TARGET` would take: by name, or a running one of `deployment/NAME`."""
        kind, name = _split(target) if "/" in target else ("pod", target)
        if kind.startswith("po"):
            return self.get("pods", name, namespace)
        found = self.list("pods", namespace, rollouts.selector(self.get(kind, name, namespace)))
        running = [
            pod
            for pod in found
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        if not running:
            raise Missing(
                f"{target} has no running pod",
                rollouts.blocking_reason(found) or "Scale it up, or wait for its rollout.",
                404,
            )
        return running[0]

    def get_raw(self, service: str, path: str = "/", namespace: str | None = None) -> Any:
        """GET a page of a service ("podinfo:9898") through the API server's service proxy; JSON comes parsed."""
        return self.api.request("GET", self.proxy_path(service, path, namespace), accept=ANY)

    def proxy_path(self, service: str, path: str = "/", namespace: str | None = None) -> str:
        """The path below the API server's address at which a service's web page answers; the same on every cluster."""
        return f"/api/v1/namespaces/{namespace or self.namespace}/services/{service}/proxy/{path.lstrip('/')}"

    def can_i(self, verb: str, kind: str, namespace: str | None = None) -> bool:
        """`kubectl auth can-i`: whether the account may do that to a kind ("deployments.apps", "services/proxy")."""
        name, _, subresource = kind.partition("/")
        resource, _, group = name.partition(".")
        place = "" if namespace == ALL else namespace or self.namespace
        with suppress(Missing):  # of a kind that is only about to come, the name says all
            known = self.api.resource(name)
            resource, group = known.plural, known.group
            if not known.namespaced and resource != "namespaces":  # a Role may allow to read its own namespace
                place = ""
        attributes = {
            "verb": verb,
            "resource": resource,
            "group": group,
            "subresource": subresource,
            "namespace": place,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def events(self, name: str, namespace: str | None = None, kind: str = "") -> Objects:
        """The events about one object, oldest first."""
        only = f"involvedObject.name={name}" + (f",involvedObject.kind={kind}" if kind else "")
        found = self.api.request("GET", self._path("events", None, namespace), query={"fieldSelector": only})["items"]
        return sorted(found, key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or "")

    def path_of(self, obj: Obj) -> str:
        """Where a manifest's object is; one that names no namespace is in the cluster's own. Raises Missing."""
        return self._path_of(self.api.resource_of(obj), obj["metadata"]["name"], obj["metadata"].get("namespace"))

    def _path(self, kind: str, name: str | None, namespace: str | None) -> str:
        return self._path_of(self.api.resource(kind), name, namespace)

    def _path_of(self, resource: Resource, name: str | None, namespace: str | None) -> str:
        if namespace == ALL and name:
            raise Refused("one object lives in one namespace: name it instead of '*'")
        return resource.path(name, None if namespace == ALL else namespace or self.namespace)


def _split(target: str) -> tuple[str, str]:
    kind, slash, name = target.partition("/")
    if not slash:
        raise BadInput(f"{target!r} does not name an object", 'Write it as kubectl does: "deployment/podinfo".')
    return kind, name
