"""The whole world compiled: what changes which file, what is left out, what a gateway opens."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import mesh_objects as make

from canary_tutorial.lab.mesh.compile import Files, compile_world
from canary_tutorial.lab.mesh.files import Directory
from canary_tutorial.lab.mesh.world import World

Obj = dict[str, Any]


def compiled(world: World, directory: Path = Path("/envoy")) -> Files:
    return compile_world(world, directory, "127.250.127.254")


def listeners(files: Files) -> dict[str, Obj]:
    return {each["name"]: each for each in files.listeners["lds.json"]}


def hosts(files: Files, name: str) -> dict[str, Obj]:
    found = next(each for (each,) in files.routes.values() if each["name"].startswith(name))
    return {host["name"]: host for host in found["virtual_hosts"]}


def address(listener: Obj) -> tuple[str, int]:
    socket = listener["address"]["socket_address"]
    return socket["address"], socket["port_value"]


def test_each_mesh_pod_has_its_doors_and_the_others_share_one() -> None:
    world = make.canary_world()
    world.pods[("flagger-system", "flagger")] = make.pod(
        "flagger", "127.250.0.8", namespace="flagger-system", sidecar=False
    )
    found = listeners(compiled(world))
    assert {name: address(each) for name, each in found.items()} == {
        "inbound|9898|test/podinfo-primary-1": ("127.250.0.1", 9898),
        "outbound|test/podinfo-primary-1": ("127.250.128.1", 15001),
        "inbound|9898|test/podinfo-1": ("127.250.0.2", 9898),
        "outbound|test/podinfo-1": ("127.250.128.2", 15001),
        "inbound|8080|test/loadtester-1": ("127.250.0.3", 8080),
        "outbound|test/loadtester-1": ("127.250.128.3", 15001),
        "resolver": ("127.250.127.254", 15001),
    }


def test_a_pod_that_has_ended_has_no_doors() -> None:
    world = make.canary_world()
    world.pods[("test", "podinfo-1")]["status"]["phase"] = "Succeeded"
    assert not any("podinfo-1" in name for name in listeners(compiled(world)))


def test_a_change_of_weights_touches_one_file_of_routes(tmp_path: Path) -> None:
    directory, world = Directory(tmp_path), make.canary_world()
    directory.write(compiled(world, tmp_path))
    world.virtualservices[("test", "podinfo")] = make.virtualservice(make.weighted(80, 20))
    changed = directory.write(compiled(world, tmp_path))
    assert len(changed) == 1
    assert changed[0].startswith("rds-outbound_test")


def test_a_pod_that_comes_or_goes_behind_a_service_touches_the_clusters_alone(tmp_path: Path) -> None:
    directory, world = Directory(tmp_path), make.canary_world()
    directory.write(compiled(world, tmp_path))
    world.endpoints[("test", "podinfo-canary")] = make.endpoints("podinfo-canary")
    changed = directory.write(compiled(world, tmp_path))
    assert [name.partition("-")[0] for name in changed] == ["cds.json"]


def test_the_same_world_again_writes_nothing(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.write(compiled(make.canary_world(), tmp_path))
    assert directory.write(compiled(make.canary_world(), tmp_path)) == []


def test_files_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.write(compiled(make.canary_world(), tmp_path))
    directory.write(compiled(World(), tmp_path))
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["cds.json", "lds.json", "rds"]


def test_a_cluster_comes_before_the_first_route_to_it_and_goes_after_the_last(tmp_path: Path) -> None:
    known: set[str] = set()
    named: dict[str, set[str]] = {}

    class Watched(Directory):
        """At each step, as Envoy sees them, routes name only clusters that are there."""

        def _put(self, name: str, resources: list[Obj]) -> bool:
            if name == "cds.json":
                known.clear()
                known.update(each["name"] for each in resources)
            elif name.startswith("rds"):
                named[name] = set(re.findall(r'"((?:outbound|plain)\|9898\|[^"]+)"', json.dumps(resources)))
            assert set().union(*named.values()) <= known
            return super()._put(name, resources)

    world, directory = make.canary_world(), Watched(tmp_path)
    directory.write(compiled(world, tmp_path))
    gone = world.services.pop(("test", "podinfo-canary"))
    rule = world.virtualservices.pop(("test", "podinfo"))
    directory.write(compiled(world, tmp_path))
    world.services[("test", "podinfo-canary")] = gone
    world.virtualservices[("test", "podinfo")] = rule
    directory.write(compiled(world, tmp_path))


def test_one_bad_object_is_named_and_hinders_nobody_else() -> None:
    world = make.canary_world()
    bad: dict[str, Obj] = {
        "regex": make.virtualservice(make.weighted(1, 1, match=[{"uri": {"regex": "("}}]), name="regex"),
        "weights": make.virtualservice(make.weighted(0, 0), name="weights"),
        "shape": {"metadata": {"name": "shape", "namespace": "test"}, "spec": {"hosts": ["a"], "http": ["b"]}},
        "empty": {"metadata": {"name": "empty", "namespace": "test"}},
    }
    world.virtualservices |= {("test", name): obj for name, obj in bad.items()}
    world.destinationrules[("test", "hostless")] = {"metadata": {"name": "hostless", "namespace": "test"}, "spec": {}}
    world.gateways[("test", "portless")] = make.gateway("portless") | {"spec": {"servers": [{"hosts": ["*"]}]}}
    files = compiled(world)
    assert set(files.problems) == {
        *(f"virtualservice test/{name}" for name in bad),
        "destinationrule test/hostless",
        "gateway test/portless",
    }
    assert "add up to 0" in files.problems["virtualservice test/weights"]
    route = hosts(files, "outbound|test")["podinfo.test.svc.cluster.local:9898"]["routes"][0]["route"]
    assert "weighted_clusters" in route


def test_a_gateway_opens_the_target_port_of_its_service_and_lets_in_its_hosts() -> None:
    world = make.canary_world()
    world.pods[("istio-system", "ingress")] = make.gateway_pod()
    front = make.service("istio-ingressgateway", namespace="istio-system", port=80, target="http2")
    front["spec"]["selector"] = {"istio": "ingressgateway"}
    world.services[("istio-system", "istio-ingressgateway")] = front
    world.gateways = {("test", "public"): make.gateway(hosts=("*.example.com",))}
    public = ["app.example.com", "app.example.org"]
    world.virtualservices[("test", "podinfo")] = make.virtualservice(
        make.weighted(60, 40), hosts=public, gateways=["public", "mesh"]
    )
    files = compiled(world)
    assert address(listeners(files)["gateway|8080|istio-system/ingress"]) == ("127.250.0.9", 8080)
    assert set(hosts(files, "gateway|8080|test/public")) == {"app.example.com", "nowhere"}


def test_gateways_that_share_a_port_share_its_routes() -> None:
    world = make.canary_world()
    world.pods[("istio-system", "ingress")] = make.gateway_pod()
    world.gateways = {("test", name): make.gateway(name, hosts=(f"{name}.example.com",)) for name in ("one", "two")}
    for name in ("one", "two"):
        world.virtualservices[("test", name)] = make.virtualservice(
            make.weighted(100, 0), name=name, hosts=[f"{name}.example.com"], gateways=[name]
        )
    files = compiled(world)
    assert [name for name in listeners(files) if name.startswith("gateway")] == ["gateway|80|istio-system/ingress"]
    assert {"one.example.com", "two.example.com"} <= set(hosts(files, "gateway|80|"))


def tags(listener: Obj, chain: int = 0) -> dict[str, str]:
    http = listener["filter_chains"][chain]["filters"][0]["typed_config"]
    counter = http["access_log"][0]["typed_config"]["counters"][0]
    return {tag["name"]: tag["value_format"] for tag in counter["stat"]["tags"]}


LABELS = [
    "reporter",
    *("source_workload", "source_workload_namespace", "source_app"),
    *("destination_workload", "destination_workload_namespace", "destination_app"),
    *("destination_service", "destination_service_name", "destination_service_namespace"),
    *("connection_security_policy", "request_host", "request_protocol", "response_code", "response_flags"),
]


def test_both_reporters_have_istios_labels() -> None:
    found = listeners(compiled(make.canary_world()))
    source, destination = (found[name] for name in ("outbound|test/loadtester-1", "inbound|9898|test/podinfo-1"))
    assert list(tags(source)) == list(tags(destination)) == LABELS
    assert tags(source)["source_workload"] == "loadtester"
    assert tags(destination)["destination_workload"] == "podinfo"
    assert tags(destination)["destination_service"] == "podinfo-canary.test.svc.cluster.local"
    assert [tags(destination, chain)["connection_security_policy"] for chain in (0, 1)] == ["mutual_tls", "none"]
