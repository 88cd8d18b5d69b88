"""Our controller and the real Flagger, live, on labs of their own: what both did in each scenario."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from parity import live, recorded
from parity.conftest import LIVE
from parity.differences import differences
from parity.known import pinned
from parity.play import chosen, side_by_side
from parity.test_recorded import NAMES


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real: None) -> dict[str, Any]:
    """The recordings of both sides, by side and scenario, of every scenario that is to be tested."""
    tests = [item for item in request.session.items if item.path.name == "test_live.py"]
    names = {item.callspec.params["name"] for item in tests}
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", end="", flush=True)

    def play(names: set[str], what: str) -> dict[str, Any]:
        tell(what)
        return asyncio.run(side_by_side(chosen(names), live.flagger(), tmp_path_factory.mktemp("labs"), tell))

    found = play(names, "playing")
    if late := {name: why for name in sorted(names) if (why := unexpected(name, found))}:
        for name, why in late.items():
            tell(f"not as it should be: {name}: {why}")
        again = play(set(late), "these once more, in case the machine was too busy for a tick")
        found = {side: of | again[side] for side, of in found.items()}
    request.config.stash[LIVE] = found
    return found


def unexpected(name: str, both: dict[str, Any]) -> Any:
    """What is not as it was recorded, or pinned; nothing if all is."""
    real, ours = both["real"][name], both["ours"][name]
    for each in (real, ours):
        if isinstance(each, BaseException):
            return each
    known = pinned(name)
    return [*differences(recorded.read(name), real), *(each for each in differences(real, ours) if each not in known)]


def of(both: dict[str, Any], side: str, name: str) -> Any:
    found = both[side][name]
    if isinstance(found, BaseException):
        raise found
    return found


@pytest.mark.parametrize("name", NAMES)
def test_both_do_the_same(name: str, both: dict[str, Any]):
    """But for the differences that are pinned."""
    assert differences(of(both, "real", name), of(both, "ours", name)) == pinned(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_real_one_does_what_was_recorded(name: str, both: dict[str, Any]):
    """The recording, against which `make test` compares ours, is still true."""
    assert differences(recorded.read(name), of(both, "real", name)) == []
