"""Our controller, in virtual time, against what the real Flagger did when it was recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parity import checksums, recorded
from parity.differences import differences
from parity.known import PINS, explained, pinned
from parity.play import chosen, in_virtual_time
from parity.scenarios import GROUPS, name_of

NAMES = [name_of(scenario) for group in GROUPS for scenario in group.scenarios]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """A scenario's recording; those of its group that are to be tested are played with it, side by side."""
    wanted = [item.callspec.params["name"] for item in request.session.items if _plays(item)]
    found: dict[str, Any] = {}

    def one(name: str) -> Any:
        if name not in found:
            (group,) = (group for group in chosen(wanted) if name in map(name_of, group.scenarios))
            found.update(in_virtual_time(group))
        if isinstance(found[name], BaseException):
            raise found[name]
        return found[name]

    return one


def _plays(item: Any) -> bool:
    return getattr(item, "originalname", "") == test_ours_does_what_the_real_one_did.__name__ and item.path.name == (
        "test_recorded.py"
    )


@pytest.mark.parametrize("name", NAMES)
def test_ours_does_what_the_real_one_did(name: str, played: Callable[[str], Any]):
    """But for the differences that are pinned: one that is new, or gone, is news."""
    real = recorded.read(name)
    assert real, f"{name} was never recorded: make test-real RECORD=1"
    assert differences(real, played(name)) == pinned(name)


def test_every_difference_has_one_reason():
    found = {(name, each["where"]): explained(each) for name in NAMES for each in pinned(name)}
    assert {place: reasons for place, reasons in found.items() if len(reasons) != 1} == {}


def test_nothing_is_kept_of_a_scenario_that_is_gone():
    kept = {path.stem for path in [*PINS.glob("*"), *recorded.WHERE.glob("*.json")]}
    assert kept <= set(NAMES)


def test_the_recordings_are_as_they_were_recorded():
    assert checksums.wrong(recorded.WHERE) == []
