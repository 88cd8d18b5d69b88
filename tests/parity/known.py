"""What is known to differ: both answers of each place, and the reason, in files.

`differences/NAME.yaml` pins a scenario's; `python -m parity.play pin` writes them. `reasons.yaml` says why, once for each
kind of difference: a reason is that of the places which its pattern matches.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]
PINS = Path(__file__).with_name("differences")
REASONS = Path(__file__).with_name("reasons.yaml")


def pinned(name: str) -> list[Obj]:
    path = PINS / f"{name}.yaml"
    return yaml.load(path.read_text(), yaml.CSafeLoader) if path.is_file() else []


def pin(name: str, found: list[Obj]) -> None:
    """These are the differences of a scenario from now on."""
    PINS.mkdir(exist_ok=True)
    path = PINS / f"{name}.yaml"
    if found:
        path.write_text(yaml.safe_dump(found, sort_keys=False, width=120, allow_unicode=True))
    else:
        path.unlink(missing_ok=True)


@cache
def reasons() -> list[Obj]:
    """Each {id, where, real?, ours?, says, todo}: `where` and the values' JSON are searched for these patterns."""
    found: list[Obj] = yaml.safe_load(REASONS.read_text())
    return found


def explained(difference: Obj) -> list[str]:
    """The ids of the reasons that fit a difference; it should be one."""
    return [reason["id"] for reason in reasons() if _fits(reason, difference)]


def _fits(reason: Obj, difference: Obj) -> bool:
    texts = {"where": difference["where"]} | {side: json.dumps(difference[side]) for side in ("real", "ours")}
    return all(re.search(reason[field], text) for field, text in texts.items() if field in reason)
