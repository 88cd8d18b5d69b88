"""A pod's volumes on disk: one directory each below the pod's own, and nothing outside it. I/O: files.

Paths are refused as Kubernetes' kubelet refuses them, whatever the API server has let through; and files are written
and removed without following a link, as the pod's own programs may have laid one (`lab/machine/files.py`).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING

from canary_tutorial.lab.kubelet.environment import volume_files
from canary_tutorial.lab.kubelet.reading import ConfigError, explained
from canary_tutorial.lab.machine import files
from canary_tutorial.lab.objects import Obj

if TYPE_CHECKING:
    from canary_tutorial.lab.kubelet.place import Machine, Place

WRITTEN = ("configMap", "secret", "downwardAPI", "projected")  # by the kubelet; any other begins as an empty directory
LONGEST_PATH, LONGEST_NAME, DEEPEST = 4096, 255, 40
Steps = tuple[str, ...]


class MountError(Exception):
    """A volume cannot be made; the message is the one of Kubernetes' event."""

    def __init__(self, volume: str, why: BaseException) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {explained(why)}')


@contextmanager
def below_pod(place: Place, machine: Machine, *steps: str) -> Iterator[int]:
    """A descriptor of a directory below the pod's own."""
    own = place.directory.relative_to(machine.directory).parts
    with files.directory(machine.directory, *own, *steps) as at:
        yield at


def write_volumes(pod: Obj, place: Place, machine: Machine) -> None:
    """Make the pod's volumes and its kubeconfig, each as far as it can be made; raises the first `MountError`."""
    failed: list[MountError] = []
    for volume in pod["spec"].get("volumes") or []:
        try:
            _write_volume(pod, volume, place, machine)
        except Exception as error:
            failed.append(MountError(volume.get("name", ""), error))
    try:
        with below_pod(place, machine) as at:
            config = machine.kubeconfig(pod).encode()
            if files.read(at, "kubeconfig") != config:
                files.write(at, "kubeconfig", config)
    except Exception as error:
        failed.append(MountError("kube-api-access", error))
    if failed:
        raise failed[0]


def _write_volume(pod: Obj, volume: Obj, place: Place, machine: Machine) -> None:
    content = None
    if any(source in volume for source in WRITTEN):
        find = machine.find(pod["metadata"]["namespace"])
        content = volume_files(pod, volume, find, machine.token(pod), machine.ca, place.ip)
    name = volume.get("name", "")
    try:
        files.check_name(name)
    except ValueError as error:
        raise ConfigError("invalid volume name") from error
    with below_pod(place, machine, "volumes", name) as at:
        if content is not None:
            fill(at, content)


def fill(top: int, content: Mapping[str, bytes]) -> None:
    """Let a directory hold these files (path -> content) and no others."""
    tree = _tree(content)
    at = [top]  # a descriptor for each directory from the top to where we are
    where: Steps = ()
    try:
        for steps in sorted(tree):
            common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(steps, where, strict=False)))
            while len(at) > common + 1:
                os.close(at.pop())
            for step in steps[common:]:
                at.append(files.enter(at[-1], step))
            where = steps
            _fill_one(at[-1], tree[steps])
    finally:
        for below in at[1:]:
            os.close(below)


def _fill_one(at: int, wanted: Mapping[str, bytes | None]) -> None:
    for name in os.listdir(at):
        if name not in wanted:
            files.remove(at, name)
    for name, content in wanted.items():
        if content is not None and files.read(at, name, len(content)) != content:
            files.write(at, name, content)


def _tree(content: Mapping[str, bytes]) -> dict[Steps, dict[str, bytes | None]]:
    """directory -> what it holds: files with their content, directories as None; the top is always there."""
    tree: defaultdict[Steps, dict[str, bytes | None]] = defaultdict(dict, {(): {}})
    for path, data in content.items():
        *above, name = clean(path)
        for depth, step in enumerate(above):
            if tree[tuple(above[:depth])].setdefault(step, None) is not None:
                raise ConfigError(f"mkdir {'/'.join(above[: depth + 1])}: not a directory")
        if tree[tuple(above)].get(name, b"") is None:
            raise ConfigError(f"open {path}: is a directory")
        tree[tuple(above)][name] = data
    return dict(tree)


def clean(path: str) -> Steps:
    """The steps of a path within a volume, or `ConfigError` in the kubelet's words."""
    if not path:
        raise ConfigError(f'invalid path: must not be empty: "{path}"')
    if path.startswith("/"):
        raise ConfigError(f"invalid path: must be relative path: {path}")
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        raise ConfigError(f"invalid path: must be less than or equal to {LONGEST_PATH} characters")
    steps = tuple(step for step in path.split("/") if step not in ("", "."))
    if ".." in steps:
        raise ConfigError(f"invalid path: must not contain '..': {path}")
    if any(len(step.encode(errors="replace")) > LONGEST_NAME for step in steps):
        raise ConfigError(f"invalid path: filenames must be less than or equal to {LONGEST_NAME} characters")
    if not steps or "\0" in path:
        raise ConfigError(f"open {path!r}: invalid argument")
    if steps[0].startswith(".."):
        raise ConfigError(f"invalid path: must not begin with '..': {path}")
    if len(steps) > DEEPEST:
        raise ConfigError(f"invalid path: must not be deeper than {DEEPEST} directories")
    return steps
