"""The lab's commands: `canary-tutorial up | check | status | logs | down`, and `run` in the foreground.

`up` starts the guard, which starts the main process (`main.py`), and waits until `lab.json` says that it is ready. The
other commands read that file. Imports little, so that each command answers at once. Exit codes: 0, 1 for an error, 2 for
arguments that are not understood, 3 (`status` alone) for a lab that does not run, 130 after Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click
import psutil

from canary_tutorial.lab.machine import guard, state
from canary_tutorial.lab.machine.processes import family, pss_mb, send
from canary_tutorial.lab.machine.tools import REMEDIES, CannotUnpack, find_program, install, of_user
from canary_tutorial.lab.objects import SIDECAR

PATIENCE = 30.0  # seconds for a lab to become ready
NOT_RUNNING = 3  # exit code of `status`, as of systemctl's
name_option = click.option(
    "--name",
    default=state.DEFAULT_NAME,
    show_default=True,
    metavar="NAME",
    help="Name the lab; several can run side by side.",
)
port_option = click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Choose the API server's port on 127.0.0.1; 0 takes a free one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
def cli() -> None:
    """Start, inspect, and end a lab: a small cluster on this machine."""


def fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


def already(name: str, running: state.Lab, port: int, foreground: bool) -> NoReturn:
    """End where the lab runs: that is what `up` is for, unless another port is wanted."""
    message = (
        f"The lab {name!r} is already running at {running.server}.\n"
        f"Use it:      export KUBECONFIG={state.directory_of(name) / 'kubeconfig'}\n"
        f"End it:      canary-tutorial down --name {name}\n"
        f"Or another:  canary-tutorial up --name {name}-2"
    )
    if foreground or (port and not running.server.endswith(f":{port}")):
        fail(message)
    click.echo(message)
    sys.exit(0)


def prepare(name: str, port: int, foreground: bool = False) -> tuple[Path, int]:
    """A directory for a new lab and the lock on it; ends with a clear message where there can be none."""
    if sys.platform != "linux":
        fail("The lab needs Linux: its pods have addresses of their own.\n→ Use Binder, or connect to your own cluster")
    began = time.monotonic()
    while True:
        try:
            if running := state.read(name):
                already(name, running, port, foreground)
            return state.prepare(name)
        except state.StateError as error:
            fail(str(error))
        except BlockingIOError:
            if time.monotonic() - began > PATIENCE:
                fail(f"Another lab {name!r} has been starting or ending for {PATIENCE:.0f} s; choose another --name.")
            time.sleep(0.05)


def command(name: str, directory: Path, port: int) -> list[str]:
    main = (
        f"import sys; from canary_tutorial.lab.main import main; sys.exit(main({name!r}, {str(directory)!r}, {port}))"
    )
    return [sys.executable, "-I", guard.__file__, sys.executable, "-c", main]


@cli.command()
@name_option
@port_option
def up(name: str, port: int) -> None:
    """Start a lab in the background, and wait until it is ready.

    A lab of this name that runs already is left as it is, and named.

    \b
    Example:
      canary-tutorial up --name second --port 6443
    """
    directory, lock = prepare(name, port)
    log = directory / "logs" / "main.log"
    with open(log, "xb") as output:
        process = subprocess.Popen(
            command(name, directory, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock],
        )
    began = time.monotonic()
    reported = False
    while state.read(name) is None:
        if process.poll() is not None:
            fail(why_it_failed(directory, log, port))
        if time.monotonic() - began > PATIENCE:
            process.terminate()
            fail(f"The lab did not become ready within {PATIENCE:.0f} s; its log is {log}")
        if time.monotonic() - began > 2 and not reported:
            click.echo("Starting the lab ...", err=True)
            reported = True
        time.sleep(0.02)
    lab = state.read(name)
    assert lab is not None
    config = directory / "kubeconfig"
    click.echo(f"The lab {name!r} is ready at {lab.server} ({time.monotonic() - began:.1f} s).")
    click.echo(f"Point kubectl at it:  export KUBECONFIG={config}")
    click.echo(f"or once:              kubectl --kubeconfig {config} get pods -A")
    for warning in lab.warnings:
        click.echo(f"Note: {warning}", err=True)


def why_it_failed(directory: Path, log: Path, port: int) -> str:
    why = state.why_failed(directory) or f"see its log, {log}"
    if port and "in use" in why:
        why = f"port {port} is in use by another program: choose another --port, or leave it out"
    return f"The lab could not start: {why}"


@cli.command()
@name_option
@port_option
def run(name: str, port: int) -> None:
    """Run a lab in the foreground (Ctrl-C ends it).

    \b
    Example:
      python -m canary_tutorial.lab run --name second
    """
    directory, lock = prepare(name, port, foreground=True)
    os.set_inheritable(lock, True)
    words = command(name, directory, port)
    os.execv(words[0], words)


@cli.command()
@name_option
@json_option
def status(name: str, as_json: bool) -> None:
    """Show a lab's state, address, processes, and memory.

    Exit code: 0 if it runs, 3 if it does not.

    \b
    Example:
      canary-tutorial status --json
    """
    try:
        answer = describe(name)
    except state.StateError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif answer["running"]:
        describe_in_words(answer)
    else:
        click.echo(f"The lab {name!r} is not running. Start it: canary-tutorial up --name {name}")
    sys.exit(0 if answer["running"] else NOT_RUNNING)


def describe_in_words(answer: dict[str, Any]) -> None:
    click.echo(
        f"The lab {answer['name']!r} runs at {answer['server']}\n"
        f"kubeconfig  {answer['kubeconfig']}\n"
        f"state       {answer['state_dir']}"
    )
    for process in answer["processes"]:
        click.echo(f"{process['pid']:>8}  {process['pss_mb']:6.1f} MB  {process['name']}")
    click.echo(f"{'':>8}  {answer['pss_mb']:6.1f} MB  in all (PSS)")


@cli.command()
@json_option
@click.option("--install", "unpack", is_flag=True, help="Unpack Prometheus and hey into a directory of yours.")
def check(as_json: bool, unpack: bool) -> None:
    """List the programs that a lab needs, and how to get a missing one.

    Found in this order: PATH, $CANARY_TUTORIAL_TOOLS, .tools/bin of a checkout, your own directory
    (~/.local/share/canary-tutorial/bin), Python's. --install unpacks Debian's packages into your own directory; it
    needs apt, but not root.

    Exit code: 0 if all of them are there, 1 if one is missing.

    \b
    Example:
      canary-tutorial check --install
    """
    if unpack:
        try:
            install(of_user(), lambda text: click.echo(text, err=True))
        except CannotUnpack as error:
            click.echo(str(error), err=True)
    found = {name: find_program(name) for name in REMEDIES}
    if as_json:
        rows = [
            {"program": name, "path": path, "remedy": "" if path else REMEDIES[name]} for name, path in found.items()
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for name, path in found.items():
            click.echo(f"{name:<12}{path or 'missing: ' + REMEDIES[name]}")
    sys.exit(0 if all(found.values()) else 1)


def describe(name: str) -> dict[str, Any]:
    """What `status --json` prints; memory in MB (PSS, shared pages divided among their users)."""
    lab = state.read(name)
    directory = state.directory_of(name)
    if lab is None:
        return {"name": name, "running": False, "state_dir": str(directory), "processes": []}
    processes = [{"pid": p.pid, "name": title(p, lab), "pss_mb": round(pss_mb(p.pid), 1)} for p in family(lab.guard)]
    return {
        "name": name,
        "running": True,
        "kubeconfig": str(directory / "kubeconfig"),
        "server": lab.server,
        "state_dir": str(directory),
        "network": f"127.{lab.network}.0.0/16",
        "processes": processes,
        "pss_mb": round(sum(p["pss_mb"] for p in processes), 1),
    }


def title(process: psutil.Process, lab: state.Lab) -> str:
    """What a process is, in a word or two."""
    if process.pid == lab.guard:
        return "guard"
    if process.pid == lab.main:
        return "main (API server, controllers, kubelet)"
    try:
        words = process.cmdline()
    except psutil.Error:
        return "?"
    if "-m" in words:
        return str(words[words.index("-m") + 1])
    return Path(words[0]).name if words else "?"


@cli.command()
@name_option
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines (Ctrl-C stops).")
@click.argument("part", required=False)
def logs(name: str, follow: bool, part: str | None) -> None:
    """Print the log of a PART of the lab, or list the parts.

    A PART is `main` (API server, controllers, kubelet) or a container, as NAMESPACE/POD/CONTAINER or a piece of that.

    \b
    Example:
      canary-tutorial logs --follow main
    """
    try:
        directory = state.directory_of(name)
        state.check(directory)
    except state.StateError as error:
        fail(str(error))
    parts = {"main": directory / "logs" / "main.log"}
    found = [path for path in directory.glob("pods/*/logs/*.log") if stat.S_ISREG(path.lstat().st_mode)]
    for path in sorted(found, key=lambda p: p.lstat().st_mtime):
        namespace, pod = path.parents[1].name.rpartition("_")[0].split("_", 1)
        parts[f"{namespace}/{pod}/{path.stem.rpartition('-')[0]}"] = path
    if not parts["main"].exists():
        fail(f"There is no lab {name!r}. Start it: canary-tutorial up --name {name}")
    if part is None:
        click.echo("\n".join(parts))
        return
    chosen = parts.get(meant(part, list(parts)) or "")
    if chosen is None:
        fail(f"The lab {name!r} has no part {part!r}. Its parts: {', '.join(parts)}")
    with suppress(KeyboardInterrupt), chosen.open("rb") as log:
        while True:
            click.echo(log.read(), nl=False)
            if not follow or state.read(name) is None:
                return
            time.sleep(0.2)
    sys.exit(130)


def meant(part: str, parts: Sequence[str]) -> str | None:
    """Which of `parts` (NAMESPACE/POD/CONTAINER, the newest last) a word means: the container of that name before a pod
    whose name begins with it, that before any other that holds it; and of several the newest."""

    def fits(key: str) -> tuple[bool, ...]:
        """The best first, so that the greatest of these is meant."""
        namespace, pod, container = (*key.split("/"), "", "")[:3]
        whole = part in (pod, f"{namespace}/{pod}") or pod.startswith(f"{part}-")
        return key == part, container == part, whole and container != SIDECAR, part in key and container != SIDECAR

    found = [key for key in parts if part in key]
    return max(reversed(found), key=fits, default=None)


@cli.command()
@name_option
def down(name: str) -> None:
    """End a lab and all its processes.

    Exit code: 0 if it does not run any more, whether or not it ran before.

    \b
    Example:
      canary-tutorial down --name second
    """
    try:
        lab = state.read(name)
        directory = state.directory_of(name)
    except state.StateError as error:
        fail(str(error))
    if lab is None:
        if directory.exists():
            remove_leftovers(directory)
        click.echo(f"The lab {name!r} is not running.")
        return
    members = family(lab.guard)
    os.kill(lab.guard, signal.SIGTERM)
    _, alive = psutil.wait_procs(members, timeout=10)
    send([process for process in alive if process.pid == lab.main], signal.SIGKILL)  # the guard ends the others
    _, alive = psutil.wait_procs(alive, timeout=5)
    send(alive, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=5)
    remove_leftovers(directory)
    click.echo(f"The lab {name!r} has ended; no process of it is left.")


def remove_leftovers(directory: Path) -> None:
    try:
        state.clean(directory)
    except OSError as error:
        click.echo(f"Note: some files stay in {directory} ({error.strerror}).", err=True)
