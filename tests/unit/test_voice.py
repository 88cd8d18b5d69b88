"""What Flagger's log says of a canary: its events, all of them, and nothing else."""

import json
from datetime import UTC, datetime

import pytest

from canary_tutorial.release.flagger_log import event_of_line
from canary_tutorial.release.timeline import Event


def line(msg: str, canary: str = "podinfo.test", level: str = "info") -> str:
    return json.dumps({"level": level, "ts": "2026-01-01T00:00:00.000Z", "msg": msg, "canary": canary})


@pytest.mark.parametrize(
    ("msg", "type_"),
    [
        ("New revision detected! Scaling up podinfo.test", "Normal"),
        ("Advance podinfo.test canary weight 20", "Normal"),
        ("Copying podinfo.test template spec to podinfo-primary.test", "Normal"),
        ("Promotion completed! Scaling down podinfo.test", "Normal"),
        ("Halt podinfo.test advancement success rate 90.00% < 99%", "Warning"),
        ("Halt advancement no values found for istio metric request-success-rate probably ...", "Warning"),
        ("Rolling back podinfo.test failed checks threshold reached 2", "Warning"),
        ("Canary failed! Scaling down podinfo.test", "Warning"),
        ("canary deployment podinfo.test not ready: waiting for rollout to finish: 0 of 1", "Warning"),
        ("podinfo-primary.test not ready: waiting for rollout to finish: 0 of 1", "Warning"),
    ],
)
def test_each_event_is_heard_with_its_type(msg: str, type_: str):
    assert event_of_line(line(msg), "podinfo", "test", 7.0) == Event(7.0, type_, msg)


@pytest.mark.parametrize(
    "msg",
    [
        "Scaling down Deployment podinfo.test",
        "Running mirror step 100/0/true",
        "Service podinfo.test created",
        "VirtualService podinfo.test updated",
        "Synced test/podinfo",
        "configmap settings has changed",
        "tick",
    ],
)
def test_what_is_only_logged_is_no_event(msg: str):
    assert event_of_line(line(msg), "podinfo", "test", 7.0) is None


def test_other_canaries_and_other_lines_are_not_heard():
    assert event_of_line(line("Advance other.test canary weight 20", canary="other.test"), "podinfo", "test", 0) is None
    assert event_of_line("panic: not JSON", "podinfo", "test", 0) is None
    assert event_of_line('["no", "object"]', "podinfo", "test", 0) is None


def test_what_was_said_before_the_release_is_not_heard():
    said = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    text = line("Advance podinfo.test canary weight 20")
    assert event_of_line(text, "podinfo", "test", said, since=said) is not None
    assert event_of_line(text, "podinfo", "test", said, since=said + 0.1) is None
