"""A request as one Call: its verb, and what the authorizer is asked, are those that it is answered by."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from canary_tutorial.lab.api.access.authorization import Attributes
from canary_tutorial.lab.api.call import Call
from canary_tutorial.lab.api.kinds import registry
from canary_tutorial.lab.api.paths import parse
from canary_tutorial.lab.contracts import User

KINDS = {kind.key: kind for kind in registry.KINDS}
PODS, REVIEWS = "/api/v1/namespaces/test/pods", "/apis/authorization.k8s.io/v1/subjectaccessreviews"
WANTED = {
    ("GET", PODS): Attributes("list", "", "pods", "test"),
    ("HEAD", f"{PODS}?watch=1"): Attributes("list", "", "pods", "test"),
    ("GET", f"{PODS}?watch"): Attributes("watch", "", "pods", "test"),
    ("GET", f"{PODS}?watch=False"): Attributes("list", "", "pods", "test"),
    ("GET", f"{PODS}?fieldSelector=metadata.name%3Dp"): Attributes("list", "", "pods", "test", "p"),
    ("GET", f"{PODS}?fieldSelector=metadata.name%3Dp,spec.nodeName%3Dlab"): Attributes("list", "", "pods", "test"),
    ("DELETE", PODS): Attributes("deletecollection", "", "pods", "test"),
    ("GET", f"{PODS}/p"): Attributes("get", "", "pods", "test", "p"),
    ("GET", f"{PODS}/p?watch=true"): Attributes("watch", "", "pods", "test", "p"),
    ("GET", f"{PODS}/p/log?watch=true"): Attributes("get", "", "pods/log", "test", "p"),
    ("POST", f"{PODS}/p/exec?command=ls"): Attributes("create", "", "pods/exec", "test", "p"),
    ("PUT", "/apis/apps/v1/namespaces/test/deployments/d/scale"): Attributes(
        "update", "apps", "deployments/scale", "test", "d"
    ),
    ("PATCH", "/api/v1/namespaces/test"): Attributes("patch", "", "namespaces", "test", "test"),
    ("POST", REVIEWS): Attributes("create", "authorization.k8s.io", "subjectaccessreviews"),
    ("TRACE", "/apis/nothing/v1/things/a"): Attributes("trace", "nothing", "things", "", "a"),
    ("GET", "/openapi/v3/api%2Fv1?x=y"): Attributes("get", path="/openapi/v3/api/v1"),
    ("GET", "/apis/apps/v1/"): Attributes("get", path="/apis/apps/v1/"),
}


@pytest.mark.parametrize(("method", "url"), WANTED)
def test_what_is_authorized_is_what_was_asked(method: str, url: str) -> None:
    request = make_mocked_request(method, url)
    call = Call.read(User("jane"), parse(request.rel_url.raw_path, KINDS), request)
    assert call.attributes == WANTED[method, url]
