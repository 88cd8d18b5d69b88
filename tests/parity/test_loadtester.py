"""Our load tester, and the real one, asked the same: ours against the real one's answers, the real one against them too."""

from __future__ import annotations

import os

import pytest

from parity import checksums, loadtester
from parity.loadtester import Answers
from parity.loadtester_cases import cases

NAMES = [case.name for case in cases()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "answers" in metafunc.fixturenames:
        real = ["real"] if metafunc.config.getoption("--real", default=False) else []
        metafunc.parametrize("answers", ["ours", *real], indirect=True, scope="module")


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest) -> tuple[str, Answers]:
    """Whose answers they are, and the answers."""
    if request.param == "ours":
        return "ours", loadtester.answers(loadtester.OURS)
    if not {"PARITY_REAL", "ALONE"} <= os.environ.keys():
        pytest.skip("the real load tester listens on all addresses: it runs only in a network of its own (tools/alone)")
    return "real", loadtester.answers(loadtester.real())


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_flaggers_own_or_as_is_known(answers: tuple[str, Answers], name: str):
    whose, given = answers
    recorded, known = loadtester.recorded()[name], loadtester.differences().get(name)
    if whose == "ours" and known:
        assert given[name] == known["ours"], "ours has changed where it was known to differ"
    else:
        assert given[name] == recorded


def test_every_known_difference_is_one_and_has_a_reason():
    recorded = loadtester.recorded()
    for name, known in loadtester.differences().items():
        assert known["ours"] != recorded[name], f"{name}: no difference any more"
        assert len(known["ours"]) == len(recorded[name])
        assert str(known["reason"]).endswith("."), name


def test_the_record_is_the_recorders_own():
    assert checksums.wrong(loadtester.RECORDED) == []
    assert list(loadtester.recorded()) == NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_each_case_is_a_row_of_the_comparison():
    rows = loadtester.rows()
    assert [row[0] for row in rows] == NAMES
    assert {row[0] for row in rows if row[1] != row[2]} == {row[0] for row in rows if row[3] != "equal"}
