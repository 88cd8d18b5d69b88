"""Services: their address, and which pods answer for them in Endpoints and EndpointSlices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from controller_objects import Obj, meta, only, pod

from canary_tutorial.lab.api.checks import admission
from canary_tutorial.lab.controllers import services
from canary_tutorial.lab.controllers.effects import Create, Delete, Update
from canary_tutorial.lab.controllers.endpoints import gone, plan, target_port
from canary_tutorial.lab.errors import InternalError
from canary_tutorial.lab.kinds import ENDPOINTS, ENDPOINTSLICES

PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9898}


def service(**spec: object) -> Obj:
    return {
        "metadata": meta("podinfo", labels={"app": "podinfo"}),
        "spec": {"selector": {"app": "podinfo"}, "ports": [PORT]} | spec,
    }


def endpoints_of(wanted: Obj, pods: list[Obj]) -> list[Obj]:
    """The subsets of the Endpoints that are made."""
    return next(c.obj for c in only(Create, plan(wanted, pods, None, None)) if c.kind is ENDPOINTS).get("subsets", [])


def slice_of(wanted: Obj, pods: list[Obj]) -> Obj:
    return next(c.obj for c in only(Create, plan(wanted, pods, None, None)) if c.kind is ENDPOINTSLICES)


def addresses(subsets: list[Obj], field: str = "addresses") -> list[str]:
    return [address["ip"] for subset in subsets for address in subset.get(field, [])]


@pytest.mark.parametrize(
    ("one", "ready", "unready"),
    [
        pytest.param(pod("a", ip="127.16.0.1"), ["127.16.0.1"], [], id="a ready pod answers"),
        pytest.param(pod("a", ip="127.16.0.1", ready=False), [], ["127.16.0.1"], id="one that is not ready waits"),
        pytest.param(pod("a", deleted=True), [], [], id="one that is ending has left"),
        pytest.param(pod("a", phase="Succeeded"), [], [], id="one that has ended has left"),
        pytest.param(pod("a", ip=""), [], [], id="one without address is not there yet"),
        pytest.param(pod("a", labels={"app": "other"}), [], [], id="another application's pod"),
    ],
)
def test_ready_pods_of_the_selector_answer(one: Obj, ready: list[str], unready: list[str]) -> None:
    subsets = endpoints_of(service(), [one])

    assert addresses(subsets) == ready
    assert addresses(subsets, "notReadyAddresses") == unready
    conditions = [(e["addresses"], e["conditions"]["ready"]) for e in slice_of(service(), [one])["endpoints"]]
    assert conditions == [([ip], True) for ip in ready] + [([ip], False) for ip in unready]


def test_not_ready_addresses_are_published_on_demand() -> None:
    subsets = endpoints_of(service(publishNotReadyAddresses=True), [pod("a", ip="127.16.0.1", ready=False)])

    assert addresses(subsets) == ["127.16.0.1"]


@pytest.mark.parametrize(
    ("target", "number"),
    [
        pytest.param(9898, 9898, id="a number"),
        pytest.param("metrics", 9797, id="a name among the containers' ports"),
        pytest.param("nowhere", None, id="a name that no container has"),
    ],
)
def test_the_target_port_is_found(target: int | str, number: int | None) -> None:
    ports = [{"containerPort": 9898, "name": "http"}, {"containerPort": 9797, "name": "metrics"}]
    one = pod("a", spec={"containers": [{"name": "podinfod", "image": "x", "ports": ports}]})

    assert target_port({"port": 80, "targetPort": target}, one) == number


def test_without_target_port_it_is_the_services_own() -> None:
    assert target_port({"port": 9898}, pod("a")) == 9898


def test_pods_with_other_port_numbers_are_a_subset_of_their_own() -> None:
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "http"}])
    spec = {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 8080, "name": "http"}]}]}
    other = {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 9090, "name": "http"}]}]}

    subsets = endpoints_of(named, [pod("a", spec=spec, ip="127.16.0.1"), pod("b", spec=other, ip="127.16.0.2")])

    assert [(s["ports"][0]["port"], addresses([s])) for s in subsets] == [
        (8080, ["127.16.0.1"]),
        (9090, ["127.16.0.2"]),
    ]


def test_endpoints_are_written_only_when_something_changed() -> None:
    wanted, pods = service(), [pod("a", ip="127.16.0.1")]
    endpoints, endpointslice = (create.obj for create in only(Create, plan(wanted, pods, None, None)))

    assert plan(wanted, pods, endpoints, endpointslice) == []
    assert [u.kind for u in only(Update, plan(wanted, [], endpoints, endpointslice))] == [ENDPOINTS, ENDPOINTSLICES]


def test_without_selector_the_endpoints_are_somebody_elses() -> None:
    assert plan(service(selector=None), [pod("a")], None, None) == []


def test_endpoints_go_with_their_service() -> None:
    assert gone({"metadata": meta("podinfo")}, "podinfo", "test") == [Delete(ENDPOINTS, "podinfo", "test")]
    assert slice_of(service(), [])["metadata"]["ownerReferences"][0]["kind"] == "Service"


@pytest.mark.parametrize(
    ("spec", "taken", "given"),
    [
        pytest.param({}, [], "127.16.126.1", id="the first address"),
        pytest.param({}, ["127.16.126.1"], "127.16.126.2", id="the first that is free"),
        pytest.param({"clusterIP": "None"}, [], None, id="headless stays headless"),
        pytest.param({"type": "ExternalName"}, [], None, id="an external name needs none"),
        pytest.param({"clusterIP": "127.16.126.9"}, [], None, id="it keeps what it has"),
    ],
)
def test_a_service_gets_an_address_of_its_own(spec: Obj, taken: list[str], given: str | None) -> None:
    wanted = service(**spec)
    others = [service(clusterIP=address) for address in taken]

    updates = only(Update, services.plan(wanted, [wanted, *others], ["127.16.126.1", "127.16.126.2"]))

    assert [(u.obj["spec"]["clusterIP"], u.obj["spec"]["clusterIPs"]) for u in updates] == (
        [(given, [given])] if given else []
    )


def test_a_service_for_which_no_address_is_left_is_refused_and_never_headless() -> None:
    wanted = service(type="ClusterIP")
    others = [service(clusterIP="127.16.126.1")]
    store: Any = SimpleNamespace(list=lambda _: others)
    with pytest.raises(InternalError, match="failed to allocate a serviceIP: range is full"):
        admission.addressed(store, wanted, ["127.16.126.1"])
    assert services.plan(wanted, [wanted, *others], ["127.16.126.1"]) == []
