"""`python -m canary_tutorial.flagger.replay FILE`: prints recorded ticks as a table, and runs today's rules on them.

`--json` prints one object per tick (see `trace.py`) instead. Exit code 1: the rules decide otherwise than they did when
the ticks were recorded; 2: the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from canary_tutorial.flagger import recording, trace
from canary_tutorial.flagger.effects import Obj

HEAD = ("TICK", "TIME", "CANARY", "PHASE", "WEIGHTS", "MIRROR", "FAILED")
WIDTHS = (4, 8, 20, 16, 7, 6, 6)


def rows(lines: list[str]) -> list[Obj]:
    """The ticks of a recording; raises Differs, with the number of the tick."""
    found = []
    for number, text in enumerate(lines, 1):
        name, namespace, began, settings, written = recording.tick_of(text)
        try:
            steps = recording.replayed(name, namespace, settings, written)
        except recording.Differs as why:
            raise recording.Differs(f"tick {number} of {name}.{namespace}: {why}") from None
        found.append(trace.row(name, namespace, began, steps))
    return found


def told(number: int, row: Obj) -> str:
    """A tick for a terminal: its state, and below it its checks and events."""
    weights = f"{row['primary']}/{row['canary_weight']}" if "primary" in row else ""
    cells = (number, row["time"][11:19], row["canary"], row["phase"], weights, "yes" if row.get("mirrored") else "")
    lines = [columns(*cells, row["failedChecks"])]
    for check in row["checks"]:
        value = "no value" if check["value"] is None else f"{check['value']:.4g}"
        verdict = "passed" if check["verdict"] == "passed" else "FAILED"
        lines.append(f"{check['metric']}: {value}, threshold {check['threshold']}, over {check['interval']}: {verdict}")
        lines.append(check["query"])
    lines += [f"hook {hook['name']}: {hook['error'] or 'passed'}" for hook in row["hooks"]]
    lines += [f"{'! ' if event['type'] == 'Warning' else ''}{event['message']}" for event in row["events"]]
    return f"\n{'':15}".join(lines)


def columns(*cells: object) -> str:
    return "  ".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m canary_tutorial.flagger.replay", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object per tick")
    options = parser.parse_args(words)
    try:
        found = rows(options.file.read_text().splitlines())
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.file} is not a recording: {error}", file=sys.stderr)
        return 2
    except recording.Differs as why:
        print(why, file=sys.stderr)
        return 1
    if options.json:
        print("\n".join(json.dumps(row) for row in found))
    else:
        print("\n".join([columns(*HEAD), *(told(number, row) for number, row in enumerate(found, 1))]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
