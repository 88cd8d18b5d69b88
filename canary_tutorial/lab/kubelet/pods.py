"""From a pod's spec to programs: addresses, environment, command, volumes on disk. Pure but for `write_volumes`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from canary_tutorial.lab.images import Start, find_image, tag_of
from canary_tutorial.lab.kubelet.container import Program
from canary_tutorial.lab.kubelet.discovery import TARGETS
from canary_tutorial.lab.kubelet.environment import Find, environment, expand, mounts, relocate, volume_files
from canary_tutorial.lab.network import OUTBOUND_PORT, app_address
from canary_tutorial.lab.store import Obj

if TYPE_CHECKING:
    from canary_tutorial.lab.kubelet.worker import Place

SIDECAR = "istio-proxy"


class Machine(Protocol):
    """What a pod takes from the machine it runs on."""

    directory: Path  # the lab's state; programs are in bin/
    resolver: str  # address of Envoy's plain listener
    server: tuple[str, int]  # the API server's host and port
    ca: str

    def find(self, namespace: str) -> Find: ...

    def token(self, pod: Obj) -> str: ...

    def kubeconfig(self, pod: Obj) -> str: ...


def has_sidecar(pod: Obj) -> bool:
    return any(container["name"] == SIDECAR for container in pod["spec"]["containers"])


def listen_address(pod: Obj, place: Place) -> str:
    """Where the pod's programs listen: behind its sidecar, or on the pod's own address."""
    return app_address(place.ip) if has_sidecar(pod) else place.ip


def write_volumes(pod: Obj, place: Place, machine: Machine) -> None:
    """Make the pod's volumes; raises ConfigError if a ConfigMap or Secret is missing."""
    find = machine.find(pod["metadata"]["namespace"])
    for volume in pod["spec"].get("volumes") or []:
        directory = place.directory / "volumes" / volume["name"]
        directory.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            continue
        files = volume_files(pod, volume, find, machine.token(pod), machine.ca, place.ip)
        for stale in [path for path in directory.rglob("*") if path.is_file()]:
            if str(stale.relative_to(directory)) not in files:
                stale.unlink()
        for name, content in files.items():
            _replace(directory / name, content)
    config = place.directory / "kubeconfig"
    config.touch(0o600)
    config.write_text(machine.kubeconfig(pod))


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def base_environment(pod: Obj, container: Obj, place: Place, machine: Machine) -> dict[str, str]:
    """What every container has: PATH, where to listen, how names resolve, how to reach the API."""
    proxy = f"{listen_address(pod, place) if has_sidecar(pod) else machine.resolver}:{OUTBOUND_PORT}"
    host, port = machine.server
    direct = "127.0.0.1,localhost"
    return {
        "PATH": f"{machine.directory / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(place.directory),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOSTNAME": pod["metadata"]["name"],
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LISTEN_ADDRESS": listen_address(pod, place),
        "IMAGE_TAG": tag_of(container["image"]),
        "HTTP_PROXY": f"http://{proxy}",
        "http_proxy": f"http://{proxy}",
        "NO_PROXY": direct,
        "no_proxy": direct,
        "KUBECONFIG": str(place.directory / "kubeconfig"),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": str(port),
    }


def container_environment(pod: Obj, container: Obj, place: Place, machine: Machine) -> dict[str, str]:
    """All variables of a container, mountPaths in them made real."""
    asked = environment(pod, container, place.ip, machine.find(pod["metadata"]["namespace"]))
    where = mounts(container, place.directory / "volumes")
    return base_environment(pod, container, place, machine) | {k: relocate(v, where) for k, v in asked.items()}


def program_for(pod: Obj, container: Obj, place: Place, machine: Machine) -> Program:
    """The process behind a container; raises ImageError or ConfigError."""
    image = find_image(container["image"])
    variables = {**image.environment, **container_environment(pod, container, place, machine)}
    where = mounts(container, place.directory / "volumes")
    entrypoint = container.get("command") or [image.entrypoint]
    words = [relocate(expand(word, variables), where) for word in [*entrypoint, *(container.get("args") or [])]]
    words[0] = find_in(machine.directory / "bin", words[0])
    if Path(words[0]).name == image.entrypoint:
        kubeconfig = place.directory / "kubeconfig"
        targets = machine.directory / TARGETS
        words = image.adapt(Start(words, variables["LISTEN_ADDRESS"], place.directory, kubeconfig, targets))
    directory = place.directory / "work"
    directory.mkdir(exist_ok=True)
    return Program(words, variables, directory, bool(container.get("stdin")))


def find_in(programs: Path, name: str) -> str:
    """`./podinfo` or `/app/podinfo` in an image is `podinfo` in the lab's table."""
    own = programs / Path(name).name
    return str(own) if own.exists() else name
