"""One odd object touches nobody else: left out and named, or compiled to what Envoy takes."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mesh_objects as make
import pytest
from mesh_oddities import ODDITIES, REFUSED

from canary_tutorial.lab.mesh import __main__ as control_plane
from canary_tutorial.lab.mesh.compile import Files, compile_world
from canary_tutorial.lab.mesh.files import Directory
from canary_tutorial.lab.mesh.world import World, key_of

Obj = dict[str, Any]


def compiled(world: World) -> Files:
    files = compile_world(world, Path("/envoy"), "127.250.127.254")
    json.dumps([files.clusters, files.routes, files.listeners], allow_nan=False, ensure_ascii=False).encode()
    return files


def shares(files: Files) -> list[int]:
    """The weights of podinfo.test in Envoy's configuration."""
    (routes,) = (each for (each,) in files.routes.values() if each["name"] == "outbound|test")
    host = next(host for host in routes["virtual_hosts"] if "podinfo.test" in host["name"])
    return [each["weight"] for each in host["routes"][0]["route"]["weighted_clusters"]["clusters"]]


def world_with(*names: str) -> World:
    world = make.canary_world()
    world.pods["istio-system", "ingress"] = make.gateway_pod()
    world.virtualservices["test", "podinfo"] = make.virtualservice(make.weighted(60, 40))
    for name in names:
        kind, obj = ODDITIES[name]
        getattr(world, kind)[key_of(obj)] = obj
    return world


def problem_of(name: str) -> str:
    kind, obj = ODDITIES[name]
    return f"{kind if kind == 'endpoints' else kind[:-1]} odd/{obj['metadata']['name']}"


@pytest.mark.parametrize("name", ODDITIES, ids=ascii)
def test_an_odd_object_touches_nobody_else(name: str) -> None:
    files = compiled(world_with(name))
    assert shares(files) == [60, 40]
    assert set(files.problems) <= {problem_of(name)}
    assert (problem_of(name) in files.problems) is (name in REFUSED)


def test_all_odd_objects_at_once_touch_nobody_else() -> None:
    files = compiled(world_with(*ODDITIES))
    assert shares(files) == [60, 40]
    assert {problem_of(name) for name in REFUSED} <= set(files.problems)


def test_names_and_domains_are_unique_whatever_is_written() -> None:
    """Envoy refuses a file in which a cluster, a listener or a domain comes twice."""
    files = compiled(world_with(*ODDITIES))
    for resources in (files.clusters["cds.json"], files.listeners["lds.json"]):
        names = [each["name"] for each in resources]
        assert len(names) == len(set(names))
    for (routes,) in files.routes.values():
        domains = [domain.lower() for host in routes["virtual_hosts"] for domain in host["domains"]]
        assert len(domains) == len(set(domains))


def test_settings_for_a_port_that_cannot_be_compiled_are_named(caplog: pytest.LogCaptureFixture) -> None:
    files = compiled(world_with("policy: interval 'x', on a port"))
    assert next(iter(files.problems.values())) == "ValueError: interval: 'x' is not a duration"


def test_a_gateway_whose_service_names_no_port_of_the_pod_is_told_and_the_others_are_served() -> None:
    world = world_with()
    front = make.service("istio-ingressgateway", namespace="istio-system", port=80, target="nope")
    front["spec"]["selector"] = {"istio": "ingressgateway"}
    front["spec"]["ports"].append({"name": "other", "port": 81, "targetPort": "http2"})
    world.services[key_of(front)] = front
    world.gateways = {("test", name): make.gateway(name, port=port) for name, port in (("a", 80), ("b", 81))}
    files = compiled(world)
    assert set(files.problems) == {"gateway test/a"}
    assert "gateway|8080|istio-system/ingress" in {each["name"] for each in files.listeners["lds.json"]}


def test_a_delegate_that_cannot_be_compiled_takes_along_nobody_but_who_delegates_to_it() -> None:
    world = world_with()
    world.virtualservices["test", "inner"] = make.virtualservice(make.weighted(0, 0), name="inner", hosts=None)
    outer = make.virtualservice({"delegate": {"name": "inner"}}, name="outer", hosts=["outer.example"])
    world.virtualservices["test", "outer"] = outer
    files = compiled(world)
    assert set(files.problems) == {"virtualservice test/inner"}
    assert shares(files) == [60, 40]


def test_the_control_plane_outlives_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        plane = control_plane.ControlPlane(Directory(tmp_path), "127.250.127.254")
        plane.world = make.canary_world()
        write, failures = plane.write, [OSError("No space left on device"), RuntimeError("a mistake of ours")]

        def failing() -> float:
            if failures:
                raise failures.pop()
            return write()

        monkeypatch.setattr(plane, "write", failing)
        running = asyncio.create_task(plane.run())
        plane.changed()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if (tmp_path / "lds.json").exists():
                break
        assert (tmp_path / "lds.json").exists()
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])

    monkeypatch.setattr(control_plane, "LATER", 0.01, raising=False)
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(story())
    finally:
        logging.disable(logging.NOTSET)


# -- null, empty and absent

FULL: list[tuple[str, Obj]] = [
    (
        "virtualservices",
        make.virtualservice(
            make.weighted(
                80,
                20,
                name="n",
                match=[
                    {
                        "uri": {"prefix": "/a"},
                        "headers": {"x": {"exact": "y"}},
                        "withoutHeaders": {"z": {"prefix": "p"}},
                        "queryParams": {"q": {"regex": "r+"}},
                        "method": {"exact": "GET"},
                        "authority": {"prefix": "podinfo"},
                        "scheme": {"exact": "http"},
                        "sourceLabels": {"app": "loadtester"},
                        "ignoreUriCase": True,
                        "port": 9898,
                        "gateways": ["mesh"],
                    }
                ],
                mirror={"host": "podinfo-canary", "subset": "s", "port": {"number": 9898}},
                mirrorPercentage={"value": 50},
                mirrors=[{"destination": {"host": "podinfo-canary"}, "percentage": {"value": 10}}],
                timeout="5s",
                retries={"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx,503"},
                headers={
                    "request": {"add": {"a": "b"}, "set": {"c": "d"}, "remove": ["e"]},
                    "response": {"add": {"f": "g"}},
                },
                rewrite={"uri": "/b", "authority": "c"},
                fault={
                    "delay": {"fixedDelay": "1s", "percentage": {"value": 1}},
                    "abort": {"httpStatus": 500, "percentage": {"value": 2}},
                },
                corsPolicy={
                    "allowOrigins": [{"exact": "a"}],
                    "allowMethods": ["GET"],
                    "maxAge": "1h",
                    "allowCredentials": True,
                },
            )
        ),
    ),
    (
        "virtualservices",
        make.virtualservice({"redirect": {"uri": "/x", "authority": "y", "port": 80, "redirectCode": 302}}),
    ),
    ("virtualservices", make.virtualservice({"directResponse": {"status": 200, "body": {"string": "x"}}})),
    (
        "destinationrules",
        make.destinationrule(
            "podinfo-canary",
            subsets=[
                {"name": "s", "labels": {"app": "podinfo"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
            ],
            trafficPolicy={
                "loadBalancer": {"simple": "ROUND_ROBIN"},
                "connectionPool": {
                    "tcp": {"maxConnections": 5, "connectTimeout": "3s"},
                    "http": {
                        "http1MaxPendingRequests": 5,
                        "maxRequestsPerConnection": 6,
                        "idleTimeout": "7s",
                        "maxRetries": 3,
                    },
                },
                "outlierDetection": {
                    "interval": "5s",
                    "baseEjectionTime": "6s",
                    "consecutive5xxErrors": 3,
                    "consecutiveGatewayErrors": 2,
                    "maxEjectionPercent": 50,
                    "minHealthPercent": 10,
                },
                "tls": {"mode": "SIMPLE", "sni": "x"},
                "portLevelSettings": [{"port": {"number": 9898}, "loadBalancer": {"simple": "RANDOM"}}],
            },
        ),
    ),
    ("gateways", make.gateway()),
    ("services", make.service("podinfo", "podinfo-primary")),
    ("endpoints", make.endpoints("podinfo", "127.250.0.1")),
    ("pods", make.pod("podinfo-1", "127.250.0.2", workload="podinfo")),
]


MAPS = ("headers", "withoutHeaders", "queryParams", "sourceLabels", "labels", "selector", "add", "set")  # no fields


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of an object, however deep."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        if isinstance(value, dict) and not (path and path[-1] in MAPS and key not in ("request", "response")):
            yield (*path, key)
        yield from paths(each, (*path, key))


def changed(obj: Obj, path: tuple[Any, ...], value: Any) -> Obj:
    """The object with one field replaced, or without it."""
    made = copy.deepcopy(obj)
    at: Any = made
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


@pytest.mark.parametrize("number", range(len(FULL)), ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(FULL)])
def test_null_and_absent_are_the_same_in_every_field(number: int) -> None:
    kind, obj = FULL[number]

    def outcome(odd: Obj) -> tuple[Any, ...]:
        world = make.canary_world()
        world.pods["istio-system", "ingress"] = make.gateway_pod()
        getattr(world, kind)[key_of(obj)] = odd
        files = compiled(world)
        return files.clusters, files.routes, files.listeners, set(files.problems)

    for path in paths({field: value for field, value in obj.items() if field != "metadata"}):
        absent, null = outcome(changed(obj, path, ...)), outcome(changed(obj, path, None))
        told = [each[3] for each in (absent, null)]
        assert null == absent or all(told), path  # what is required may be missed in other words
        at: Any = obj
        for step in path:
            at = at[step]
        if isinstance(at, list):
            empty = outcome(changed(obj, path, []))
            assert empty == absent or (empty[3] and absent[3]), path


@pytest.mark.parametrize("field", ["labels", "annotations", "ownerReferences", "creationTimestamp"])
def test_null_and_absent_metadata_are_the_same(field: str) -> None:
    for kind, obj in FULL:
        world, other = make.canary_world(), make.canary_world()
        absent = copy.deepcopy(obj)
        absent["metadata"].pop(field, None)
        getattr(world, kind)[key_of(obj)] = absent
        getattr(other, kind)[key_of(obj)] = {**absent, "metadata": {**absent["metadata"], field: None}}
        assert compiled(world) == compiled(other)


@pytest.mark.parametrize("regex", ["^/(?!api).*", "(?<=a)b", r"(a)\1", "a{1001}", "(?P<n>a)(?P=n)", "[a-", "("])
def test_a_pattern_that_only_python_knows_is_left_out_with_its_rule_alone(regex: str) -> None:
    world = world_with()
    odd = make.virtualservice(make.weighted(1, 1, match=[{"uri": {"regex": regex}}]), name="odd", hosts=["odd.example"])
    world.virtualservices["test", "odd"] = odd
    files = compiled(world)
    assert "is not a regular expression" in files.problems["virtualservice test/odd"]
    assert shares(files) == [60, 40]


def test_a_rule_that_delegates_is_served_again_when_the_other_is_mended() -> None:
    from canary_tutorial.lab.mesh.sieve import Sieve

    sieve, world = Sieve(), world_with()
    outer = {"delegate": {"name": "inner"}, "match": [{"uri": {"prefix": "/"}}]}
    world.virtualservices["test", "outer"] = make.virtualservice(outer, name="outer", hosts=["outer.example"])
    thousands = [{"uri": {"exact": f"/{n}"}} for n in range(4000)]
    outer["match"] = thousands
    for matches, left in ((thousands, True), ([{"uri": {"prefix": "/b"}}], False), (thousands, True)):
        inner = make.virtualservice(make.weighted(1, 1, match=matches[:3]), name="inner", hosts=None)
        world.virtualservices["test", "inner"] = inner
        files = compile_world(world, Path("/envoy"), "127.250.127.254", sieve)
        assert ("virtualservice test/outer" in files.problems) is left
        assert shares(files) == [60, 40]
