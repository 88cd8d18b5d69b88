"""The real Flagger's side of each scenario as files: `recorded/NAME.json`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from parity import checksums

Obj = dict[str, Any]
WHERE = Path(__file__).with_name("recorded")
VERSION = "1.44.0"


def read(name: str) -> Obj:
    """What the real Flagger did; empty if nobody recorded it."""
    return _whole(name).get("recording", {})  # type: ignore[no-any-return]


def date(name: str) -> str:
    """The day on which it did."""
    return str(_whole(name).get("date", ""))


def _whole(name: str) -> Obj:
    path = WHERE / f"{name}.json"
    found: Obj = json.loads(path.read_text()) if path.is_file() else {}
    return found


def write(found: dict[str, Obj]) -> None:
    """Keep what the real Flagger did just now."""
    WHERE.mkdir(exist_ok=True)
    for name, recording in found.items():
        whole = {"flagger": VERSION, "date": datetime.now(UTC).date().isoformat(), "recording": recording}
        (WHERE / f"{name}.json").write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    checksums.write(WHERE)
