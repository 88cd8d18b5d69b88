"""Writes log lines in Flagger's format: one JSON object each, on standard error. I/O: stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from canary_tutorial.flagger.golang import timestamp

LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3}


class Logger:
    """Writes lines at or above `level`."""

    def __init__(self, level: str = "debug", stream: TextIO | None = None) -> None:
        self._least, self._stream = LEVELS.get(level, 1), stream or sys.stderr

    def log(self, level: str, message: str, **more: Any) -> None:
        if LEVELS[level] < self._least:
            return
        ts = timestamp(datetime.now(UTC), "milliseconds")
        line = {"level": level, "ts": ts, "caller": "flagger", "msg": message, **more}
        text = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        self._stream.write(text + "\n")
        self._stream.flush()
