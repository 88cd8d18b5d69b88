"""Running programs in pods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from canary_tutorial.kube import exec as execution

POD = {"metadata": {"name": "podinfo-1", "namespace": "test"}}


class Session:
    """A session whose stdout brings these texts, one at a time."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.returncode, self.sock = list(texts), 0, SimpleNamespace(shutdown=lambda: None)

    def is_open(self) -> bool:
        return bool(self.texts)

    def update(self, timeout: float) -> None: ...

    def read_stdout(self, timeout: float) -> str:
        return self.texts.pop(0)

    def read_stderr(self, timeout: float) -> str:
        return ""

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("texts", "show", "said"),
    [
        pytest.param(("", "", "Summary\n"), True, True, id="silent until its end, as hey is"),
        pytest.param(("first\n", "", "second\n"), True, False, id="prints as it goes"),
        pytest.param(("first\n", "", "second\n"), False, True, id="not shown"),
    ],
)
def test_a_silent_program_is_said_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, texts: tuple[str, ...], show: bool, said: bool
):
    monkeypatch.setattr("canary_tutorial.screen.progress.StatusLine.elapsed", property(lambda self: 3.0))
    monkeypatch.setattr(execution, "_session", lambda *_: Session(*texts))
    assert execution.run(SimpleNamespace(), POD, "podinfod", ["hey", "-z", "9s"], show) == "".join(texts)  # type: ignore[arg-type]
    assert ("hey runs in podinfo-1" in capsys.readouterr().err) is said
