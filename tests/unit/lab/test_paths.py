"""What a URL names: one reading of a path, for the authorizer and for whoever answers."""

from __future__ import annotations

import pytest

from canary_tutorial.lab.api.kinds import registry
from canary_tutorial.lab.api.paths import Target, parse
from canary_tutorial.lab.errors import NotFound

KINDS = {kind.key: kind for kind in registry.KINDS}
NAMED = {
    "/api/v1/pods": ("pods", "", "", "", ""),
    "/api/v1/namespaces/test/pods/": ("pods", "test", "", "", ""),
    "/api/v1/namespaces/test/pods/p": ("pods", "test", "p", "", ""),
    "/api/v1/namespaces/test/pods/a%2Fb": ("pods", "test", "a/b", "", ""),
    "/api/v1/namespaces/test/pods/p/log/": ("pods", "test", "p", "log", "/"),
    "/api/v1/namespaces/test": ("namespaces", "", "test", "", ""),
    "/api/v1/namespaces/test/finalize": ("namespaces", "", "test", "finalize", ""),
    "/apis/apps/v1/namespaces/test/deployments/d/scale": ("deployments", "test", "d", "scale", ""),
    "/apis/events.k8s.io/v1/events": ("events", "", "", "", ""),
    "/api/v1/namespaces/test/services/proxy-s/proxy": ("services", "test", "proxy-s", "proxy", ""),
    "/api/v1/namespaces/test/services/s/proxy/": ("services", "test", "s", "proxy", "/"),
    "/api/v1/namespaces/test/services/s/proxy//a%2Fb/proxy/": ("services", "test", "s", "proxy", "//a%2Fb/proxy/"),
}
UNSERVED = {
    "/apis/nothing/v1/namespaces/test/things/a/b": ("things", "test", "a", "b", ""),
    "/api/v2/pods": ("pods", "", "", "", ""),
    "/api/v1/pods/p": ("pods", "", "p", "", ""),
    "/api/v1/namespaces/test/nodes": ("nodes", "test", "", "", ""),
    "/api/v1/namespaces/test/pods/p/log/x": ("pods", "test", "p", "log", "/x"),
    "/api/v1/namespaces//pods": ("pods", "", "", "", ""),
    "/api/v1//namespaces/test": ("", "", "namespaces", "test", ""),
    "/api//v1/pods": ("v1", "", "pods", "", ""),
    "/apis//v1/pods": ("pods", "", "", "", ""),
    "/api/v1/namespaces/test/pods//log": ("pods", "test", "", "log", ""),
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": ("selfsubjectaccessreviews", "", "", "", ""),
}
PAGES = {
    "/": (), "//": (), "/version": ("version",), "/api/": ("api",), "/apis/apps/v1//": ("apis", "apps", "v1"),
    "//api/v1/pods": ("", "api", "v1", "pods"), "/openapi/v3/apis/a/v1": ("openapi", "v3", "apis", "a", "v1"),
}  # fmt: skip


def parts(target: Target) -> tuple[str, ...]:
    return target.resource, target.namespace, target.name, target.subresource, target.rest


@pytest.mark.parametrize("path", NAMED)
def test_a_path_names_a_collection_an_object_or_a_part_of_it(path: str) -> None:
    target = parse(path, KINDS)
    assert parts(target) == NAMED[path]
    assert target.kind.plural == target.resource


@pytest.mark.parametrize("path", UNSERVED)
def test_what_is_not_served_still_has_names_that_can_be_refused(path: str) -> None:
    target = parse(path, KINDS)
    assert (target.path, parts(target)) == ("", UNSERVED[path])
    with pytest.raises(NotFound):
        _ = target.kind


@pytest.mark.parametrize("path", PAGES)
def test_any_other_path_is_a_page_of_the_server(path: str) -> None:
    target = parse(path, KINDS)
    assert (target.served, target.steps, target.path) == (None, PAGES[path], path)
