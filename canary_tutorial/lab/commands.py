"""The lab's own command: `python -m canary_tutorial.lab up | status | logs | down | run`.

`up` starts the guard, which starts the main process (`lab.py`), and waits until `lab.json` says that it is ready. The
other commands read that file. Light on imports: each call should answer at once.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
import psutil

from canary_tutorial.lab.machine import guard, state
from canary_tutorial.lab.machine.images import REMEDIES, find_program
from canary_tutorial.lab.machine.processes import family, pss_mb, send

PATIENCE = 30.0  # seconds for a lab to become ready
name_option = click.option(
    "--name",
    default=state.DEFAULT_NAME,
    show_default=True,
    metavar="NAME",
    help="Which lab; several can run side by side.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The lab: a small embedded cluster for lessons on releases."""


def fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


def refuse_if_impossible(name: str) -> None:
    if sys.platform != "linux":
        fail(
            "The lab needs Linux, as its pods have addresses of their own. "
            "Use Binder, a Linux machine, or your own cluster."
        )
    running = state.read(name)
    if running:
        config = state.directory_of(name) / "kubeconfig"
        fail(
            f"The lab {name!r} is already running at {running.server}.\n"
            f"Use it:      export KUBECONFIG={config}\n"
            f"End it:      canary-tutorial down --name {name}\n"
            f"Or another:  canary-tutorial up --name {name}-2"
        )


def prepare(name: str) -> tuple[Path, int]:
    """A directory for a new lab and the lock on it; ends with a clear message where there can be none."""
    began = time.monotonic()
    while True:
        try:
            refuse_if_impossible(name)
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
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the API server on 127.0.0.1; 0 takes a free one."
)
def up(name: str, port: int) -> None:
    """Start a lab in the background; returns when it is ready."""
    directory, lock = prepare(name)
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
    told = False
    while state.read(name) is None:
        if process.poll() is not None:
            fail(why_it_failed(directory, log, port))
        if time.monotonic() - began > PATIENCE:
            process.terminate()
            fail(f"The lab did not become ready within {PATIENCE:.0f} s; its log is {log}")
        if time.monotonic() - began > 2 and not told:
            click.echo("Starting the lab ...", err=True)
            told = True
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
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the API server on 127.0.0.1; 0 takes a free one."
)
def run(name: str, port: int) -> None:
    """Run a lab in the foreground; Ctrl-C ends it."""
    directory, lock = prepare(name)
    os.set_inheritable(lock, True)
    words = command(name, directory, port)
    os.execv(words[0], words)


@cli.command()
@name_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(name: str, as_json: bool) -> None:
    """Tell whether a lab runs, where, and what it takes."""
    try:
        answer = describe(name)
    except state.StateError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["running"]:
        click.echo(f"The lab {name!r} is not running. Start it: canary-tutorial up --name {name}")
        return
    click.echo(
        f"The lab {name!r} runs at {answer['server']}\n"
        f"kubeconfig  {answer['kubeconfig']}\n"
        f"state       {answer['state_dir']}"
    )
    for process in answer["processes"]:
        click.echo(f"{process['pid']:>8}  {process['pss_mb']:6.1f} MB  {process['name']}")
    click.echo(f"{'':>8}  {answer['pss_mb']:6.1f} MB  in all (PSS)")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(as_json: bool) -> None:
    """Tell which programs the lab finds on this machine, and how to get those that it does not."""
    found = {name: find_program(name) for name in REMEDIES}
    if as_json:
        rows = [
            {"program": name, "path": path, "remedy": "" if path else REMEDIES[name]} for name, path in found.items()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
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
@click.option("-f", "--follow", is_flag=True, help="Go on as more comes.")
@click.argument("part", required=False)
def logs(name: str, follow: bool, part: str | None) -> None:
    """Print the log of a PART: `main`, or a container; without PART, list the parts."""
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
    chosen = parts.get(part) or next((path for key, path in parts.items() if part in key), None)
    if chosen is None:
        fail(f"The lab {name!r} has no part {part!r}. Its parts: {', '.join(parts)}")
    with chosen.open("rb") as log:
        while True:
            click.echo(log.read(), nl=False)
            if not follow or state.read(name) is None:
                return
            time.sleep(0.2)


@cli.command()
@name_option
def down(name: str) -> None:
    """End a lab and every process of it."""
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


if __name__ == "__main__":
    cli(prog_name="canary-tutorial")
