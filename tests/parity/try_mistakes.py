"""Whether the tests of this folder see a mistake: each patch of `mistakes/` breaks one thing, and must turn a test red.

    make mistakes                                    all of them, some minutes
    cd tests; python -m parity.try_mistakes NAME ...

Each is tried on a copy of the working tree. The exit code is the number of those that no test saw.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
MISTAKES = Path(__file__).with_name("mistakes")
COPIED = ("canary_tutorial", "tests", "manifests", "docs", "pyproject.toml", "README.md")
AT_ONCE = 2
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


def copy(directory: Path) -> Path:
    """The working tree's files, without what is made from them."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, directory)
    return directory


def seen(mistake: Path | None) -> str | None:
    """The first test that fails with a mistake (or without any), or None."""
    with tempfile.TemporaryDirectory() as name:
        tree = copy(Path(name))
        if mistake:
            subprocess.run(["git", "apply", mistake], cwd=tree, check=True)
        environment = os.environ | {"PYTHONPATH": str(tree), "CANARY_TUTORIAL_HOME": str(tree / "labs")}
        (tree / "labs").mkdir(mode=0o700)
        words = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "tests/parity"]
        done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            return None
        found = FAILED.search(done.stdout)
        if found is None:
            raise RuntimeError(done.stdout + done.stderr)
        return found[1].removeprefix("tests/parity/")


def main(names: list[str]) -> int:
    patches = sorted(MISTAKES.glob("*.patch"))
    chosen = [path for path in patches if not names or path.stem in names]
    if red := seen(None):
        print(f"{red} fails without any mistake")
        return 1
    missed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for path, test in zip(chosen, pool.map(seen, chosen), strict=True):
            missed += test is None
            print(f"{path.stem:45} {test or 'NOT SEEN'}", flush=True)
    print(f"{len(chosen)} mistakes, {len(chosen) - missed} seen")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
