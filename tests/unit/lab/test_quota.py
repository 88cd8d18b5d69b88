"""A namespace's share of the lab, and what it may still have when everything is taken."""

import pytest
from served_api import Served, serve

from canary_tutorial.lab import quota

PODS = quota.Quota("pods", share=250, reserve=50, total=500)


@pytest.mark.parametrize(
    ("used", "in_all", "why"),
    [
        (0, 0, ""),
        (249, 499, ""),
        (250, 250, "exceeded quota: lab, used: pods=250, limited: pods=250"),
        (49, 2000, ""),
        (50, 500, "exceeded quota: lab, used: pods=50, limited: pods=50"),
    ],
)
def test_a_namespace_has_its_share_and_its_reserve(used: int, in_all: int, why: str):
    assert PODS.exceeded(used, in_all) == why


def test_pods_that_are_posted_count_too_and_another_namespace_has_its_own(tmp_path: pytest.TempPathFactory):
    def post(server: Served, namespace: str, number: int) -> int:
        body = b'{"metadata": {"name": "p%d"}, "spec": {"containers": [{"name": "a", "image": "x"}]}}' % number
        path = f"/api/v1/namespaces/{namespace}/pods"
        return server.http("POST", path, body, Content_Type="application/json").status_code

    with serve(tmp_path) as server:
        codes = {post(server, "test", number) for number in range(quota.PODS.share)}
        assert codes == {201}
        assert post(server, "test", 999) == 403
        assert post(server, "default", 0) == 201
