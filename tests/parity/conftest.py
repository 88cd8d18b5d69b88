"""`--real`: whether the real programs run as well. They listen on all addresses: only in a network namespace of its own."""

from __future__ import annotations

from typing import Any

import pytest

from parity import live
from parity.differences import differences
from parity.known import explained

LIVE: pytest.StashKey[dict[str, dict[str, Any]]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--real", action="store_true", help="run the real Flagger as well (make test-real)")


@pytest.fixture(scope="session")
def real(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--real", default=False):
        pytest.skip("the real Flagger runs in `make test-real` only")
    if why := live.impossible():
        pytest.skip(why)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many scenarios ran on each controller, how many were equal, and which were not."""
    found = config.stash.get(LIVE, None)
    if found is None:
        if config.getoption("--real", default=False):
            terminalreporter.write_line(f"The real Flagger did not run: {live.impossible()}")
        return
    equal, unequal = [], []
    for name, one in found["real"].items():
        other = found["ours"][name]
        if isinstance(one, BaseException) or isinstance(other, BaseException):
            unequal.append(f"{name}: broken off")
        elif places := differences(one, other):
            reasons = sorted({reason for place in places for reason in explained(place) or ["unexplained"]})
            unequal.append(f"{name}: {', '.join(reasons)}")
        else:
            equal.append(name)
    ended = {side: sum(not isinstance(each, BaseException) for each in of.values()) for side, of in found.items()}
    terminalreporter.section("two controllers")
    terminalreporter.write_line(
        f"{ended['real']} scenarios ran on Flagger 1.44.0 and {ended['ours']} on ours: {len(equal)} equal, {len(unequal)} not"
    )
    for line in unequal:
        terminalreporter.write_line(f"  {line}")
