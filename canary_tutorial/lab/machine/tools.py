"""Prometheus, hey and Envoy: finds them on this machine, and unpacks Debian's packages of the first two.

Unpacking needs no root and installs nothing system-wide: apt keeps its lists and downloads in a temporary directory, and
the packages go below one directory, with `bin/` for PATH. tools/setup runs this file with a bare Python, before there is
an environment; so it imports the standard library alone.

    python tools.py DIRECTORY             unpack what `find_program` does not find
    python tools.py DIRECTORY PACKAGE     unpack this package of Debian's
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

TOOLS = "CANARY_TUTORIAL_TOOLS"
CHECKOUT = Path(__file__).parents[3] / ".tools"
# Programs that are not ours, and how to get them.
REMEDIES = {
    "prometheus": "canary-tutorial check --install, or install it (Debian: apt-get install prometheus)",
    "hey": "canary-tutorial check --install, or install it (Debian: apt-get install hey)",
    "envoy": 'pip install "canary-tutorial[lab]"',
}
UNPACKED = ("hey", "prometheus")
BY_HAND = {
    "Linux": "Install Prometheus (2.40 or newer) and hey (0.1.4) so that both are on PATH, then try again.",
    "Darwin": "On macOS: brew install prometheus hey. The lab itself needs Linux: use Binder, a Linux machine, or your "
    "own cluster (lesson 6).",
}
ELSEWHERE = "The lab needs Linux with prometheus and hey on PATH: use Binder, WSL 2 with Debian, or your own cluster (lesson 6)."
# Debian's Prometheus reads its web page from /usr/share. Where it is only unpacked, a private mount namespace shows it
# there to that one process; where the kernel does not allow this, Prometheus runs all the same, without the page.
PROMETHEUS = """\
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")/debian/usr
mount_page='mount -t overlay overlay -o "lowerdir=$0/share:/usr/share" /usr/share && exec "$0/bin/prometheus" "$@"'
if [ ! -d /usr/share/prometheus/web ] && unshare --user --map-root-user --mount \\
    sh -c 'mount -t overlay overlay -o "lowerdir=$0/share:/usr/share" /usr/share' "$root" 2>/dev/null; then
    exec unshare --user --map-root-user --mount sh -c "$mount_page" "$root" "$@"
fi
exec "$root/bin/prometheus" "$@"
"""


class CannotUnpack(Exception):
    """The message says why, and what to do instead."""


def of_user() -> Path:
    """Where `canary-tutorial check --install` unpacks: a directory of the user's own."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "canary-tutorial"


def find_program(name: str) -> str | None:
    """A program of this machine. The first place that has it counts: PATH, $CANARY_TUTORIAL_TOOLS, .tools/bin of the
    checkout, bin/ of the user's own directory, the directory of Python itself."""
    places = [
        os.environ.get("PATH"), os.environ.get(TOOLS), CHECKOUT / "bin", of_user() / "bin", Path(sys.executable).parent,
    ]  # fmt: skip
    return shutil.which(name, path=os.pathsep.join(str(place) for place in places if place))


def install(where: Path, say: Callable[[str], None]) -> None:
    """Unpack Prometheus and hey below `where`, each unless it is found already. Raises CannotUnpack."""
    missing = [name for name in UNPACKED if find_program(name) is None]
    for name in missing:
        say(f"{name} is missing: unpacking Debian's package into {where}")
    if missing:
        unpack(where, missing)


def unpack(where: Path, packages: Sequence[str]) -> None:
    """Unpack Debian's packages below `where`/debian, and put the programs among them into `where`/bin."""
    programs = where / "bin"
    try:
        programs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="apt-", dir=where) as scratch:
            _download(Path(scratch), packages)
            for package in Path(scratch).glob("*.deb"):
                _run(["dpkg", "-x", str(package), str(where / "debian")])
        if "hey" in packages:
            with suppress(FileNotFoundError):
                (programs / "hey").unlink()
            (programs / "hey").symlink_to("../debian/usr/bin/hey")
        if "prometheus" in packages:
            (programs / "prometheus").write_text(PROMETHEUS)
            (programs / "prometheus").chmod(0o755)
    except OSError as error:
        raise CannotUnpack(
            f"cannot write to {where}: {error.strerror}; check the permissions of this directory"
        ) from error


def _download(scratch: Path, packages: Sequence[str]) -> None:
    """Fetch packages into `scratch`, with those that hold Prometheus' web page."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        advice = BY_HAND.get(platform.system(), ELSEWHERE)
        raise CannotUnpack(f"there is no apt here to get {' and '.join(packages)} from. {advice}")
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (scratch / directory).mkdir(parents=True)
    options = [
        f"Dir::State={scratch}/state", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={scratch}/cache",
        "APT::Sandbox::User=root", "quiet=2",
    ]  # fmt: skip
    private = [word for option in options for word in ("-o", option)]
    _run(["apt-get", "update", *private])
    wanted = list(packages)
    if "prometheus" in packages:
        depends = [line.split()[-1] for line in _run(["apt-cache", "depends", "prometheus", *private]).splitlines()]
        wanted += [*(name for name in depends if name.startswith(("libjs-", "fonts-"))), "libjs-d3"]
    _run(["apt-get", "download", *wanted, *private], scratch)


def _run(command: Sequence[str], directory: Path | None = None) -> str:
    """What a command prints. Raises CannotUnpack with the last line of its errors."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise CannotUnpack(f"{' '.join(command[:2])} failed: {why}")
    return done.stdout


if __name__ == "__main__":
    try:
        if packages := sys.argv[2:]:
            unpack(Path(sys.argv[1]), packages)
        else:
            install(Path(sys.argv[1]), lambda text: print(f"setup: {text}"))
    except CannotUnpack as error:
        sys.exit(f"setup: {error}")
