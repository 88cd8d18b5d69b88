"""Events as client-go's recorder merges them, and their texts' way to the log."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from flagger_world import World, canary, podinfo

from canary_tutorial.flagger.events import Correlator
from canary_tutorial.flagger.logs import Logger

COMBINED = "(combined from similar events): "


class Clock:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)


def tell(correlator: Correlator, *messages: str, type_: str = "Normal", gap: float = 30) -> list[dict[str, Any] | None]:
    """Tell them with `gap` seconds after each."""
    found = []
    for message in messages:
        found.append(correlator.told(canary(), type_, message, Clock.now))
        Clock.now += timedelta(seconds=gap)
    return found


def test_an_event_names_its_canary():
    (event,) = tell(Correlator(), "hello")
    assert event is not None
    assert event["metadata"]["name"].startswith("podinfo.")
    assert event["metadata"]["namespace"] == "test"
    assert event["involvedObject"]["kind"] == "Canary"
    assert event["involvedObject"]["apiVersion"] == "flagger.app/v1beta1"
    assert event["involvedObject"]["uid"] == "uid-podinfo"
    assert (event["reason"], event["source"]) == ("Synced", {"component": "flagger"})
    assert (event["count"], event["type"], event["message"]) == (1, "Normal", "hello")
    assert event["firstTimestamp"] == event["lastTimestamp"]


def test_the_same_event_again_raises_its_count():
    first, _, third = tell(Correlator(), "a", "a", "a")
    assert first is not None
    assert third is not None
    assert [first["count"], third["count"]] == [1, 3]
    assert first["metadata"]["name"] == third["metadata"]["name"]
    assert first["firstTimestamp"] == third["firstTimestamp"] < third["lastTimestamp"]


def test_from_the_tenth_text_on_events_are_combined_into_one():
    events = tell(Correlator(), *"abcdefghijkl")
    messages = [event["message"] for event in events if event]
    assert messages == [*"abcdefghi", COMBINED + "j", COMBINED + "k", COMBINED + "l"]
    assert [event["count"] for event in events[9:] if event] == [1, 2, 3]
    assert len({event["metadata"]["name"] for event in events if event}) == 10


def test_texts_that_are_known_keep_their_own_event_after_the_tenth():
    correlator = Correlator()
    tell(correlator, *"abcdefghij")
    (again,) = tell(correlator, "a")
    assert again is not None
    assert (again["message"], again["count"]) == ("a", 2)


def test_normal_and_warning_are_counted_apart():
    correlator = Correlator()
    tell(correlator, *"abcdefghi")
    (warning,) = tell(correlator, "j", type_="Warning")
    assert warning is not None
    assert warning["message"] == "j"


def test_ten_quiet_minutes_begin_anew():
    correlator = Correlator()
    tell(correlator, *"abcdefghi")
    tell(correlator, "x", gap=601)
    (event,) = tell(correlator, "y")
    assert event is not None
    assert event["message"] == "y"


def test_an_object_says_25_things_at_once_and_then_one_in_five_minutes():
    correlator = Correlator()
    events = tell(correlator, *["a"] * 30, gap=0)
    assert sum(event is not None for event in events) == 25
    tell(correlator, "a", gap=300)
    (event,) = tell(correlator, "a", gap=0)
    assert event is not None
    assert event["count"] == 32
    assert tell(correlator, "a", gap=0) == [None]


def test_an_object_has_25_warnings_beside_25_normal_events():
    correlator = Correlator()
    for type_ in ("Normal", "Warning"):
        events = tell(correlator, *["a"] * 26, type_=type_, gap=0)
        assert [event is not None for event in events] == [True] * 25 + [False]


def test_a_first_release_soon_after_the_start_ends_in_combined_events():
    world, correlator = World(podinfo(), canary({"mirror": True})), Correlator()
    world.initialized().set_image("podinfo:2")
    world.until("Succeeded")
    told = [correlator.told(event.canary, event.type, event.message, world.now) for event in world.emitted]
    messages = [event["message"] for event in told if event and event["type"] == "Normal"]
    assert messages[-2:] == [
        COMBINED + "Routing all traffic to primary",
        COMBINED + "Promotion completed! Scaling down podinfo.test",
    ]


def test_what_was_told_of_a_canary_is_forgotten_with_it():
    correlator = Correlator()
    tell(correlator, *"abc")
    assert len(correlator._told) == 1
    correlator.forget("uid-podinfo")
    assert len(correlator._told) == 0


def test_log_lines_are_json_from_their_level_on():
    stream = io.StringIO()
    logger = Logger("info", stream)
    logger.log("debug", "no")
    logger.log("info", "yes", canary="podinfo.test")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["msg"], entry["canary"]) == ("info", "yes", "podinfo.test")
    assert entry["ts"].endswith("Z")


def test_log_lines_for_people_have_tabs_between_their_parts():
    stream = io.StringIO()
    logger = Logger("info", stream, "console")
    logger.log("info", "yes", canary="podinfo.test")
    logger.log("warn", "no")
    first, second = (line.split("\t") for line in stream.getvalue().splitlines())
    assert first[1:] == ["info", "flagger", "yes", '{"canary": "podinfo.test"}']
    assert second[1:] == ["warn", "flagger", "no"]
    assert datetime.fromisoformat(first[0])
