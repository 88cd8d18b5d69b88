"""kubectl's commands get the answers of a real Kubernetes 1.32, or the lab's own where these are pinned with a reason.

One body for both servers: the lab, and a real API server where there is one (README.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from parity import checksums
from parity.kubectl import rows, servers, transcript
from parity.kubectl.compare import compare
from parity.kubectl.session import Session


@pytest.fixture(scope="module", params=["lab", "real"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    try:
        with getattr(servers, request.param)(tmp_path_factory.mktemp(request.param)) as server:
            yield server
    except servers.NoServer as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", transcript.NAMES)
def test_each_command_is_answered_as_recorded_or_as_pinned(name: str, server: servers.Server, tmp_path: Path) -> None:
    session = Session.at(tmp_path, server.kubeconfig)
    commands = transcript.read(transcript.RECORDED / f"{name}.txt")
    pins = {} if server.real else transcript.pins(name)
    wrong = list(compare(list(session.answers(commands, server.has)), pins, session.client()))
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


def test_recorded_answers_are_the_recorders_own() -> None:
    assert checksums.wrong(transcript.RECORDED) == []


@pytest.mark.parametrize("name", transcript.NAMES)
def test_the_data_can_be_read_and_is_consistent(name: str) -> None:
    commands = transcript.read(transcript.RECORDED / f"{name}.txt")
    pins = transcript.read(transcript.PINNED / f"{name}.txt")
    keys = [command.key for command in commands]
    assert all(keys.count(pin.key) == 1 for pin in pins), "a pin names one command of its group"
    assert all(command.needs <= servers.NEEDS for command in commands)
    assert {pin.marks["reason"] for pin in pins} <= set(rows.reasons())
    assert {command.key for command in commands if command.answer == transcript.UNKNOWN} <= {pin.key for pin in pins}


def test_every_reason_is_used_and_every_group_has_its_own_title() -> None:
    found = rows.rows()
    assert {reason for row in found for _, reason in row.unequal} == set(rows.reasons())
    assert len({row.group for row in found}) == len(found)


def test_rows_count_every_command_once() -> None:
    commands = [each for name in transcript.NAMES for each in transcript.read(transcript.RECORDED / f"{name}.txt")]
    assert sum(row.commands for row in rows.rows()) == len(commands)
    assert all(row.equal + len(row.unequal) == row.commands for row in rows.rows())
