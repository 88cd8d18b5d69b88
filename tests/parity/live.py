"""A lab with a controller in it: ours, or the real Flagger. It is to run in a network namespace of its own.

The real Flagger listens on all addresses: outside such a namespace it would be reachable from other machines, and could
not have the port of any pod.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from canary_tutorial.lab.machine.images import FLAGGER
from parity.kube import Kube

READY = 120.0  # seconds


@asynccontextmanager
async def lab(directory: Path, name: str, flagger: Path | None) -> AsyncIterator[Kube]:
    """A lab of its own in `directory`; `flagger` is the real one, None for ours."""
    environment = {key: value for key, value in os.environ.items() if key != FLAGGER}
    environment["CANARY_TUTORIAL_HOME"] = str(directory)
    if flagger:
        environment[FLAGGER] = str(flagger)
    directory.mkdir(mode=0o700, exist_ok=True)
    await command(environment, "up", "--name", name)
    try:
        kube = connect(directory / name / "kubeconfig")
        try:
            yield kube
        finally:
            await kube.close()
    finally:
        await command(environment, "down", "--name", name)


async def command(environment: dict[str, str], *words: str) -> None:
    pipe = asyncio.subprocess.PIPE
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "canary_tutorial.lab", *words),
        env=environment,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(READY):
        said, _ = await made.communicate()
    assert made.returncode == 0, said.decode()


def connect(kubeconfig: Path) -> Kube:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Kube(cluster["server"], user["token"], ssl.create_default_context(cadata=ca))


def flagger() -> Path:
    """The real one's binary."""
    return Path(os.environ["PARITY_REAL"]) / "flagger"


def impossible() -> str:
    """Why the real Flagger cannot run here; empty if it can."""
    if not os.environ.get("ALONE"):
        return "the real Flagger listens on all addresses: it runs only below tools/alone, see make test-real"
    if not os.environ.get("PARITY_REAL") or not flagger().is_file():
        return "there is no real Flagger where PARITY_REAL says (make .tools/real/ready builds it)"
    return ""
