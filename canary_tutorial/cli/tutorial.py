"""The command `canary-tutorial`: the lab's own commands passed on, and what one does with a canary from a shell.

Light on imports, so that `--help` answers at once. Errors that a reader can mend are one message and exit code 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from canary_tutorial.errors import CommandFailed, TutorialError
from canary_tutorial.screen.tables import printable

OUTPUT = Path("reports")
NOT_IN_LESSONS = "stefanprodan/podinfo:6.14.1"  # so that the report has something to release after them


class Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TutorialError as exc:
            click.echo(printable(str(exc)), err=True)
            ctx.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="canary-tutorial")
def main() -> None:
    """Learn progressive delivery by releasing: a lab to release in, lessons, and reports."""


def pass_on(name: str, text: str) -> None:
    """A command of the lab, run as a process of its own: output, input and exit code are its own."""

    @main.command(
        name,
        help=text,
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
    "up": "Start a lab in the background; returns when it is ready.",
    "check": "Tell which programs the lab finds on this machine, and how to get those that it does not.",
    "status": "Tell whether a lab runs, where, and what it takes.",
    "logs": "Print the log of a part of the lab.",
    "down": "End a lab and every process of it.",
}.items():
    pass_on(command, text)


@main.command()
@click.argument("lessons", nargs=-1)
@click.option("--name", default="tutorial", show_default=True, help="Name of the lab that is started for it.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, help="Where results go.")
@click.option(
    "-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A notebook's parameter."
)
@click.option("--keep", is_flag=True, help="Leave the lab running.")
def run(lessons: tuple[str, ...], name: str, output: Path, parameters: tuple[tuple[str, str], ...], keep: bool) -> None:
    """Run LESSONS (all of them and the report, if none is named) headless on a lab of their own, and sum up what came of them.

    Ends with 0 only if every cell ran and every release that should succeed did.
    """
    from canary_tutorial.reports import notebooks, summary

    everything = [*sorted(notebooks.home().glob("[0-9]*.ipynb")), notebooks.find("report")]
    books = [notebooks.find(lesson) for lesson in lessons] or everything
    with laboratory(name, keep) as peak:
        runs = []
        for book in books:
            click.echo(f"{book.stem}", err=True)
            own = {"image": NOT_IN_LESSONS} if book.stem == "report" else {}
            runs.append(notebooks.run(book, output, {**own, **literals(parameters)}))
    click.echo(printable(summary.text(runs, peak())))
    sys.exit(0 if summary.good(runs) else 1)


@main.command()
@click.argument("name", default="podinfo")
@click.option("-n", "--namespace", help="Where the Canary is.  [default: test]")
@click.option("--context", help="A context of your kubeconfig; without it, the lab.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per tick, for programs.")
@click.option("-f", "--follow", is_flag=True, help="Go on as more comes; Ctrl-C ends it.")
def trace(name: str, namespace: str | None, context: str | None, as_json: bool, follow: bool) -> None:
    """Show a canary's ticks: phase, weights, failed checks; each check with value, threshold and samples; events."""
    from canary_tutorial import connect
    from canary_tutorial.release import ticks as tracing

    canary = connect(context, namespace=namespace, show=False, start=False).canary(name)
    shown = 0
    if not as_json:
        click.echo(tracing.HEAD)
    while True:
        ticks = tracing.of_canary(canary)
        fresh = [(number, tick) for number, tick in tracing.worth_telling(ticks) if number > shown]
        tracing.count_samples([tick for _, tick in fresh], canary)
        for number, tick in fresh:
            click.echo(json.dumps({"tick": number, **tick}) if as_json else printable(tracing.text(number, tick)))
            shown = number
        if not follow:
            return
        time.sleep(1)


@main.command()
@click.option("--image", default="stefanprodan/podinfo:2.1.3", show_default=True, help="The version to release.")
@click.option("--faults", default="", help='podinfo\'s fault switches, e.g. "--random-error=true".')
@click.option("--context", default="", help="A context of your kubeconfig; else a lab is started.")
@click.option("--namespace", "-n", help="The only namespace that is written to.  [default: test]")
@click.option("--name", default="report", show_default=True, help="Name of the lab that is started for it.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, help="Where results go.")
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="interval, window.")
def report(
    image: str,
    faults: str,
    context: str,
    namespace: str | None,
    name: str,
    output: Path,
    parameters: tuple[tuple[str, str], ...],
) -> None:
    """Release once and write notebooks.html and notebooks.json, as one attaches them to a change request.

    Exit code 0: promoted. 1: rolled back. 2: the release could not be run.
    """
    from canary_tutorial.release.result import told
    from canary_tutorial.reports import notebooks as reports

    given = {
        "image": image, "faults": faults, "context": context, "namespace": namespace or "", **literals(parameters),
    }  # fmt: skip
    try:
        with laboratory(name, context=context, namespace=namespace):
            done = reports.run(reports.find("report"), output, given, code=False)
    except TutorialError as exc:
        click.echo(printable(str(exc)), err=True)
        sys.exit(2)
    found = done.results.get("report")
    if done.error or found is None:
        click.echo(printable(done.error) or "the report recorded nothing", err=True)
        sys.exit(2)
    (output / "report.json").write_text(json.dumps(found, indent=2))
    click.echo(printable(f"{told(found)}\n{found['verdict']}: {found['why']}"))
    click.echo(f"{output / 'report.html'}, {output / 'report.json'}")
    sys.exit(0 if found["phase"] == "Succeeded" else 1)


def preflight(context: str, namespace: str | None = None) -> None:
    """Show what a cluster lacks and what will be created there, before anything is. Raises NotReady."""
    from canary_tutorial import connect

    found = connect(context, namespace=namespace, show=False).preflight()
    click.echo(repr(found), err=True)
    found.require()


@contextmanager
def laboratory(
    name: str, keep: bool = False, context: str = "", namespace: str | None = None
) -> Iterator[Callable[[], float]]:
    """A lab for a while, and where notebooks look for one; yields a function that tells its peak memory in MB.

    Where another cluster is asked for (`context`, or CANARY_TUTORIAL_CONTEXT), that is used, after a
    preflight, and no lab is started.
    """
    from canary_tutorial.connection import CONTEXT, LAB
    from canary_tutorial.reports.pss import Peak

    if context := context or os.environ.get(CONTEXT, ""):
        preflight(context, namespace)
        yield lambda: 0.0
        return
    if lab("up", "--name", name):
        raise CommandFailed("no lab, no lessons: see the message above")
    os.environ[LAB] = name
    try:
        described = subprocess.run(
            [sys.executable, "-m", "canary_tutorial.lab", "status", "--json", "--name", name],
            capture_output=True,
            check=True,
        )
        with Peak(json.loads(described.stdout)["processes"][0]["pid"]) as peak:
            yield lambda: peak.mb
    finally:
        if not keep:
            lab("down", "--name", name)


def literals(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Parameters as Python or JSON would read them; what is neither is a text."""
    import yaml

    return {name: yaml.safe_load(value) for name, value in pairs}


if __name__ == "__main__":
    main()
