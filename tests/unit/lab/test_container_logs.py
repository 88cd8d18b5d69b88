"""Container logs: one line each, long ones in parts, both streams in order, and no log without end."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from canary_tutorial.lab.kubelet import logs


def write(path: Path, *chunks: bytes, stream: str = "stdout") -> list[tuple[str, str, str]]:
    """Let a program say something in these chunks; (stream, tag, text) of each line of its log."""

    async def run() -> None:
        reader, log = asyncio.StreamReader(limit=2**20), logs.Log(path)
        for chunk in chunks:
            reader.feed_data(chunk)
        reader.feed_eof()
        await log.drain(reader, stream)
        log.close()

    asyncio.run(run())
    found = []
    for line in path.read_text().splitlines():
        time, name, tag, text = line.split(" ", 3)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", time)
        found.append((name, tag, text))
    return found


@pytest.mark.parametrize(
    ("chunks", "texts"),
    [
        pytest.param([b"one\ntwo\n"], ["one", "two"], id="two lines at once"),
        pytest.param([b"o", b"ne\nt", b"wo\n"], ["one", "two"], id="lines in pieces"),
        pytest.param([b"one\nlast"], ["one", "last"], id="the last without its end"),
        pytest.param([b"one\n\ntwo\n"], ["one", "", "two"], id="an empty line"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_each_line_is_an_entry(tmp_path: Path, chunks: list[bytes], texts: list[str]) -> None:
    assert write(tmp_path / "app-0.log", *chunks) == [("stdout", "F", text) for text in texts]


def test_errors_are_marked_as_such(tmp_path: Path) -> None:
    assert write(tmp_path / "app-0.log", b"oops\n", stream="stderr") == [("stderr", "F", "oops")]


def test_a_line_without_end_comes_in_parts(tmp_path: Path) -> None:
    entries = write(tmp_path / "app-0.log", b"x" * (logs.LONGEST_LINE + 10))

    assert [(tag, len(text)) for _, tag, text in entries] == [("P", logs.LONGEST_LINE), ("F", 10)]


def test_a_long_log_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST", 100)

    write(tmp_path / "app-0.log", *(b"x" * 70000 + b"\n", b"after\n"))

    assert (tmp_path / "app-0.part").stat().st_size > 100
    assert (tmp_path / "app-0.log").stat().st_size <= 100
