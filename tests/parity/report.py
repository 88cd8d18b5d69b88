"""docs/parity.md: each scenario and each group of commands, ours, real, equal or the reason. From files alone.

cd tests; python -m parity.report > ../docs/parity.md
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from parity import loadtester, recorded
from parity.known import explained, pinned, reasons
from parity.kubectl import rows
from parity.scenarios import GROUPS, Scenario, name_of

Obj = dict[str, Any]
HEAD = """\
# Ours beside the real programs

This page is generated (`make parity`) from recorded answers; tests keep it true. It says where our controller and the
lab's API server do exactly what Flagger {version} and Kubernetes do, and where they do not.

- A *scenario* is played with our controller and with the real Flagger, on labs of the same kind. All that a controller
  does is compared: every status, event, VirtualService and DestinationRule that it writes, every webhook and alert
  that it sends, every query, and every object at the end. `make test` plays ours in virtual time and compares it with
  the recording of {date}; `make test-real` plays both live.
- What is unequal is pinned: a test knows both answers, and fails when either changes.
"""


def scenarios() -> Iterator[tuple[Scenario, list[str]]]:
    """Each scenario and the reasons why it is unequal."""
    for group in GROUPS:
        for scenario in group.scenarios:
            found = {reason for place in pinned(name_of(scenario)) for reason in explained(place)}
            yield scenario, sorted(found)


def sentence(scenario: Scenario) -> str:
    return " ".join((scenario.__doc__ or "").split())


def ends(scenario: Scenario) -> str:
    """How the real Flagger's releases ended: each phase in which a Canary came to rest, in order."""
    rest, found = ("Succeeded", "Failed", "Terminating"), []
    for statuses in recorded.read(name_of(scenario))["statuses"].values():
        phases = [phase for phase, _ in groupby(status.get("phase") or "no status" for status in statuses)]
        found += [phase for phase in phases if phase in rest] or phases[-1:]
    runs = [(phase, len(list(same))) for phase, same in groupby(found)]
    return ", ".join(phase if times == 1 else f"{times} times {phase}" for phase, times in runs)


def linked(ids: list[str], otherwise: str = "equal") -> str:
    return ", ".join(f"[{each}](#{each})" for each in ids) or otherwise


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def of_scenarios() -> Iterator[str]:
    played = list(scenarios())
    equal = sum(not why for _, why in played)
    yield f"## Flagger: {len(played)} scenarios, {equal} equal"
    yield table(
        ("scenario", "what is done", f"Flagger {recorded.VERSION}", "ours"),
        [(name_of(scenario), sentence(scenario), ends(scenario), linked(why)) for scenario, why in played],
    )
    where = {reason["id"]: [name_of(s) for s, why in played if reason["id"] in why] for reason in reasons()}
    if any(where.values()):
        yield "## What differs, and what is to be done"
    for reason in reasons():
        if found := where[reason["id"]]:
            yield f"### {reason['id']}"
            yield f"- The real one: {reason['says']}\n- To be done: {reason['todo']}\n- Seen in: {', '.join(found)}."


def of_loadtester() -> Iterator[str]:
    asked = loadtester.rows()
    unequal = [row for row in asked if row[3] != "equal"]
    yield f"## Load tester: {len(asked)} cases, {len(asked) - len(unequal)} equal"
    yield (
        "The same requests to ours and to the load tester of Flagger's own release. What is not marked as meant is to be"
        " mended in `canary_tutorial/flagger/loadtester.py`."
    )
    meant = {name for name, known in loadtester.differences().items() if known.get("meant")}
    yield table(
        ("case", "Flagger's answers", "ours", "why"),
        [
            (case, cell(real), cell(ours), f"{why} (Meant.)" if case in meant else why)
            for case, real, ours, why in unequal
        ],
    )


def of_kubectl() -> Iterator[str]:
    found, why = rows.rows(), rows.reasons()
    total, equal = sum(row.commands for row in found), sum(row.equal for row in found)
    yield f"## Kubernetes' API: {total} kubectl commands, {equal} equal"
    yield (
        "Sessions of kubectl with the answers of a real Kubernetes 1.32.4, compared letter by letter"
        " (`tests/parity/kubectl`)."
    )
    yield table(
        ("group", "commands", "equal", "the others"),
        [
            (row.group, row.commands, row.equal, linked(sorted({reason for _, reason in row.unequal}), ""))
            for row in found
        ],
    )
    for state in dict.fromkeys(reason.state for reason in why.values()):
        yield f"### kubectl: {state}"
        yield "\n".join(
            f'- <a id="{name}"></a>`{name}`: {reason.text} Seen in {places(name, found)}.'
            for name, reason in why.items()
            if reason.state == state
        )


def places(reason: str, found: list[rows.Row]) -> str:
    titles = [row.group for row in found if any(each == reason for _, each in row.unequal)]
    return ", ".join(titles)


def cell(text: str) -> str:
    return f"`{' '.join(text.split())}`"


def page() -> str:
    head = HEAD.format(version=recorded.VERSION, date=max(recorded.date(name_of(s)) for s, _ in scenarios()))
    return "\n\n".join([head.strip(), *of_scenarios(), *of_kubectl(), *of_loadtester()]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
