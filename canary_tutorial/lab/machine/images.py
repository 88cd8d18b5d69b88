"""Images: a table from image name to program. In the lab an image is a name for a program of this machine.

Each image puts its programs into the containers' PATH as small scripts (`write_programs`), so that `kubectl exec` finds
them as well. An image that is not in the table, or a podinfo tag that was never released, cannot be pulled.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from canary_tutorial.lab.machine.files import directory, read, write_below
from canary_tutorial.lab.machine.tools import REMEDIES, find_program

RELEASED = "2.0.0 2.0.1 2.0.2 2.1.0 2.1.1 2.1.2 2.1.3 3.0.0 3.1.0 3.1.5 4.0.0 5.0.0 5.2.1 6.0.0 6.0.1 6.0.2 6.0.3"
PODINFO_TAGS = frozenset([*RELEASED.split(), "6.0.4", "6.1.0", "6.5.0", "6.14.1"])
LARGEST_CONFIG = 256 * 1024  # bytes of Prometheus' configuration; more would take seconds to read
# For tests alone: the real Flagger and its load tester instead of ours. They listen on all addresses, so a lab with
# one of them needs a network namespace of its own (`tools/alone`). Never taken from PATH.
FLAGGER = "CANARY_TUTORIAL_FLAGGER"
LOADTESTER = "CANARY_TUTORIAL_LOADTESTER"


# A pod's host name is its own, also where this user may not give its processes one (`processes.before_container`).
HOSTNAME = """#!/bin/sh
[ $# = 0 ] && echo "$HOSTNAME" || exec /bin/hostname "$@"
"""


class ImageError(Exception):
    """The image cannot be had; the message is what `kubectl describe pod` shows."""


@dataclass(frozen=True)
class Start:
    """What an image may adapt when a container starts: the command, and where the pod lives."""

    command: list[str]
    listen_address: str
    directory: Path
    kubeconfig: Path
    targets: Path  # what Prometheus may scrape


@dataclass(frozen=True)
class Image:
    """A program that can be run: `entrypoint` is its name in PATH."""

    entrypoint: str
    tags: frozenset[str] | None = None
    adapt: Callable[[Start], list[str]] = lambda start: start.command
    environment: Mapping[str, str] = field(default_factory=dict)


def _prometheus(start: Start) -> list[str]:
    """Listen on the pod's address only, keep data in the pod's directory, find targets in the kubelet's file.

    Debian builds Prometheus without Kubernetes discovery. The kubelet writes what that would have found, under the same
    labels (`kubelet/scrape_targets.py`), so a configuration written for a cluster is used here as it is but for the source.
    """
    command = [word for word in start.command if not word.startswith(("--storage.tsdb.path", "--web.listen-address"))]
    port = next((w.rpartition(":")[2] for w in start.command if w.startswith("--web.listen-address")), "9090")
    for number, word in enumerate(command):
        if word.startswith("--config.file=") and (
            config := _scraping(start.directory / "work" / word.partition("=")[2], start.targets)
        ):
            command[number] = f"--config.file={write_below(start.directory, 'prometheus.yml', config)}"
    data = start.directory / "data"
    return [*command, f"--web.listen-address={start.listen_address}:{port}", f"--storage.tsdb.path={data}"]


def _scraping(path: Path, targets: Path) -> str | None:
    """The configuration with its pods read from a file; None for one that cannot be read: Prometheus says that best."""
    try:
        with directory(path.parent) as at:
            content = read(at, path.name, LARGEST_CONFIG)
        config = yaml.safe_load((content or b"").decode())
        for job in config["scrape_configs"]:
            if any(discovery.get("role") == "pod" for discovery in job.pop("kubernetes_sd_configs", None) or []):
                job["file_sd_configs"] = [{"files": [str(targets)]}]
        return yaml.safe_dump(config)
    except Exception:  # of any kind: YAML is read into whatever it says
        return None


def _flagger(start: Start) -> list[str]:
    """Where the API is: a flag that Flagger's own reads as well."""
    return [*start.command, f"-kubeconfig={start.kubeconfig}"]


IMAGES: Mapping[str, Image] = {
    "podinfo": Image("podinfo", PODINFO_TAGS),
    # Lessons have no time for intervals of 10 s and more, and want to show what each tick saw.
    "flagger": Image(
        "flagger", adapt=_flagger, environment={"FLAGGER_MIN_ANALYSIS_INTERVAL": "1s", "FLAGGER_TRACE": "1"}
    ),
    "flagger-loadtester": Image("loadtester"),
    "prom/prometheus": Image("prometheus", adapt=_prometheus),
    "canary-tutorial/mesh": Image("mesh"),
    "canary-tutorial/proxy": Image("mesh"),
}


def find_image(reference: str) -> Image:
    """The table's entry for `registry/path/name:tag`, or `ImageError` in the words of a registry."""
    path, tag = _path_and_tag(reference)
    parts = path.split("/")
    image = IMAGES.get("/".join(parts[-2:])) or IMAGES.get(parts[-1])
    if image is None or (image.tags is not None and tag not in image.tags):
        raise ImageError(
            f'Failed to pull image "{reference}": rpc error: code = NotFound desc = failed to pull and unpack image '
            f'"{reference}": failed to resolve reference "{reference}": {reference}: not found'
        )
    return image


def tag_of(reference: str) -> str:
    return _path_and_tag(reference)[1]


def _path_and_tag(reference: str) -> tuple[str, str]:
    path, _, tag = reference.partition("@")[0].rpartition(":")
    return (reference, "latest") if "/" in tag or not path else (path, tag)


def _named_by(variable: str) -> list[str]:
    """The program that the environment names, or nothing."""
    return [named] if (named := os.environ.get(variable)) else []


def write_programs(where: Path) -> dict[str, str]:
    """Write the containers' PATH; returns what is missing on this machine, with the remedy."""
    python = [sys.executable, "-m"]
    programs: dict[str, list[str] | None] = {
        "podinfo": [*python, "canary_tutorial.lab.podinfo"],
        "podcli": [*python, "canary_tutorial.lab.podcli"],
        "mesh": [*python, "canary_tutorial.lab.mesh"],
        "loadtester": _named_by(LOADTESTER) or [*python, "canary_tutorial.flagger.loadtester"],
        "flagger": _named_by(FLAGGER) or [*python, "canary_tutorial.flagger"],
    }
    missing: dict[str, str] = {}
    for name in REMEDIES:
        found = find_program(name)
        programs[name] = [found] if found else None
    where.mkdir(mode=0o700)
    for name, command in programs.items():
        if command is None:
            missing[name] = f"{name} is missing: {REMEDIES[name]}"
            line = f"echo {shlex.quote(missing[name])} >&2; exit 127"
        else:
            proxy = ' ${HTTP_PROXY:+-x "$HTTP_PROXY"}' if name == "hey" else ""
            line = f'exec {shlex.join(command)}{proxy} "$@"'
        write_below(where, name, f"#!/bin/sh\n{line}\n", 0o700)
    write_below(where, "hostname", HOSTNAME, 0o700)
    return missing
