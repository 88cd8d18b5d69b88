"""A session as one would have it on any cluster, and what Kubernetes prints in it: `everyday_kubectl.txt`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TRANSCRIPT = Path(__file__).with_name("everyday_kubectl.txt")
MANIFESTS = Path(__file__).parents[2] / "manifests"
VARIES = {
    "age": r"\d+[smh](\d+[smh])?( \(x\d+ over \d+[smh]\))?",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "date": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}",
    "hash": r"[a-z0-9]{8,10}",
    "suffix": r"[a-z0-9]{5}",
    "ip": r"\d+\.\d+\.\d+\.\d+",
    "n": r"\d+",
    "id": r"[-0-9a-f]{36,64}",
    "any": r".*",
}


@dataclass
class Step:
    line: int
    command: str
    expected: list[str] = field(default_factory=list)


def steps(text: str) -> Iterator[Step]:
    """The commands of a transcript; empty lines inside an output are kept, those around it are not."""
    step = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(number, line[2:])
        elif step and not line.startswith(("# --", "# A ")):
            step.expected.append(line)
    if step:
        yield step


def pattern(line: str) -> str:
    """One expected line as a regular expression."""
    if line == "...":
        return r"(?:.*\n)*?"
    found = re.escape(line.rstrip()).replace(r"\ ", " ")
    found = re.sub(r"(?<=\S) {2,}", " {2,}", found)
    for name, each in VARIES.items():
        found = found.replace(rf"\{{{name}\}}", each)
    return found + r" *\n"


def difference(step: Step, printed: str) -> str:
    """Nothing, or the first line that is not as expected."""
    expected = "\n".join(step.expected).strip("\n").split("\n") if any(step.expected) else []
    patterns = [pattern(line) for line in expected]
    if re.fullmatch("".join(patterns), printed):
        return ""
    good = max(n for n in range(len(patterns) + 1) if re.match("".join(patterns[:n]), printed))
    wanted = expected[good] if good < len(expected) else "the end"
    return f"line {step.line}: $ {step.command}\nexpected: {wanted}\nprinted:\n{printed}"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a session with a lab of its own, in a directory of its own."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    home = tmp_path_factory.mktemp("everyday")
    environment = os.environ | {"CANARY_TUTORIAL_HOME": str(home / "labs"), "HOME": str(home), "TZ": "UTC"}
    environment |= {"KUBECONFIG": str(home / "labs/everyday/kubeconfig"), "PWD": str(home)}
    lab = [sys.executable, "-m", "canary_tutorial.lab"]
    shutil.copy(MANIFESTS / "flagger-crd.yaml", home)
    canary = (MANIFESTS / "canary-podinfo.yaml").read_text()
    (home / "canary.yaml").write_text(canary.replace("name: podinfo", "name: web").replace("  namespace: test\n", ""))
    subprocess.run([*lab, "up", "--name", "everyday"], env=environment, check=True, capture_output=True, timeout=60)
    yield environment
    subprocess.run([*lab, "down", "--name", "everyday"], env=environment, check=True, capture_output=True, timeout=60)


def test_a_session_prints_what_kubernetes_prints(shell: dict[str, str]) -> None:
    differences = []
    for step in steps(TRANSCRIPT.read_text()):
        command = ["bash", "-c", step.command.replace("{tmp}", str(os.getpid()))]
        done = subprocess.run(
            command,
            env=shell,
            cwd=shell["PWD"],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=90,
        )
        printed = done.stdout.rstrip("\n") + "\n" if done.stdout else ""
        printed += f"[{done.returncode}]\n" if done.returncode else ""
        differences.append(difference(step, printed))
    if any(differences):
        pytest.fail("\n\n".join(filter(None, differences)), pytrace=False)
