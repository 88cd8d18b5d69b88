"""The three towers (helper, lab, Flagger) meet only at the Kubernetes API: none imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "canary_tutorial"


def tower(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[1:2] in (["lab"], ["flagger"]) else "helper"


def imports(path: Path) -> Iterator[str]:
    package = ["canary_tutorial", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_tower(path: Path):
    own = tower(".".join(["canary_tutorial", *path.relative_to(PACKAGE).with_suffix("").parts]))
    foreign = {name for name in imports(path) if name.startswith("canary_tutorial.") and tower(name) != own}
    assert not foreign, f"{path.name} belongs to the {own} tower"
