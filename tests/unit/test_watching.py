"""A release being watched, from the objects that its watches bring; and what is shown where there is no cluster."""

from types import SimpleNamespace
from typing import Any

import pytest

from canary_tutorial.errors import TutorialError, Unreachable
from canary_tutorial.release.canary import Canary
from canary_tutorial.release.release import Release


def watched(image: str, runs: str) -> Release:
    """A release of `image` where Flagger notices `runs`, as the Canary's watch tells it."""
    canary: Any = SimpleNamespace(
        name="podinfo", namespace="test", target="podinfo", spec={}, window="3s", image=lambda: runs
    )
    release = Release(canary, image, "podinfo:2.0.0", [])
    release._objects = {}
    status = {"phase": "Progressing", "lastAppliedSpec": "one"}
    release._observe("canaries", {"spec": {"targetRef": {"name": "podinfo"}}, "status": status})
    return release


def test_a_release_is_told_that_flagger_only_noticed_the_one_that_came_after_it():
    with pytest.raises(TutorialError, match=r"podinfo:2.1.1 was superseded[^→]*→ canary-tutorial trace podinfo"):
        watched("podinfo:2.1.1", runs="podinfo:2.1.2")
    assert watched("podinfo:2.1.1", runs="podinfo:2.1.1").phase == "Progressing"


def test_a_board_that_waits_for_the_next_release_learns_its_version():
    assert repr(watched("", runs="stefanprodan/podinfo:2.1.2")).startswith("<Release podinfo:2.0.0 → podinfo:2.1.2: ")


def test_a_canary_that_cannot_be_asked_is_shown_with_the_reason():
    def find(*_words: object) -> None:
        raise Unreachable("https://127.0.0.1:1 does not answer", "Is it still running?")

    shown = repr(Canary(SimpleNamespace(get_or_none=find), "podinfo", "test", lambda: None))
    assert shown == "<Canary podinfo: https://127.0.0.1:1 does not answer\n→ Is it still running?>"


def test_a_mistake_in_the_watching_ends_it_and_is_raised_where_the_release_is_followed(monkeypatch: pytest.MonkeyPatch):
    release = watched("podinfo:2.1.1", runs="podinfo:2.1.1")
    broken = iter([("MODIFIED", {"status": "not a map"})])
    monkeypatch.setattr(release.canary, "cluster", SimpleNamespace(watch=lambda *_: broken), raising=False)
    release._watch("canaries", "podinfo")
    with pytest.raises((AttributeError, TypeError, KeyError)):
        list(release)


def test_a_mistake_in_the_listening_ends_it_too(monkeypatch: pytest.MonkeyPatch):
    release = watched("podinfo:2.1.1", runs="podinfo:2.1.1")
    monkeypatch.setattr(release.canary, "cluster", None, raising=False)
    monkeypatch.setattr("canary_tutorial.release.flagger_log.log", lambda *_words, **_more: iter([None]))
    release._listen()
    with pytest.raises(TypeError):
        list(release)
