"""From a pod's spec to programs: addresses, environment, command. Pure but for what an image writes to adapt itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from canary_tutorial.lab.kubelet.environment import at_home, environment, expand, mounts, relocate
from canary_tutorial.lab.kubelet.place import Machine, Place
from canary_tutorial.lab.kubelet.reading import ConfigError
from canary_tutorial.lab.kubelet.run import Program
from canary_tutorial.lab.kubelet.scrape_targets import TARGETS
from canary_tutorial.lab.kubelet.volumes import below_pod
from canary_tutorial.lab.machine import files
from canary_tutorial.lab.machine.images import Start, find_image, tag_of
from canary_tutorial.lab.machine.network import OUTBOUND_PORT, RESOLVER_USER, app_address
from canary_tutorial.lab.objects import Obj, has_sidecar

OWN_NAMES = r"localhost|127\.0\.0\.1"
WORK = "work"  # where the programs of a pod run, below its directory


def listen_address(pod: Obj, place: Place) -> str:
    """Where the pod's programs listen: behind its sidecar, or on the pod's own address."""
    return app_address(place.ip) if has_sidecar(pod) else place.ip


def host_name(pod: Obj) -> str:
    """The pod's own, as long as a host name may be."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def exec_words(program: Program, command: list[str], programs: Path) -> list[str]:
    """A command that is to run beside a container's program, in its world."""
    own = str(program.environment.get("LISTEN_ADDRESS", ""))
    found = find_in(programs, command[0] if command else "")
    return [found, *(relocate(at_home(word, own, OWN_NAMES), program.mounts) for word in command[1:])]


def base_environment(pod: Obj, container: Obj, place: Place, machine: Machine) -> dict[str, str]:
    """What every container has: PATH, where to listen, how names resolve, how to reach the API."""
    own, meta = listen_address(pod, place), pod["metadata"]
    proxy = own if has_sidecar(pod) else f"{RESOLVER_USER}:{meta['namespace']}@{machine.resolver}"
    proxy = f"http://{proxy}:{OUTBOUND_PORT}"
    host, port = machine.server
    direct = f"127.0.0.1,localhost,{own}"
    return {
        "PATH": f"{machine.directory / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(place.directory),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOSTNAME": host_name(pod),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LISTEN_ADDRESS": own,
        "IMAGE_TAG": tag_of(container["image"]),
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "KUBECONFIG": str(place.directory / "kubeconfig"),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": str(port),
    }


def program_for(pod: Obj, container: Obj, place: Place, machine: Machine) -> Program:
    """The process behind a container; raises ImageError, ConfigError or whatever else is wrong with its spec."""
    files.check_name(container["name"])  # its log has that name
    image = find_image(container["image"])
    asked = environment(pod, container, place.ip, machine.find(pod["metadata"]["namespace"]))
    base = {**image.environment, **base_environment(pod, container, place, machine)}
    where = _mounted(pod, container, place, machine, base | asked)
    variables = base | {name: relocate(value, where) for name, value in asked.items()}
    entrypoint = container.get("command") or [image.entrypoint]
    own = variables["LISTEN_ADDRESS"]
    words = [*entrypoint, *(container.get("args") or [])]
    words = [relocate(at_home(expand(word, variables), own), where) for word in words]
    words[0] = find_in(machine.directory / "bin", words[0])
    if Path(words[0]).name == image.entrypoint:
        kubeconfig = place.directory / "kubeconfig"
        targets = machine.directory / TARGETS
        words = image.adapt(Start(words, own, place.directory, kubeconfig, targets))
    with below_pod(place, machine, WORK):
        return Program(words, variables, place.directory / WORK, bool(container.get("stdin")), where, host_name(pod))


def _mounted(pod: Obj, container: Obj, place: Place, machine: Machine, variables: Mapping[str, str]) -> dict[str, str]:
    """mountPath -> real path, each of them in a volume of this pod, wherever its links lead."""
    names, name = {volume.get("name") for volume in pod["spec"].get("volumes") or []}, container["name"]
    real = Path(os.path.realpath(machine.directory)) / place.directory.relative_to(machine.directory) / "volumes"
    found: dict[str, str] = {}
    for mount in container.get("volumeMounts") or []:
        volume = mount.get("name")
        if volume not in names:
            raise ConfigError(f'cannot find volume "{volume}" to mount into container "{name}"')
        one = mounts({**container, "volumeMounts": [mount]}, place.directory / "volumes", variables)
        if any(not Path(os.path.realpath(path)).is_relative_to(real / volume) for path in one.values()):
            raise ConfigError(f'failed to prepare subPath for volumeMount "{volume}" of container "{name}"')
        found |= one
    return found


def find_in(programs: Path, name: str) -> str:
    """`./podinfo` or `/app/podinfo` in an image is `podinfo` in the lab's table."""
    with contextlib.suppress(OSError, ValueError):  # too long, or not the name of any file
        own = programs / Path(name).name
        return str(own) if own.is_file() else name
    return name
