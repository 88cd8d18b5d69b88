"""The command `canary-tutorial`: forwards the lab's own commands, runs lessons and reports, prints a release's ticks.

Imports little, so that `--help` answers at once. A TutorialError is printed as its message, with exit code 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from canary_tutorial.errors import CommandFailed, TutorialError, need
from canary_tutorial.screen.tables import printable

OUTPUT = Path("reports")
LESSONS = Path("canary-tutorial")
FIRST_LESSON = "00-start-here.ipynb"
NOT_IN_LESSONS = "stefanprodan/podinfo:6.14.1"  # so that the report has something to release after them


class Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TutorialError as exc:
            click.echo(printable(str(exc)), err=True)
            ctx.exit(1)


CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


@click.group(cls=Group, context_settings=CONTEXT_SETTINGS)
@click.version_option(package_name="canary-tutorial")
def main() -> None:
    """Learn progressive delivery by releasing: a lab to release in, lessons, and reports.

    \b
    Exit codes:
      0    done; report: promoted
      1    failed, with a message on stderr; report: rolled back
      2    arguments not understood; report: the release did not run
      3    status: the lab does not run
      130  ended by Ctrl-C

    \b
    Example:
      canary-tutorial run walkthrough
    """


output_option = click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", default=OUTPUT, show_default=True,
    help="Write results there.",
)  # fmt: skip


def parameter_option(of: str) -> Callable[[Any], Any]:
    return click.option(
        "-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
        help=f"Set a parameter of {of}; may be repeated.",
    )  # fmt: skip


def forward(name: str, text: str) -> None:
    """A command of the lab, run as a process of its own: help, output, input and exit code are its own."""

    @main.command(
        name,
        short_help=text,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    @click.pass_context
    def passed(ctx: click.Context) -> None:
        try:
            ctx.exit(lab(name, *ctx.args))
        except KeyboardInterrupt:
            ctx.exit(130)


def lab(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "canary_tutorial.lab", *words], check=False).returncode


for command, text in {
    "up": "Start a lab, and wait until it is ready.",
    "check": "List the programs that a lab needs.",
    "status": "Show a lab's state, address, and memory.",
    "logs": "Print the log of a part of the lab.",
    "down": "End a lab and all its processes.",
}.items():
    forward(command, text)


@main.command(short_help="Copy the lessons, and open JupyterLab there.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=LESSONS)
@click.argument("options", nargs=-1, metavar="[-- JUPYTER OPTION ...]")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Choose JupyterLab's port.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
def start(directory: Path, options: tuple[str, ...], port: int | None, no_browser: bool) -> None:
    """Copy the lessons to DIRECTORY (./canary-tutorial), and open JupyterLab there.

    A lesson that you have changed is kept as it is. Options after -- go to JupyterLab.

    \b
    Example:
      canary-tutorial start lessons --no-browser -- --ip=127.0.0.1
    """
    from canary_tutorial.lessons.copying import copy_lessons

    if str(directory).startswith("-"):
        raise click.UsageError(f"Name the directory before JupyterLab's options: start {LESSONS} -- {directory}")
    kept = copy_lessons(directory)
    click.echo(f"The lessons are in {directory}.")
    if kept:
        click.echo(f"Kept as you changed them: {', '.join(kept)}")
    need("notebooks", "jupyterlab", "ipykernel")
    words = [sys.executable, "-m", "jupyterlab", FIRST_LESSON, *options]
    words += [f"--port={port}"] if port else []
    words += ["--no-browser"] if no_browser else []
    words += ["--allow-root"] if os.geteuid() == 0 else []
    os.chdir(directory)
    os.execv(words[0], words)


@main.command(short_help="Run lessons without a browser, and sum up.")
@click.argument("lessons", nargs=-1, metavar="[LESSON ...]")
@click.option("--name", default="tutorial", show_default=True, metavar="NAME", help="Name the lab that is started.")
@output_option
@parameter_option("the notebooks that have it")
@click.option("--keep", is_flag=True, help="Leave the lab running.")
def run(lessons: tuple[str, ...], name: str, output: Path, parameters: tuple[tuple[str, str], ...], keep: bool) -> None:
    """Run each LESSON without a browser on a lab of their own, and sum up.

    A LESSON is its number, its name or the beginning of that, or a file; without any: all of them, and the report.

    Exit code: 0 if every cell ran and every release ended as it should, else 1.

    \b
    Example:
      canary-tutorial run 3 4 -p interval 5s
    """
    need("notebooks", "papermill", "nbconvert", "ipykernel")
    from canary_tutorial.reports import notebooks, summary

    everything = [*sorted(notebooks.home().glob("[0-9]*.ipynb")), notebooks.find("report")]
    books = [notebooks.find(lesson) for lesson in lessons] or everything
    given = parameters_of(parameters, books)
    with lab_for(name, keep) as peak:
        runs = []
        for book in books:
            click.echo(f"{book.stem}", err=True)
            own = {"image": NOT_IN_LESSONS} if book.stem == "report" else {}
            runs.append(notebooks.run(book, output, {**own, **given[book]}))
    click.echo(printable(summary.text(runs, peak())))
    sys.exit(0 if summary.good(runs) else 1)


@main.command(short_help="Print a canary's ticks: weights, checks, events.")
@click.argument("name", default="podinfo")
@click.option("-n", "--namespace", metavar="NAME", help="Name the Canary's namespace.  [default: test]")
@click.option("--context", metavar="NAME", help="Use a context of your kubeconfig instead of the lab.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per tick.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines (Ctrl-C stops).")
def trace(name: str, namespace: str | None, context: str | None, as_json: bool, follow: bool) -> None:
    """Print the ticks of the Canary NAME (podinfo): phase, weights, failed checks; each check with its value, threshold
    and sample count; events.

    \b
    Example:
      canary-tutorial trace podinfo -n test --follow
    """
    from canary_tutorial import connect
    from canary_tutorial.release import ticks as tracing

    canary = connect(context, namespace=namespace, show=False, start=False).canary(name)
    shown, head = 0, "" if as_json else tracing.HEAD
    while True:
        ticks = tracing.of_canary(canary)
        if head:
            click.echo(head)
            head = ""
        fresh = [(number, tick) for number, tick in tracing.worth_telling(ticks) if number > shown]
        tracing.count_samples([tick for _, tick in fresh], canary)
        for number, tick in fresh:
            click.echo(json.dumps({"tick": number, **tick}) if as_json else printable(tracing.text(number, tick)))
            shown = number
        if not follow:
            return
        time.sleep(1)


@main.command(short_help="Release once, and write the report of it.")
@click.option("--image", default="stefanprodan/podinfo:2.1.3", show_default=True, metavar="IMAGE", help="Release this.")
@click.option("--faults", default="", metavar="FLAGS", help="Break it: podinfo's flags for faults.")
@click.option("--context", default="", metavar="NAME", help="Use a context of your kubeconfig; else a lab is started.")
@click.option("-n", "--namespace", metavar="NAME", help="Write to this namespace only.  [default: test]")
@click.option("--name", default="report", show_default=True, metavar="NAME", help="Name the lab that is started.")
@output_option
@parameter_option("the report: interval, window")
def report(
    image: str,
    faults: str,
    context: str,
    namespace: str | None,
    name: str,
    output: Path,
    parameters: tuple[tuple[str, str], ...],
) -> None:
    """Release once; write report.html and report.json, to attach to a change request.

    Exit code: 0 promoted, 1 rolled back, 2 not run.

    \b
    Example:
      canary-tutorial report --faults=--random-error=true -p interval 5s
    """
    from canary_tutorial.release.result import as_text
    from canary_tutorial.reports import notebooks as reports

    try:
        need("notebooks", "papermill", "nbconvert", "ipykernel")
        book = reports.find("report")
        given = {
            "image": image, "faults": faults, "context": context, "namespace": namespace or "",
            **parameters_of(parameters, [book])[book],
        }  # fmt: skip
        with lab_for(name, context=context, namespace=namespace):
            reports.writable(output)
            with tempfile.TemporaryDirectory(dir=output) as unfinished:  # a report that fails leaves the last good one
                done = reports.run(book, Path(unfinished), given, code=False)
                found = done.results.get("report")
                if done.error or found is None:
                    where = reports.keep(done.files, output / "failed")
                    raise CommandFailed(done.error or "the report recorded nothing", f"See {where}")
                reports.keep(done.files, output)
    except TutorialError as exc:
        click.echo(printable(str(exc)), err=True)
        sys.exit(2)
    (output / "report.json").write_text(json.dumps(found, indent=2))
    click.echo(printable(f"{as_text(found)}\n{found['verdict']}: {found['why']}"))
    click.echo(f"{output / 'report.html'}, {output / 'report.json'}")
    sys.exit(0 if found["phase"] == "Succeeded" else 1)


def preflight(context: str, namespace: str | None = None) -> None:
    """Show what a cluster lacks and what will be created there, before anything is. Raises NotReady."""
    from canary_tutorial import connect

    found = connect(context, namespace=namespace, show=False).preflight()
    click.echo(repr(found), err=True)
    found.require()


@contextmanager
def lab_for(
    name: str, keep: bool = False, context: str = "", namespace: str | None = None
) -> Iterator[Callable[[], float]]:
    """A lab for a while, and where notebooks look for one; yields a function that tells its peak memory in MB.

    Where another cluster is named (`context`, or CANARY_TUTORIAL_CONTEXT), that is used, after a
    preflight, and no lab is started.
    """
    from canary_tutorial.connection import CONTEXT, LAB
    from canary_tutorial.reports.pss import PeakMemory

    if context := context or os.environ.get(CONTEXT, ""):
        preflight(context, namespace)
        yield lambda: 0.0
        return
    if described(name)["running"]:
        raise CommandFailed(f"the lab {name!r} runs already", "Name another: --name NAME")
    if lab("up", "--name", name):
        raise CommandFailed("The lab did not start, so no lesson ran.", "canary-tutorial check")
    os.environ[LAB] = name
    try:
        with PeakMemory(described(name)["processes"][0]["pid"]) as peak:
            yield lambda: peak.mb
    finally:
        if not keep:
            lab("down", "--name", name)


def described(name: str) -> dict[str, Any]:
    """What `status --json` says of a lab."""
    words = [sys.executable, "-m", "canary_tutorial.lab", "status", "--json", "--name", name]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if not ended.stdout:
        raise CommandFailed(ended.stderr.strip())
    return dict(json.loads(ended.stdout))


def parameters_of(parameters: tuple[tuple[str, str], ...], books: list[Path]) -> dict[Path, dict[str, Any]]:
    """For each notebook those of the given parameters that it has, read as YAML. One that none of them has is a mistake."""
    import yaml

    from canary_tutorial.reports import notebooks

    if not parameters:
        return {book: {} for book in books}
    given = {name: yaml.safe_load(value) for name, value in parameters}
    has = {book: notebooks.parameters(book) for book in books}
    everything = set().union(*has.values())
    if unknown := sorted(given.keys() - everything):
        names = ", ".join(sorted(everything)) or "none"
        raise click.BadParameter(f"no parameter {', '.join(unknown)} here. There are: {names}.", param_hint="-p")
    return {book: {name: value for name, value in given.items() if name in has[book]} for book in books}


if __name__ == "__main__":
    main()
