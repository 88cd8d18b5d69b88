"""A run is recorded, shown as a table, and decided anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flagger_world import NS, World, canary, podinfo

from canary_tutorial.flagger import recording, replay, rules
from canary_tutorial.flagger.effects import Emit, Refused, Value
from canary_tutorial.flagger.trace import Step, row


class Recorded(World):
    """A world that keeps its ticks as a controller does."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(*objects)
        self.steps: list[Step] = []
        self.lines: list[str] = []

    def _perform(self, effect: Any) -> Any:
        try:
            answer = super()._perform(effect)
        except Refused as refused:
            self.steps.append(Step(effect, None, refused))
            raise
        self.steps.append(Step(effect, answer))
        return answer

    def tick(self, times: int = 1) -> list[str]:
        said: list[str] = []
        for _ in range(times):
            self.steps, began = [], self.now
            said += super().tick()
            self.lines.append(recording.line(self.name, NS, self.settings, began, self.steps))
        return said


@pytest.fixture
def run() -> Recorded:
    """A release that fails at its second step."""
    gate = {"name": "smoke", "type": "rollout", "url": "http://gates/"}
    world = Recorded(podinfo(), canary({"mirror": True, "webhooks": [gate]}))
    world.initialized().set_image("podinfo:2")
    world.tick(3)
    world.values["request-success-rate"] = Value(50.0)
    world.until("Failed")
    return world


def test_a_recording_decides_as_the_run_did(run: Recorded):
    rows = replay.rows(run.lines)
    assert [each["phase"] for each in rows][-3:] == ["Progressing", "Progressing", "Failed"]
    assert [event["message"] for each in rows for event in each["events"]] == [event.message for event in run.emitted]


def test_a_row_says_what_was_seen_and_done(run: Recorded):
    found = replay.rows(run.lines)[-2]
    assert (found["canary"], found["phase"], found["failedChecks"]) == ("podinfo.test", "Progressing", 2)
    assert (found["primary"], found["canary_weight"], found["mirrored"]) == (80, 20, False)
    (check,) = found["checks"]
    assert (check["metric"], check["value"], check["threshold"]) == ("request-success-rate", 50.0, ">= 99")
    assert check["query"].startswith(" sum( rate( istio_requests_total{")
    assert check["verdict"] == "Halt podinfo.test advancement success rate 50.00% < 99%"
    assert found["hooks"] == [{"name": "smoke", "type": "rollout", "error": None}]
    assert found["events"] == [{"type": "Warning", "message": check["verdict"]}]


def test_the_row_of_a_canary_that_is_not_there():
    seen = row("podinfo", NS, World().now, [])
    assert (seen["phase"], seen["events"]) == ("", [])


def test_an_answer_is_kept_as_it_was_given_also_where_the_tick_makes_cookies():
    world = Recorded(podinfo(), canary({"sessionAffinity": {"cookieName": "canary"}}))
    world.released()
    world.tick()
    assert world.status["sessionAffinityCookie"]
    (first, *_) = json.loads(world.lines[-1])["steps"]
    assert first["effect"][:2] == ["Get", "Canary"]
    assert "sessionAffinityCookie" not in first["answer"]["status"]
    assert replay.rows(world.lines)[-1]["canary_weight"] == 20


def test_rules_that_decide_otherwise_are_found_out(run: Recorded, monkeypatch: pytest.MonkeyPatch):
    def louder(canary: Any, type_: str, message: str, phase: str = "", level: str = "info") -> Emit:
        return Emit(canary, type_, message.upper(), phase, level)

    monkeypatch.setattr(rules, "Emit", louder)
    with pytest.raises(recording.Differs, match=r"tick 1 of podinfo.test: step \d+: .*PODINFO-PRIMARY"):
        replay.rows(run.lines)


def test_the_command_prints_a_table(run: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(run.lines) + "\n")
    assert replay.main([str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["TICK", "TIME", "CANARY", "PHASE", "WEIGHTS", "MIRROR", "FAILED"]
    assert any(line.split()[-3:] == ["100/0", "yes", "0"] for line in said)
    assert any("request-success-rate: 50, threshold >= 99, over 30s: FAILED" in line for line in said)
    assert replay.main([str(path), "--json"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == len(run.lines)


def test_a_file_that_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "x"
    path.write_text("hello\n")
    assert replay.main([str(path)]) == 2
    assert "is not a recording" in capsys.readouterr().err
