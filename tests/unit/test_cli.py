"""The command `canary-tutorial`: its help, its exit codes, and the lessons that `start` copies."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from canary_tutorial import errors
from canary_tutorial.cli import tutorial
from canary_tutorial.lab import commands
from canary_tutorial.lessons.copying import COPIED, checksum, copy_lessons
from canary_tutorial.reports import notebooks

OURS = {name: command for name, command in tutorial.main.commands.items() if command.add_help_option}
ALL = {**OURS, **commands.cli.commands, "": tutorial.main}
ALL["run a lab"] = commands.cli.commands["run"]
ALL["run"] = OURS["run"]
VERBS = ["Break", "Choose", "Keep", "Leave", "Name", "Print", "Release", "Set", "Show", "Unpack", "Use", "Write"]


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TUTORIAL_HOME", str(tmp_path / "labs"))
    monkeypatch.delenv("CANARY_TUTORIAL_CONTEXT", raising=False)
    monkeypatch.chdir(tmp_path)


def call(*words: str) -> Result:
    return CliRunner().invoke(tutorial.main, words)


def help_of(command: click.Command, width: int) -> str:
    """What a terminal `width` columns wide shows."""
    with click.Context(command, info_name="canary-tutorial", terminal_width=width) as context:
        return command.get_help(context)


@pytest.mark.parametrize("name", ALL)
def test_help_fits_80_columns_and_has_an_example(name: str):
    text = help_of(ALL[name], 80)
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"\n  Example:\n    (canary-tutorial|python -m canary_tutorial.lab) \S", text)


@pytest.mark.parametrize("name", ALL)
def test_each_options_help_starts_with_a_verb(name: str):
    options = [parameter for parameter in ALL[name].params if isinstance(parameter, click.Option)]
    first = {option.help.split()[0] for option in options if option.help}
    assert first <= set(VERBS)


def test_the_list_of_commands_cuts_no_summary():
    _, _, listed = help_of(tutorial.main, 80).partition("Commands:\n")
    lines = dict(line.split(maxsplit=1) for line in listed.splitlines())
    assert set(lines) == set(tutorial.main.commands)
    assert all(summary.endswith(".") and not summary.endswith("..") for summary in lines.values())


@pytest.mark.parametrize("command", ["up", "check", "status", "logs", "down"])
def test_a_passed_on_command_is_summed_up_as_the_lab_does(command: str):
    passed, own = tutorial.main.commands[command].short_help, commands.cli.commands[command].help
    assert passed
    assert passed.split()[0] == str(own).split()[0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--version"], 0, "0."),
        (["fly"], 2, "No such command 'fly'"),
        (["trace", "--no-such"], 2, "No such option"),
        (["trace"], 1, "the lab 'lab' is not running"),
        (["run", "no-such-lesson"], 1, "there is no notebook no-such-lesson"),
        (["run", "3", "-p", "intervall", "5s"], 2, "no parameter intervall here. There are:"),
        (["report", "-p", "foo", "3s"], 2, "no parameter foo here. There are:"),
        (["start", "--", "--ip=0.0.0.0"], 2, "Name the directory before JupyterLab's options"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exit_codes(words: list[str], code: int, message: str):
    ended = call(*words)
    assert (ended.exit_code, message in ended.output) == (code, True), ended.output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["status"], 3, "is not running"),
        (["status", "--json"], 3, '"running": false'),
        (["down"], 0, "is not running"),
        (["logs"], 1, "There is no lab 'lab'"),
        (["up", "--port", "x"], 2, "Invalid value for '--port'"),
        (["status", "--name", "../x"], 1, "cannot name a lab"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exit_codes_of_the_lab(words: list[str], code: int, message: str):
    ended = CliRunner().invoke(commands.cli, words)
    assert (ended.exit_code, message in ended.output) == (code, True), ended.output


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("option", [[], ["--json"]], ids=["text", "json"])
def test_check_fails_where_a_program_is_missing(found: bool, option: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "find_program", lambda name: f"/bin/{name}" if found or name != "hey" else None)
    ended = CliRunner().invoke(commands.cli, ["check", *option])
    assert ended.exit_code == (0 if found else 1)
    assert ("check --install" in ended.output) is not found


def test_each_notebook_gets_the_parameters_that_it_has():
    three, report = notebooks.find("3"), notebooks.find("report")
    given = tutorial.parameters_of((("window", "3s"), ("faults", "x")), [three, report])
    assert given[report] == {"window": "3s", "faults": "x"}
    assert "faults" not in given[three]


@pytest.mark.parametrize(("name", "stem"), [("3", "03-release"), ("03", "03-release"), ("walk", "walkthrough")])
def test_a_lesson_is_found_by_number_or_name(name: str, stem: str):
    assert notebooks.find(name).stem == stem


def test_a_missing_extra_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    for words in (["run", "walkthrough"], ["start", "lessons"]):
        ended = call(*words)
        assert ended.exit_code == 1
        assert 'pip install "canary-tutorial[notebooks]"' in ended.output
    assert call("report").exit_code == 2


# -- start


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The commands that `start` turned into."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: commands.append(words))
    return commands


def test_start_opens_jupyterlab_at_the_copied_lessons(started: list[list[str]], tmp_path: Path):
    ended = call("start", "lessons", "--port", "8899", "--no-browser", "--", "--ip=127.0.0.1")
    assert ended.exit_code == 0, ended.output
    assert Path.cwd() == tmp_path / "lessons"
    assert {path.name for path in Path.cwd().glob("*.ipynb")} == {
        path.name for path in notebooks.home().glob("*.ipynb")
    }
    (words,) = started
    assert words[:4] == [sys.executable, "-m", "jupyterlab", "00-start-here.ipynb"]
    assert {"--port=8899", "--no-browser", "--ip=127.0.0.1"} <= set(words)


def test_a_changed_lesson_is_kept_and_named(started: list[list[str]], tmp_path: Path):
    call("start", "lessons")
    os.chdir(tmp_path)
    mine = tmp_path / "lessons" / "03-release.ipynb"
    mine.write_text("mine")
    ended = call("start", "lessons")
    assert "Kept as you changed them: 03-release.ipynb" in ended.output
    assert mine.read_text() == "mine"


def test_a_lesson_that_was_never_changed_follows_the_package(tmp_path: Path):
    copy_lessons(tmp_path)
    lesson = tmp_path / "03-release.ipynb"
    new = lesson.read_text()
    record = tmp_path / COPIED
    lesson.write_text("of an older version")
    record.write_text(record.read_text().replace(checksum(new.encode()), checksum(b"of an older version")))
    assert copy_lessons(tmp_path) == []
    assert lesson.read_text() == new


def test_a_folder_that_cannot_be_written_ends_in_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    ended = call("start", "file/lessons")
    assert ended.exit_code == 1
    assert "cannot write to file/lessons" in ended.output
