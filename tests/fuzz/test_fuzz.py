"""A lab among hostile neighbors: thousands of inputs, healthy and odd, and nobody else may feel them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fuzz_inputs import input_of
from fuzz_lab import Lab, content, lab, processes_of, until
from fuzz_oracle import tracebacks
from fuzz_run import Run

from canary_tutorial.kube.api import MERGE

SECONDS, MOST, PAUSE = 50, 20_000, 0.05  # of the run in the suite
ACCEPTED = 0.30


def test_no_input_harms_the_lab_or_a_neighbor(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    inputs, seed = request.config.getoption("--fuzz-inputs", 0), request.config.getoption("--fuzz-seed", 1)
    only = request.config.getoption("--fuzz-only", "")
    outside = tmp_path / "outside"
    for name in ("file", "p", "directory/file"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text("untouched")
    before = content(outside)

    with lab(tmp_path / "home") as running:
        programs, vault, envoys = content(running.directory / "bin"), in_the_vault(running), running.envoys
        assert len(envoys) == 1
        run = Run(running, seed, str(outside))
        bounded = numbers(only) if only else range(1, inputs + 1) if inputs else None
        asyncio.run(run.all(bounded) if bounded else run.all(range(1, MOST), SECONDS, PAUSE))
        print(run.report())
        said = running.logs() if run.oracle.alive() else {}
        found = list(run.oracle.faults.values())
        found += [f"{name}: {error}" for name, text in said.items() for error in tracebacks(text)]
        assert not found, "\n".join((run.report(), *found))
        the_victim_is_well(running)
        assert in_the_vault(running) == vault
        assert running.envoys == envoys, "Envoy was started anew"
        assert content(running.directory / "bin") == programs
        assert only or run.oracle.accepted >= ACCEPTED, run.report()

    assert content(outside) == before
    assert processes_of(tmp_path) == []


def test_a_seed_and_a_number_always_mean_the_same_input() -> None:
    assert [input_of(5, number) for number in range(200)] == [input_of(5, number) for number in range(200)]
    assert input_of(5, 1) != input_of(6, 1)


def numbers(text: str) -> list[int]:
    """`5`, `5-9` or `5,7,9`."""
    if "-" in text:
        first, last = map(int, text.split("-"))
        return list(range(first, last + 1))
    return [int(each) for each in text.split(",")]


def in_the_vault(running: Lab) -> list[str]:
    listed = [*running.cluster.list("secrets", "vault"), *running.cluster.list("configmaps", "vault")]
    return [json.dumps(each["metadata"]) for each in listed]


def the_victim_is_well(running: Lab) -> None:
    """With all that is left around it: a route changes, a release is made, a new Canary is taken up."""
    import httpx

    running.route_plain(7)
    ask = {"Host": "plain.victim:9898"}
    with httpx.Client(trust_env=False, timeout=10) as client:
        taken = lambda: client.get(running.mesh, headers=ask).headers.get("x-turn") == "7"  # noqa: E731
        until(taken, 180, "the mesh takes no change")
    revision = {"spec": {"template": {"metadata": {"annotations": {"revision": "2"}}}}}
    where = "/apis/apps/v1/namespaces/victim/deployments/podinfo"
    running.cluster.api.request("PATCH", where, revision, content_type=MERGE)
    running.settle("fresh")
    until(lambda: running.phase("fresh") == "Initialized", 180, "Flagger takes up no new Canary")
    until(lambda: running.phase("podinfo") == "Succeeded", 180, "Flagger makes no release")
