"""Who has no token gets nothing, and who has one reaches the lab's own pods and nothing else."""

# ruff: noqa: E501  (a row of paths)

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from served_api import Served

from canary_tutorial.lab import kinds

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ODD = [
    "/", "/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/metrics", "/logs", "/debug/pprof",
    "/nowhere", "/healthz-not", "//api/v1/pods", "/%61pi/v1/pods",
    "/api/v1/namespaces/test/pods/p/exec?command=id", "/api/v1/namespaces/test/pods/p/attach", "/api/v1/namespaces/test/pods/p/log",
    "/api/v1/namespaces/test/pods/p/portforward?ports=1", "/api/v1/namespaces/test/pods/p/proxy/x", "/api/v1/pods?watch=1",
    "/api/v1/namespaces/test/services/s:80/proxy/", "/api/v1/namespaces/test/serviceaccounts/default/token",
]  # fmt: skip


def served(server: Served) -> Iterator[str]:
    """Every path that discovery tells of, with an object's name where there is one."""
    for version in ["/api/v1", *("/apis/" + each["preferredVersion"]["groupVersion"] for each in groups(server))]:
        yield version
        for resource in server.http("GET", version).json()["resources"]:
            plural, _, sub = resource["name"].partition("/")
            where = f"{version}/namespaces/test/{plural}" if resource["namespaced"] else f"{version}/{plural}"
            yield f"{where}/x/{sub}" if sub else where


def groups(server: Served) -> list[dict[str, dict[str, str]]]:
    return list(server.http("GET", "/apis").json()["groups"])


def test_without_a_token_every_path_and_every_method_answers_401(server: Served) -> None:
    server.pod("p")
    paths = [*served(server), *ODD]
    assert len(paths) > 60
    with httpx.Client(verify=False, trust_env=False, base_url=server.url) as client:
        open_ = {
            (method, path): answer.status_code
            for path in paths
            for method in METHODS
            if (answer := client.request(method, path, headers={"Impersonate-User": "admin"})).status_code != 401
        }
    assert open_ == {}


@pytest.mark.parametrize("container", ["../../../../etc/passwd", "/etc/passwd", "other", "app/../app"])
def test_logs_and_exec_know_the_pods_own_containers_only(server: Served, container: str) -> None:
    server.pod("p")
    pod = "/api/v1/namespaces/test/pods/p"
    assert server.http("GET", f"{pod}/log?container={container}").status_code == 400
    assert server.http("GET", f"{pod}/exec?command=id&container={container}").status_code == 400
    assert server.http("GET", "/api/v1/namespaces/test/pods/..%2F..%2Fp/log").status_code == 404


def test_the_proxies_reach_pods_of_the_lab_and_nothing_else(server: Served) -> None:
    """Who may write Endpoints could otherwise make the API server ask any machine."""
    meta = {"name": "s", "namespace": "test"}
    server.call(server.store.create, kinds.SERVICES, {"metadata": meta, "spec": {"ports": [{"port": 80}]}})
    subset = {"addresses": [{"ip": "169.254.169.254"}], "ports": [{"port": 80}]}
    server.call(server.store.create, kinds.ENDPOINTS, {"metadata": meta, "subsets": [subset]})
    refused = server.http("GET", "/api/v1/namespaces/test/services/s/proxy/")
    assert (refused.status_code, "169.254.169.254 is not a lab pod" in refused.text) == (503, True)
