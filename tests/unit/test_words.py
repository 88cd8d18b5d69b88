"""Words that are never right in a text for readers: each is found wherever a reader may meet it, and nowhere else."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("words", ROOT / "tools" / "words.py")
words = importlib.util.module_from_spec(spec)
spec.loader.exec_module(words)

WRONG = [
    "on its next look", "the learner is told so", "CPU at rest", "copies of each request", "99% are asked for",
    "1 of 2 checks failed", "shares in percent", "the bird is out", "a stretch of time", "Flagger puts it back",
    "Flagger notices it", "the door to a cluster", "in mid-run", "5x is no duration", "the last one: that is none",
    "20 % of users", "between Flagger's looks", "Flagger does not notice it", "Put it back",
]  # fmt: skip
RIGHT = [
    "Flagger detects it at its next tick", "look at the board", "There is no image", "the primary's copies of ConfigMaps",
    "Every pod copies the file", "asked whether it may", "20% of users", "shared_pods", "two checks of two", "a door",
    "see listeners.SHARES",
]  # fmt: skip


def planted(kind: str, text: str, directory: Path) -> tuple[Path, int]:
    """A file of that kind with the text in it, and the line where it stands."""
    if kind == "notebook":
        cell = {"cell_type": "markdown", "metadata": {}, "source": ["# A lesson\n", text]}
        path = directory / "00-planted.ipynb"
        path.write_text(json.dumps({"cells": [cell]}, indent=1))
        return path, next(n for n, line in enumerate(path.read_text().splitlines(), 1) if json.dumps(text) in line)
    source, suffix = {
        "message": (f'print(\n    "Well, {text}."\n)', ".py"),
        "f-string": (f'who = 1\nprint(f"{{who}}: {text}")', ".py"),
        "docstring": (f'"""What this is.\n{text}\n"""', ".py"),
        "comment": (f"a = 1\nb = 2  # {text}", ".py"),
        "markdown": (f"# Title\n{text}", ".md"),
        "manifest": (f"kind: Canary\nname: a  # {text}", ".yaml"),
    }[kind]
    path = directory / f"planted{suffix}"
    path.write_text(source + "\n")
    return path, 2


KINDS = ["message", "f-string", "docstring", "comment", "markdown", "manifest", "notebook"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_word_is_found_where_it_stands(kind: str, text: str, tmp_path: Path):
    path, line = planted(kind, text, tmp_path)
    found = list(words.faults(path))
    assert found
    assert all(fault.startswith(f"{path}:{line}: ") for fault in found)


def test_a_wrong_word_is_found_across_indented_lines(tmp_path: Path):
    path = tmp_path / "indented.py"
    path.write_text('def a():\n    """Waits.\n\n    Ends if Flagger\n    does not notice it."""\n')
    assert [fault.partition(" ")[0] for fault in words.faults(path)] == [f"{path}:4:"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_is_left_alone(kind: str, text: str, tmp_path: Path):
    assert not list(words.faults(planted(kind, text, tmp_path)[0]))


def test_names_in_code_are_left_alone(tmp_path: Path):
    path = tmp_path / "code.py"
    path.write_text("told = {}\nfor copies in told['shares']:\n    asked_for(copies.look)\n")
    assert not list(words.faults(path))


def test_the_repository_has_none():
    assert not [fault for path in words.files() for fault in words.faults(path)]
