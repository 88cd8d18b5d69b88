"""Runs the commands of a transcript in a directory of its own, as one session of one user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from parity.kubectl.normal import normal
from parity.kubectl.transcript import Command

MANIFESTS = Path(__file__).parents[3] / "manifests"
PATIENCE = 180


@dataclass
class Session:
    """kubectl in an empty home, with a copy of the kubeconfig and the two files that the transcripts apply."""

    home: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, home: Path, kubeconfig: Path) -> Session:
        shutil.copy(kubeconfig, home / "kubeconfig")
        shutil.copy(MANIFESTS / "flagger-crd.yaml", home)
        canary = (MANIFESTS / "canary-podinfo.yaml").read_text().replace("  namespace: test\n", "")
        (home / "canary.yaml").write_text(canary.replace("name: podinfo", "name: web"))
        names = {"HOME": str(home), "PWD": str(home), "KUBECONFIG": str(home / "kubeconfig")}
        return cls(home, {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8", **names})

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["timeout", str(PATIENCE), "bash", "-c", command],
            env=self.environment,
            cwd=self.home,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def answer(self, command: Command) -> list[str]:
        """Its output, normal, and its exit code where that is not 0."""
        done = self.run(command.text)
        lines = [normal(line) for line in done.stdout.replace(str(self.home), "{home}").splitlines()]
        return [*lines, *([f"[{done.returncode}]"] if done.returncode else [])]

    def answers(self, commands: list[Command], has: set[str]) -> Iterator[tuple[Command, list[str]]]:
        """The commands whose needs the server meets, each with its answer."""
        for command in commands:
            if command.needs <= has:
                yield command, self.answer(command)

    def client(self) -> str:
        """The minor version of kubectl, as a dispatcher among several chooses it for this server."""
        version = json.loads(self.run("kubectl version -o json 2>/dev/null").stdout)["clientVersion"]
        return ".".join(version["gitVersion"].lstrip("v").split(".")[:2])
