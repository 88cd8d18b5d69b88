"""A recording of ticks: per tick one line of JSON with every effect that the rules yielded, and its answer. Pure.

    {"time": "...", "name": "podinfo", "namespace": "test", "settings": {...},
     "steps": [{"effect": ["Get", "Canary", "podinfo", "test"], "answer": {...}}, ...]}

The controller writes one when FLAGGER_RECORD names a file, readable by its owner alone, since it contains tracked Secrets.
These answers are the rules' only input, so `replayed` runs the rules on them again, on any machine and after any change
of the rules, and reports where they now decide otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from canary_tutorial.flagger import effects
from canary_tutorial.flagger.effects import Effect, Obj, Refused, Value
from canary_tutorial.flagger.rules import advance
from canary_tutorial.flagger.spec import Settings
from canary_tutorial.flagger.trace import Step


class Differs(Exception):
    """The rules no longer do what was recorded."""


def line(name: str, namespace: str, settings: Settings, began: datetime, steps: list[Step]) -> str:
    """A tick for the file."""
    record = {
        "time": began.isoformat(),
        "name": name,
        "namespace": namespace,
        "settings": asdict(settings),
        "steps": [_as_json(step) for step in steps],
    }
    return json.dumps(record, separators=(",", ":"))


def _as_json(step: Step) -> Obj:
    written: Obj = {"effect": _effect(step.effect)}
    if step.refused is not None:
        return written | {"refused": step.refused.message, "missing": step.refused.missing}
    if step.answer is not None:
        written["answer"] = _answer(step.answer)
    return written


def _effect(effect: Effect) -> list[Any]:
    """Its name and fields. What was read before, the Canary and credentials, is left out."""
    fields = [None if field in ("canary", "credentials") else value for field, value in effect._asdict().items()]
    return [type(effect).__name__, *json.loads(json.dumps(fields, default=dict))]


def _answer(answer: Any) -> Any:
    if isinstance(answer, datetime):
        return answer.isoformat()
    return answer._asdict() if isinstance(answer, Value) else answer


def tick_of(text: str) -> tuple[str, str, datetime, Settings, list[Obj]]:
    """A line of the file: name, namespace, time, settings, steps as written."""
    record = json.loads(text)
    settings: Obj = {
        key: tuple(value) if isinstance(value, list) else value for key, value in record["settings"].items()
    }
    began = datetime.fromisoformat(record["time"])
    return record["name"], record["namespace"], began, Settings(**settings), record["steps"]


def replayed(name: str, namespace: str, settings: Settings, written: list[Obj]) -> list[Step]:
    """The rules' steps on recorded answers; raises Differs at the first effect that is another one."""
    rules = advance(name, namespace, settings)
    steps: list[Step] = []
    answer: Any = None
    refused: Refused | None = None
    for number, expected in enumerate([*written, None]):
        try:
            effect = rules.throw(refused) if refused else rules.send(answer)
        except StopIteration:
            if expected is not None:
                raise Differs(f"step {number}: the tick ends, where {expected['effect'][:2]} followed") from None
            break
        if expected is None or _effect(effect) != expected["effect"]:
            before = "the end" if expected is None else json.dumps(expected["effect"])
            raise Differs(f"step {number}: {json.dumps(_effect(effect))}, where there was {before}")
        refused = Refused(expected["refused"], expected["missing"]) if "refused" in expected else None
        answer = _decoded(effect, expected.get("answer"))
        steps.append(Step(effect, answer, refused))
    return steps


def _decoded(effect: Effect, answer: Any) -> Any:
    if isinstance(effect, effects.Now):
        return datetime.fromisoformat(answer)
    return Value(**answer) if isinstance(effect, effects.Query) and answer is not None else answer
