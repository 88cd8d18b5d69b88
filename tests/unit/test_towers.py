"""Imports go one way: from each package only to those below it, and nowhere in a circle.

A row of LAYERS names the parts of one package from the ground up. What stands on the same line does not import each
other. An import within a function, or for types alone, counts as well.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "canary_tutorial"
NAME = "canary_tutorial"

LAYERS = {
    "canary_tutorial.lab": ["kinds errors quota", "store"],
}
# The helper starts the lab only as a command, and knows of Flagger only what it decides.
TOWERS = {"helper": (), "lab": (), "flagger": ()}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package's `__init__` has the package's name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = [NAME, *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, module: str, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of this package that a module's source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name not in known and "." in name:
                name = name.rpartition(".")[0]
            if name in known and name != module:
                yield name
