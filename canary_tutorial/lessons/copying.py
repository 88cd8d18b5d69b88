"""Copies the lessons to the reader's folder, and never overwrites a notebook that the reader has changed.

The file COPIED there has each notebook's checksum at the time of the copy. A notebook that still has it is replaced when
a newer version of the package is installed. I/O: files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from canary_tutorial.errors import BadInput
from canary_tutorial.shipped import folder

COPIED = ".canary-tutorial.json"


def copy_lessons(where: Path) -> list[str]:
    """Copy each notebook to `where`; returns the names of those that stay as the reader left them. Raises BadInput."""
    try:
        where.mkdir(parents=True, exist_ok=True)
        record = where / COPIED
        copied: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        kept = []
        for lesson in sorted(folder("notebooks").glob("*.ipynb")):
            content, target = lesson.read_bytes(), where / lesson.name
            if target.exists() and checksum(target.read_bytes()) not in (copied.get(lesson.name), checksum(content)):
                kept.append(lesson.name)
                continue
            target.write_bytes(content)
            copied[lesson.name] = checksum(content)
        record.write_text(json.dumps(copied, indent=1))
    except OSError as error:
        raise BadInput(
            f"cannot write to {where}: {error.strerror}", "canary-tutorial start ANOTHER-DIRECTORY"
        ) from error
    except ValueError as error:
        raise BadInput(f"{where / COPIED} is not what this command wrote", f"rm {where / COPIED}") from error
    return kept


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
