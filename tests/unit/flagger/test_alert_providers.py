"""Alerts on their way: who is looked up, what is posted where, and what the log says where it cannot be."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import pytest
from fake_kube import FakeKube
from flagger_world import canary

from canary_tutorial.flagger import chats
from canary_tutorial.flagger.alerts import alert
from canary_tutorial.flagger.logs import Logger
from canary_tutorial.flagger.metrics import Recorder
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.spec import Canary

Obj = dict[str, Any]
FLAGS = {"spec": {"type": "slack", "address": "http://flags/", "channel": "general", "username": "flagger"}}


def named(kind: str, name: str, namespace: str = "test", **more: Any) -> Obj:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


CHAT = named("AlertProvider", "chat", spec={"type": "slack", "address": "http://chat/"})
HIDDEN = named("AlertProvider", "chat", spec={"type": "slack", "secretRef": {"name": "url"}})


def told(monkeypatch: pytest.MonkeyPatch, wanted: list[Obj], *objects: Obj, severity: str = "error") -> tuple[Any, Any]:
    """Where an alert is posted, and what the log says."""
    posted: list[tuple[str, str]] = []

    async def post(http: Any, url: str, content: Obj, token: str = "") -> None:
        posted.append((url, content["attachments"][0]["text"]))

    async def main() -> None:
        kube = FakeKube()
        for obj in objects:
            kube.put(obj)
        performer = Performer(kube, Recorder("1.44.0", "istio"), Logger("info", said), "", notifier=FLAGS)  # type: ignore[arg-type]
        c = Canary(canary({"alerts": wanted}))
        await performer.drive(alert(c, "it broke", severity, metadata=False), "podinfo", "test")

    said = io.StringIO()
    monkeypatch.setattr(chats, "post", post)
    asyncio.run(main())
    return posted, [json.loads(line)["msg"] for line in said.getvalue().splitlines()]


def on(severity: str, **reference: str) -> Obj:
    return {"name": "on-call", "severity": severity, "providerRef": {"name": "chat", **reference}}


def test_a_canary_without_alerts_tells_the_one_of_the_flags(monkeypatch: pytest.MonkeyPatch):
    assert told(monkeypatch, []) == ([("http://flags/", "it broke")], [])


def test_each_alert_tells_its_own_provider_if_the_severity_is_its(monkeypatch: pytest.MonkeyPatch):
    shared = named("AlertProvider", "chat", "shared", spec={"type": "slack", "address": "http://shared/"})
    wanted = [on("error"), on("warn"), on("info", namespace="shared")]
    posted, _ = told(monkeypatch, wanted, CHAT, shared)
    assert [url for url, _ in posted] == ["http://chat/", "http://chat/", "http://shared/"]
    posted, _ = told(monkeypatch, wanted, CHAT, shared, severity="warn")
    assert [url for url, _ in posted] == ["http://chat/", "http://shared/"]
    posted, _ = told(monkeypatch, wanted, CHAT, shared, severity="info")
    assert [url for url, _ in posted] == ["http://shared/"]


@pytest.mark.parametrize("odd", [None, "chat", {"severity": "error", "providerRef": "chat"}])
def test_an_alert_that_cannot_be_read_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, odd: Any):
    posted, _ = told(monkeypatch, [odd, on("error")], CHAT)
    assert posted == [("http://chat/", "it broke")]


def test_a_secret_can_hold_the_address(monkeypatch: pytest.MonkeyPatch):
    secret = named("Secret", "url", data={"address": base64.b64encode(b"http://secret/").decode()})
    assert told(monkeypatch, [on("error")], HIDDEN, secret)[0] == [("http://secret/", "it broke")]


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        ([], 'error: alertprovider.flagger.app "chat" not found'),
        ([HIDDEN], 'secretRef error: secrets "url" not found'),
        (
            [named("AlertProvider", "chat", spec={"type": "generic", "address": "http://chat/"})],
            "error: provider generic not supported",
        ),
        ([HIDDEN, named("Secret", "url", data={})], "secret does not contain an address"),
    ],
    ids=["no-provider", "no-secret", "unknown-type", "empty-secret"],
)
def test_who_cannot_be_told_is_in_the_log(monkeypatch: pytest.MonkeyPatch, objects: list[Obj], text: str):
    assert told(monkeypatch, [on("error")], *objects) == ([], [f"alert provider chat.test {text}"])
