"""A real Kubernetes control plane of this machine's own programs, on loopback, for as long as a test needs it.

KUBEBUILDER_ASSETS names a directory with `etcd` and `kube-apiserver`, as envtest has it. Where `kube-controller-manager`
is there as well, it runs, and a node of ours (`node.py`) makes pods ready; README.md says how to build the programs.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from parity.kubectl import node

ASSETS = "KUBEBUILDER_ASSETS"
TOKEN = "a-token-of-this-test"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def program(log: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes], log: Path, url: str, ca: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} has ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            if httpx2.get(f"{url}/readyz", verify=trusting(ca), headers=bearer()).status_code == 200:
                return
        except (httpx2.TransportError, OSError):  # its certificate is not there yet, or its port
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} is not ready after 120 s:\n{log.read_text()[-2000:]}")


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


def write_keys(directory: Path) -> Path:
    """The token of the one user, and the key that signs the tokens of ServiceAccounts; returns the key's path."""
    (directory / "tokens.csv").write_text(f'{TOKEN},kubernetes-admin,,"system:masters"\n')
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = directory / "accounts.key"
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return path


def write_kubeconfig(directory: Path, url: str, ca: Path) -> Path:
    path = directory / "kubeconfig"
    path.touch(mode=0o600)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "own", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "admin"}}],
        "current-context": "own",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def api_server(programs: Path, directory: Path, etcd: str, port: int, key: Path, controllers: bool) -> list[str | Path]:
    """Its command line. Without controllers no namespace has a ServiceAccount, so pods must do without, as in envtest."""
    without = [] if controllers else ["--disable-admission-plugins=ServiceAccount"]
    return [
        programs / "kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}",
        f"--cert-dir={directory / 'certificates'}", f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}", *without,
    ]  # fmt: skip


@contextmanager
def running(directory: Path) -> Iterator[tuple[Path, set[str]]]:
    """A control plane whose files are in `directory`: its kubeconfig, and what it has of `servers.NEEDS`."""
    programs = Path(os.environ[ASSETS])
    controllers = (programs / "kube-controller-manager").exists()
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(program(
            directory / "etcd.log", programs / "etcd", "--data-dir", directory / "etcd", "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer,
        ))  # fmt: skip
        key = write_keys(directory)
        log, url, ca = (
            directory / "apiserver.log",
            f"https://127.0.0.1:{port}",
            directory / "certificates/apiserver.crt",
        )
        command = api_server(programs, directory, client, port, key, controllers)
        wait_until_ready(stack.enter_context(program(log, *command)), log, url, ca)
        kubeconfig = write_kubeconfig(directory, url, ca)
        if not controllers:
            yield kubeconfig, {"own"}
            return
        stack.enter_context(program(
            directory / "controllers.log", programs / "kube-controller-manager", "--kubeconfig", kubeconfig,
            "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={free_port()}",
            f"--service-account-private-key-file={key}", f"--root-ca-file={ca}",
        ))  # fmt: skip
        stack.enter_context(node.running(httpx2.Client(base_url=url, verify=trusting(ca), headers=bearer())))
        yield kubeconfig, {"own", "controllers", "nodes"}
