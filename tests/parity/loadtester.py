"""Flagger's load tester beside ours: the same requests to both, the real one's answers as they were recorded, and ours
where they are known to differ.

`python -m parity.loadtester` (in `tests`, by `tools/alone`, with PARITY_REAL) records the real one's answers anew.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from parity import checksums
from parity.loadtester_cases import TOKEN, Request, cases

HERE = Path(__file__).parent
RECORDED = HERE / "recorded_loadtester"
DIFFERENCES = HERE / "loadtester_differences.yaml"
PROGRAM = "the load tester of Flagger 1.44.0"
OURS = (sys.executable, "-m", "canary_tutorial.flagger.loadtester", "-tasks-token-file=token")
PROGRAMS = ("bash", "sh", "sleep", "cat", "touch")  # all that a task finds, beside a kubectl: no helm
# A kubectl that says what it is given.
KUBECTL = '#!/bin/sh\nfor word; do echo "<$word>"; done\n[ "$1" != fail ]\n'
READY, ANSWERED = 60.0, 60.0  # seconds
Answers = dict[str, list[str]]  # of each case, one to a request: `403 Forbidden`


def real() -> tuple[str, ...]:
    return (str(Path(os.environ["PARITY_REAL"]) / "loadtester"),)


def answers(program: tuple[str, ...]) -> Answers:
    """What a load tester answers to all cases; a case with flags of its own has a load tester of its own."""
    with ExitStack() as running:
        ports: dict[str, int] = {}
        for flags in {case.flags for case in cases()}:
            ports[flags] = running.enter_context(serving([*program, *flags.split()]))
        return {
            case.name: [ask(ports[case.flags], request, case.headers) for request in case.requests] for case in cases()
        }


@contextmanager
def serving(command: list[str]) -> Iterator[int]:
    """A load tester in a directory of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "token").write_text(TOKEN)
        environment = {**os.environ, "PATH": str(programs(directory / "bin")), "LISTEN_ADDRESS": "127.0.0.1"}
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(
                [*command, f"-port={port}"], cwd=directory, env=environment, stderr=log, stdout=log
            )
        try:
            deadline = time.monotonic() + READY
            while ask(port, Request("GET", "/healthz")) != "200 OK":
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(READY)


def programs(directory: Path) -> Path:
    directory.mkdir()
    for name in PROGRAMS:
        (directory / name).symlink_to(shutil.which(name) or name)
    (directory / "kubectl").write_text(KUBECTL)
    (directory / "kubectl").chmod(0o755)
    return directory


def ask(port: int, request: Request, headers: bool = False) -> str:
    """The status and the text of the answer, between them its Content-Type if that is asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERED)
    try:
        body = iter([request.body]) if request.chunks else request.body
        connection.request(request.method, request.path, body, request.headers, encode_chunked=request.chunks)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it had its answer before it had read all
    except OSError:
        return "no connection"
    try:
        answer = connection.getresponse()
        text = answer.read().decode(errors="backslashreplace")
    except (OSError, http.client.HTTPException):
        return "no answer"
    finally:
        connection.close()
    kind = f" {answer.headers['Content-Type'] or 'without a Content-Type'}:" if headers else ""
    place = f" {where}" if (where := answer.headers["Location"]) else ""
    return f"{answer.status}{place}{kind} {shortened(text)}".rstrip(" ")


def shortened(text: str) -> str:
    """Of metrics, whose they are: their values are never the same. Of Python's own pages of an error, that it is one."""
    if text.startswith("<!DOCTYPE"):
        return "(a page)"
    families = re.findall(r"^# TYPE ([a-z]+)_", text, re.MULTILINE)
    return f"(metrics: {', '.join(sorted(set(families)))})" if families else text


def recorded() -> Answers:
    found: Answers = json.loads((RECORDED / "answers.json").read_text())["answers"]
    return found


def differences() -> dict[str, dict[str, Any]]:
    """By the name of the case: `ours`, the answers of ours, and the `reason`."""
    return yaml.safe_load(DIFFERENCES.read_text()) or {}


def record() -> None:
    given = answers(real())
    found = {"program": PROGRAM, "recorded": datetime.now(UTC).date().isoformat(), "answers": given}
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / "answers.json").write_text(json.dumps(found, indent=1) + "\n")
    checksums.write(RECORDED)


def rows() -> list[tuple[str, str, str, str]]:
    """For each case what was asked, the real one's answers, ours, and `equal` or why they are not: all from data."""
    found = []
    for name, answered in recorded().items():
        known = differences().get(name, {"ours": answered, "reason": "equal"})
        found.append((name, "; ".join(answered), "; ".join(known["ours"]), known["reason"]))
    return found


if __name__ == "__main__":
    record()
