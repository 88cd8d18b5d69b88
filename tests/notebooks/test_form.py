"""What every lesson must have, seen without running it."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from papermill import inspect_notebook

from canary_tutorial.widgets import ServiceGraph

HOME = Path(__file__).parents[2] / "notebooks"
ALL = sorted(HOME.glob("*.ipynb"))
LESSONS = [path for path in ALL if path.name[0].isdigit()]


PUBLIC = {
    "canary_tutorial": {
        *("TutorialError", "Table", "check", "connect", "graph", "prepare", "record"),
    },
    "canary_tutorial.widgets": {
        *("ExplainCard", "ImagePicker", "OperatorPanel", "ReleaseBoard", "ServiceGraph", "UserStream"),
    },
}


def internal(source: str) -> set[str]:
    """What a cell takes of the package beyond its public names: "module.name", by import or through an attribute."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "canary_tutorial":
            found |= {
                f"{node.module}.{name.name}" for name in node.names if name.name not in PUBLIC.get(node.module, ())
            }
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.split(".")[0] == "canary_tutorial"}
        elif isinstance(node, ast.Attribute) and node.attr == "api":
            found.add(ast.unparse(node))  # the HTTP client below the Cluster's verbs
    return found


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def plain(line: str) -> str:
    """A line of IPython as Python: commands for the shell become nothing."""
    return "pass" if line.startswith(("!", "%")) else line


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def test_the_lessons_the_walkthrough_and_the_report_are_there():
    assert len(LESSONS) >= 7
    assert [path.name[:2] for path in LESSONS] == [f"{n:02}" for n in range(len(LESSONS))]
    assert {"walkthrough.ipynb", "report.ipynb"} <= {path.name for path in ALL}


def test_the_readme_has_a_row_for_each_lesson():
    rows = re.findall(r"^\| (\d+) \| \[.+?\]\(notebooks/(.+?)\)", (HOME.parent / "README.md").read_text(), re.M)
    assert rows == [(str(number), path.name) for number, path in enumerate(LESSONS)]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_only_public_names_are_imported(path: Path):
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    assert not {name for source in sources for name in internal("\n".join(map(plain, source.splitlines())))}


@pytest.mark.parametrize(
    "source",
    [
        "from canary_tutorial.kube.wait import wait_until", "from canary_tutorial import connection",
        "import canary_tutorial.release", "def later():\n    from canary_tutorial.errors import TutorialError",
        "from canary_tutorial.widgets import board",
        "import canary_tutorial\ncanary_tutorial.kube.wait.wait_until()", "from canary_tutorial import *",
        "cluster.api.request('GET', '/api')",
    ],
)  # fmt: skip
def test_a_planted_internal_import_is_found(source: str):
    assert internal(source)
    assert not internal(
        "import time\nfrom canary_tutorial import connect\nfrom canary_tutorial.widgets import ImagePicker"
    )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_outputs_are_stripped_but_for_those_that_are_compared(path: Path):
    for cell in read(path).cells:
        if cell.cell_type == "code" and "nbval-check-output" not in tags(cell):
            assert not cell.outputs, cell.source
            assert cell.execution_count is None


@pytest.mark.parametrize("path", [p for p in ALL if p.stem != "report"], ids=lambda path: path.stem)
def test_a_lesson_begins_with_its_goals_and_ends_with_a_summary(path: Path):
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    assert cells[0].startswith("# ")
    assert "## Learning goals" in cells[0] or "## Learning goals" in cells[1]
    assert any(source.startswith("## Summary") for source in cells[-2:])


@pytest.mark.parametrize("path", [p for p in ALL if p.stem != "00-start-here"], ids=lambda path: path.stem)
def test_parameters_are_literals_that_papermill_understands(path: Path):
    parameters = inspect_notebook(str(path))
    assert parameters, "one cell is tagged parameters"
    assert all(entry["help"] for entry in parameters.values()), "each has a trailing comment"
    (cell,) = [cell for cell in read(path).cells if "parameters" in tags(cell)]
    assert len(parameters) == len(cell.source.splitlines()), "papermill knows each of them: no = in a comment"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_exercises_have_a_folded_solution_and_a_check(path: Path):
    cells = read(path).cells
    solutions = [cell for cell in cells if "solution" in tags(cell)]
    assert len(solutions) >= 2
    assert all(cell.metadata["jupyter"]["source_hidden"] for cell in solutions)
    assert all(cell.source.startswith("# Solution") for cell in solutions), (
        "JupyterLab shows a folded cell's first line"
    )
    checks = sum(len(re.findall(r"^check\(", cell.source, re.M)) for cell in cells)
    assert checks >= len(solutions)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_links_between_lessons_lead_somewhere(path: Path):
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([^)#]+\.ipynb)\)", cell.source):
            assert (HOME / target).exists(), target


def sources(name: str) -> str:
    return "\n\n".join(cell.source for cell in read(HOME / f"{name}.ipynb").cells)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_what_a_release_reached_is_printed_whole(path: Path):
    """A part of it is what a comparison wants, and not what happened."""
    printed = re.findall(r"^print\(.*", "\n".join(cell.source for cell in read(path).cells), re.M)
    assert not [line for line in printed if re.search(r"\.(weights|messages|events|points)\[", line)]


def test_what_hey_has_drawn_is_not_drawn_again_from_its_rounded_numbers():
    assert "█" not in sources("01-install")


def test_no_number_of_requests_is_promised_where_the_load_testers_age_decides():
    assert "between 20 and 40" not in sources("01-install")


def test_an_answer_is_right_only_if_nearer_to_the_load_than_to_what_hey_adds():
    """28 is not 20: hey's part of a window that is too long."""
    (within,) = re.findall(r"wanted=counted, within=(\d+)", sources("01-install"))
    assert int(within) < 8


def test_users_are_waited_for_as_long_as_the_picture_averages():
    (seconds,) = re.findall(r"time\.time\(\) - (\d+)\)}", sources("02-define"))
    assert int(seconds) > int(ServiceGraph.__init__.__defaults__[0].removesuffix("s"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_parameter_is_read_by_a_cell(path: Path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    rest = "\n".join(cell.source for cell in cells if "parameters" not in tags(cell))
    assert not [name for name in inspect_notebook(str(path)) if not re.search(rf"\b{name}\b", rest)]
