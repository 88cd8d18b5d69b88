"""The controller's process: `python -m canary_tutorial.flagger -mesh-provider=istio ...`, with Flagger's own flags.

Flagger raises analysis intervals below 10s to 10s; FLAGGER_MIN_ANALYSIS_INTERVAL (say, 1s) lowers that minimum for lessons.
FLAGGER_TRACE=1 logs one line per tick with its data (see `trace.py`). FLAGGER_RECORD names a file for a recording of the
ticks (see `recording.py`), which `python -m canary_tutorial.flagger.replay` prints and runs through the rules again.
"""

from __future__ import annotations

import asyncio
import sys

from canary_tutorial.flagger.flags import VERSION, parsed


def main(words: list[str] | None = None) -> int:
    flags = parsed(words)
    if isinstance(flags, int):
        return flags
    if flags.switch("version"):
        print(f"Flagger version: {VERSION} revision canary_tutorial")
        return 0
    from canary_tutorial.flagger.startup import run  # -h and -version need no client

    return asyncio.run(run(flags))


if __name__ == "__main__":
    sys.exit(main())
