"""Events: repeated ones are counted, similar ones combined, old ones forgotten."""

from __future__ import annotations

import pytest
from controller_objects import Obj, pod

from canary_tutorial.lab import events
from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.events import Recorder
from canary_tutorial.lab.kinds import EVENTS, NAMESPACES
from canary_tutorial.lab.store import Store

POD = pod("a")


@pytest.fixture
def store() -> Store:
    made = Store(KINDS)
    made.create(NAMESPACES, {"metadata": {"name": "test"}})
    return made


def told(store: Store) -> list[tuple[str, int]]:
    return [(event["message"], event["count"]) for event in store.list(EVENTS)]


def record(recorder: Recorder, message: str, about: Obj = POD) -> None:
    recorder.record(about, "Normal", "Created", message, "kubelet")


def test_an_event_says_what_about_and_by_whom(store: Store) -> None:
    record(Recorder(store), "hello")

    [event] = store.list(EVENTS)
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Created", "hello")
    assert event["involvedObject"]["uid"] == POD["metadata"]["uid"]
    assert event["source"] == {"component": "kubelet"}
    assert event["firstTimestamp"] == event["lastTimestamp"]


def test_the_same_again_is_counted(store: Store) -> None:
    recorder = Recorder(store)
    for message in ("one", "two", "one", "one"):
        record(recorder, message)

    assert sorted(told(store)) == [("one", 3), ("two", 1)]


def test_many_similar_ones_are_combined(store: Store) -> None:
    recorder = Recorder(store)
    for number in range(13):
        record(recorder, f"pod {number}")
    record(recorder, "pod 3")
    record(recorder, "another object's", pod("b"))

    found = dict(told(store))
    assert len(found) == 12
    assert found["(combined from similar events): pod 12"] == 3
    assert found["pod 3"] == 2
    assert found["another object's"] == 1


def test_old_ones_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEPT", 3)
    recorder = Recorder(store)
    for number in range(5):
        record(recorder, f"{number}", pod(f"p{number}"))

    assert sorted(message for message, _ in told(store)) == ["2", "3", "4"]


def test_nobody_is_told_in_a_namespace_that_is_gone(store: Store) -> None:
    store.delete(NAMESPACES, "test")

    record(Recorder(store), "too late")

    assert told(store) == []
