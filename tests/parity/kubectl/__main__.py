"""Writes the data files of this directory anew. In `tests/`:

python -m parity.kubectl pin       the lab's own answers, where they are not the recorded ones; a new pin gets
                                   the reason `?`, which you replace by one of reasons.toml
python -m parity.kubectl record    a real server's answers, with their checksums; the server must have controllers
                                   and nodes, and be this suite's own (README.md says how)
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from pathlib import Path

from parity import checksums
from parity.kubectl import servers, transcript
from parity.kubectl.session import Session
from parity.kubectl.transcript import Command

PINS = """\
The lab's own answers to commands of ../recorded/{name}.txt, each with the reason (../reasons.toml) why it differs.
Written by `python -m parity.kubectl pin`."""
RECORDS = """\
Answers of a real Kubernetes {server} to kubectl {client}, on {day}; its one node makes pods ready at once (../node.py).
Written by `python -m parity.kubectl record`; the commands and their marks are ours (../transcript.py says how to read them)."""


def pin(name: str, session: Session, server: servers.Server) -> int:
    old, new = transcript.pins(name), []
    for command, answer in session.answers(transcript.read(transcript.RECORDED / f"{name}.txt"), server.has):
        if answer != command.answer:
            reason = old[command.key].marks["reason"] if command.key in old else "?"
            new.append(Command(command.group, command.text, answer, {"reason": reason}))
    transcript.write(transcript.PINNED / f"{name}.txt", PINS.format(name=name), new)
    return len(new)


def record(name: str, session: Session, server: servers.Server) -> int:
    """Commands that this server cannot answer keep what they have."""
    version = json.loads(session.run("kubectl version -o json 2>/dev/null").stdout)
    commands = transcript.read(transcript.RECORDED / f"{name}.txt")
    answers = list(session.answers(commands, server.has))
    for command, answer in answers:
        command.answer = answer
    head = RECORDS.format(
        server=version["serverVersion"]["gitVersion"],
        client=version["clientVersion"]["gitVersion"],
        day=datetime.datetime.now(datetime.UTC).date(),
    )
    transcript.write(transcript.RECORDED / f"{name}.txt", head, commands)
    return len(answers)


def main(verb: str) -> None:
    at, do = {"pin": (servers.lab, pin), "record": (servers.real, record)}[verb]
    with tempfile.TemporaryDirectory() as directory, at(Path(directory)) as server:
        if verb == "record" and not server.has >= {"controllers", "nodes", "own"}:
            sys.exit(f"this server has only {sorted(server.has)}; recording from it would mix two clusters' answers")
        for name in transcript.NAMES:
            home = Path(directory) / name
            home.mkdir()
            print(f"{name}: {do(name, Session.at(home, server.kubeconfig), server)} answers written")
    if verb == "record":
        checksums.write(transcript.RECORDED)


if __name__ == "__main__":
    if sys.argv[1:] not in (["pin"], ["record"]):
        sys.exit(__doc__)
    main(sys.argv[1])
