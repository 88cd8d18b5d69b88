"""Playing groups of scenarios: in virtual time, or live.

cd tests; python -m parity.play virtual [NAME ...]     ours in virtual time, against the recording
cd tests; python -m parity.play pin [NAME ...]         the same; what differs is what is known to differ from now on
cd tests; python -m parity.play live [NAME ...]        ours and the real Flagger side by side (see `live`)
cd tests; python -m parity.play record [NAME ...]      the same, and the real one's side becomes the recording
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any

import yaml

from parity import clock, controller, live, virtual
from parity.answers import Answers, Measure, again, prometheus
from parity.differences import differences
from parity.known import pin
from parity.kube import Kube
from parity.normal import recording
from parity.recorded import read, write
from parity.recorder import Recorder
from parity.scenarios import GROUPS, Group, Scenario, name_of
from parity.stage import INTERVAL, Stage

Obj = dict[str, Any]
FIRST_PORT = 10080
APART = 0.7  # seconds between the beginnings of two scenarios of a live lab, whose first pods all need a processor
SIDES = ("real", "ours")


def chosen(names: Iterable[str]) -> list[Group]:
    """The groups with only these scenarios in them; all for no names."""
    wanted = set(names)
    if not wanted:
        return list(GROUPS)
    found = [replace(g, scenarios=tuple(s for s in g.scenarios if name_of(s) in wanted)) for g in GROUPS]
    return [group for group in found if group.scenarios]


async def perform(
    group: Group,
    kube: Kube,
    port: int,
    apart: float = 0.0,
    measure: Callable[[str], Measure] | None = None,
    tell: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Play a group on a cluster; returns each scenario's recording, or the exception that ended it.

    `measure(name)` answers for Prometheus in a group whose requests are real; without it Prometheus does. `tell(name)`
    hears when a scenario has ended. They begin `apart` seconds after each other.
    """
    answers, recorder = Answers(), Recorder(kube)
    await answers.start()

    async def one(number: int, scenario: Scenario) -> Any:
        stage = Stage(name_of(scenario), kube, recorder, answers)
        if group.mesh:
            stage.script.measure = measure(stage.namespace) if measure else prometheus(kube.request)
        await asyncio.sleep(number * apart)
        await stage.open(mesh=group.mesh)
        await scenario(stage)
        await asyncio.sleep(INTERVAL / 2)  # what the last tick still does after the state that ended the scenario
        tell(stage.namespace)
        return recording(recorder, stage.script, stage.namespace)

    try:
        flags = [flag.format(url=answers.url) for flag in group.flags]
        deployments = [
            controller.deployment(name, port + number, answers.url, flags) for number, name in enumerate(group.flaggers)
        ]
        await controller.install(kube, recorder, *deployments, mesh=group.mesh)
        found = await asyncio.gather(*starmap(one, enumerate(group.scenarios)), return_exceptions=True)
        return dict(zip(map(name_of, group.scenarios), found, strict=True))
    finally:
        await recorder.stop()
        await answers.close()


def in_virtual_time(group: Group) -> dict[str, Any]:
    """Our controller's recordings."""

    async def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as directory:
            async with virtual.cluster(Path(directory)) as url:
                kube = Kube(url, "admin")
                try:
                    return await perform(group, kube, FIRST_PORT, measure=lambda name: again(read(name)["measured"]))
                finally:
                    await kube.close()

    found: dict[str, Any] = clock.run(work)
    return found


async def side_by_side(
    groups: list[Group], flagger: Path, directory: Path, tell: Callable[[str], None] = print
) -> dict[str, dict[str, Any]]:
    """Both controllers' recordings, by side and scenario; every group on two labs of its own."""
    here = asyncio.current_task()
    assert here
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, here.cancel)  # so that the labs go, too
    total = sum(len(group.scenarios) for group in groups) * len(SIDES)
    began, ended = time.monotonic(), 0

    def played(side: str, name: str) -> None:
        nonlocal ended
        ended += 1
        tell(f"{ended}/{total}  {name}, {side}  ({time.monotonic() - began:.0f} s)")

    ports = iter(range(FIRST_PORT, FIRST_PORT + 1000, 10))

    async def one(side: str, group: Group, port: int) -> dict[str, Any]:
        where = directory / f"{group.name}-{side}"
        async with live.lab(where, f"{group.name}-{side}", flagger if side == "real" else None) as kube:
            return await perform(group, kube, port, APART, tell=partial(played, side))

    runs = [(side, group) for group in groups for side in SIDES]
    found = await asyncio.gather(*(one(side, group, next(ports)) for side, group in runs))
    return {
        side: {
            name: each for (of, _), these in zip(runs, found, strict=True) if of == side for name, each in these.items()
        }
        for side in SIDES
    }


def show(name: str, real: Any, ours: Any, what: str) -> int:
    for failed in (real, ours):
        if isinstance(failed, BaseException):
            print(f"== {name}: FAILED")
            traceback.print_exception(failed)
            return 1
    found = differences(real, ours)
    print(f"== {name}: {what} {'differ' if found else 'are equal'}")
    for each in found:
        print(yaml.safe_dump([each], sort_keys=False, width=150), end="")
    return bool(found)


def main() -> int:
    how, names = sys.argv[1], sys.argv[2:]
    began, number = time.monotonic(), 0
    if how in ("virtual", "pin"):
        for group in chosen(names):
            for name, ours in in_virtual_time(group).items():
                number += show(name, read(name), ours, "the recording and ours")
                if how == "pin" and not isinstance(ours, BaseException):
                    pin(name, differences(read(name), ours))
    elif why := live.impossible():
        print(why, file=sys.stderr)
        return 2
    else:
        flagger = live.flagger()
        with tempfile.TemporaryDirectory() as directory:
            found = asyncio.run(side_by_side(chosen(names), flagger, Path(directory)))
        for name, real in found["real"].items():
            number += show(name, real, found["ours"][name], "the real one and ours")
        if how == "record":
            write({name: real for name, real in found["real"].items() if not isinstance(real, BaseException)})
    print(f"{number} unequal, {time.monotonic() - began:.0f} s")
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
