"""Writes log lines in Flagger's formats, on standard error: a JSON object each, or words between tabs. I/O: stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from canary_tutorial.flagger.golang import timestamp

ENCODINGS = ("json", "console")
LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3}


class Logger:
    """Writes lines at or above `level`."""

    def __init__(self, level: str = "debug", stream: TextIO | None = None, encoding: str = "json") -> None:
        self._least, self._stream = LEVELS.get(level, 1), stream or sys.stderr
        self._console = encoding == "console"

    def log(self, level: str, message: str, **more: Any) -> None:
        if LEVELS[level] < self._least:
            return
        ts = timestamp(datetime.now(UTC), "milliseconds")
        line = {"level": level, "ts": ts, "caller": "flagger", "msg": message}
        if self._console:
            text = "\t".join([ts, level, "flagger", message, *([_json(more)] if more else [])])
        else:
            text = _json(line | more)
        self._stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        self._stream.flush()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
