"""Calling webhooks and posting alerts, against a local server that answers as told."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from fake_kube import FakeKube
from flagger_world import canary

from canary_tutorial.flagger import alerts, chats, webhooks
from canary_tutorial.flagger.effects import Alert, Refused
from canary_tutorial.flagger.trouble import why


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses in `plan`, the last one for ever, and remembers what it got."""

    def __init__(self) -> None:
        self.plan: list[int] = [200]
        self.text, self.delay = "the body", 0.0
        self.got: list[tuple[str, Any, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that give up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.got.append((self.path, body, dict(self.headers)))
        if server.delay:
            threading.Event().wait(server.delay)
        status = server.plan.pop(0) if len(server.plan) > 1 else server.plan[0]
        data = b"" if status == 204 else server.text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(work: Callable[[webhooks.Clients], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        clients = webhooks.Clients()
        try:
            return await work(clients)
        finally:
            await clients.close()

    return asyncio.run(main())


def call(receiver: Receiver, **hook: Any) -> str | None:
    obj = canary()
    hook = {"name": "gate", "url": receiver.url, **hook}
    body = webhooks.payload(obj, "Progressing", hook.get("metadata"))
    found: str | None = run(lambda clients: webhooks.call(clients, hook, body))
    return found


@pytest.mark.parametrize("status", [200, 201, 202])
def test_yes(receiver: Receiver, status: int):
    receiver.plan = [status]
    assert call(receiver) is None


@pytest.mark.parametrize(
    ("status", "text"),
    [(203, "the body"), (204, ""), (400, "the body"), (403, "the body"), (501, "the body")],
)
def test_no_with_the_answers_body(receiver: Receiver, status: int, text: str):
    receiver.plan = [status]
    assert call(receiver, retries=2) == text
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_no_without_the_body_after_giving_up(receiver: Receiver, status: int):
    receiver.plan = [status]
    assert call(receiver) == f"POST {receiver.url} giving up after 1 attempt(s)"


def pauses(waits: list[float]) -> Callable[[float], Awaitable[None]]:
    """A sleep that takes no time, and says how long it would have been."""
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    return sleep


def test_retries_wait_and_count(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    monkeypatch.setattr(webhooks.asyncio, "sleep", pauses(waits))
    receiver.plan = [500] * 3 + [200]
    assert call(receiver, retries=3) is None
    assert [wait for wait in waits if wait] == [1.0, 2.0, 4.0]
    receiver.plan = [503]
    assert call(receiver, retries=1) == f"POST {receiver.url} giving up after 2 attempt(s)"


def test_nobody_there(receiver: Receiver):
    url = "http://127.0.0.1:1/hook"
    error = call(receiver, url=url)
    assert (
        error
        == f'POST {url} giving up after 1 attempt(s): Post "{url}": dial tcp 127.0.0.1:1: connect: connection refused'
    )


def test_the_timeout_is_for_each_attempt(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks.asyncio, "sleep", pauses([]))
    receiver.delay = 0.5
    error = call(receiver, timeout="100ms", retries=2)
    why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert error == f'POST {receiver.url} giving up after 3 attempt(s): Post "{receiver.url}": {why}'
    assert len(receiver.got) == 3


def test_an_attempt_after_a_slow_one_can_still_say_yes(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    async def sleep(seconds: float) -> None:
        receiver.delay = 0

    monkeypatch.setattr(webhooks.asyncio, "sleep", sleep)
    receiver.delay = 1.0
    assert call(receiver, timeout="500ms", retries=1) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 10.0), ("5", 10.0), ("5s", 5.0), ("1m30s", 90.0), ("200ms", 0.2), ("0s", None), ("-1s", None)],
)
def test_timeouts(text: str, seconds: float | None):
    """None is for ever, as in Go."""
    assert webhooks.timeout_of({"timeout": text}) == seconds


def test_a_bad_timeout_is_a_no_without_an_attempt(receiver: Receiver):
    assert call(receiver, timeout="soon") == 'time: invalid duration "soon"'
    assert call(receiver, timeout="5sec") == 'time: unknown unit "sec" in duration "5sec"'
    assert receiver.got == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("127.0.0.1:80/hook", 'parse "{url}": first path segment in URL cannot contain colon'),
        ("http://[::1/hook", "parse \"{url}\": missing ']' in host"),
        ("/hook", 'POST {url} giving up after 1 attempt(s): Post "{url}": unsupported protocol scheme ""'),
        ("ftp://a/hook", 'POST {url} giving up after 1 attempt(s): Post "{url}": unsupported protocol scheme "ftp"'),
        ("http:///hook", 'POST {url} giving up after 3 attempt(s): Post "{url}": http: no Host in request URL'),
    ],
)
def test_an_odd_address_is_told_in_gos_words(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, url: str, error: str):
    monkeypatch.setattr(webhooks.asyncio, "sleep", pauses([]))
    assert call(receiver, url=url, retries=2) == error.format(url=url)


def test_the_payload(receiver: Receiver):
    call(receiver, metadata={"type": "bash"})
    _, body, headers = receiver.got[0]
    assert headers["Content-Type"] == "application/json"
    assert list(body) == ["name", "namespace", "phase", "checksum", "metadata"]
    assert (body["name"], body["namespace"], body["phase"]) == ("podinfo", "test", "Progressing")
    assert body["metadata"] == {"type": "bash"}
    assert set(body["checksum"]) <= set("456789bcdf")
    call(receiver)
    assert "metadata" not in receiver.got[1][1]


def test_the_checksum_follows_the_revision():
    first, second = canary(), canary()
    second["status"]["lastAppliedSpec"] = "c64c4bb58"
    assert webhooks.payload(first, "", None)["checksum"] != webhooks.payload(second, "", None)["checksum"]


def test_the_payload_of_an_event_keeps_its_own_words():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    own = {"eventMessage": "no", "team": "a"}
    body = webhooks.event_payload(canary(), own, "Warning", "it broke", "Failed", moment)
    assert body["phase"] == "Failed"
    assert body["metadata"] == {
        "team": "a",
        "eventMessage": "it broke",
        "eventType": "Warning",
        "timestamp": "1767225600000",
    }


# -- alerts


@pytest.mark.parametrize(
    ("own", "heard"),
    [("info", ["info", "warn", "error"]), ("warn", ["warn", "error"]), ("error", ["error"]), ("", [])],
)
def test_who_hears_of_what(own: str, heard: list[str]):
    assert [severity for severity in ("info", "warn", "error") if alerts.wanted({"severity": own}, severity)] == heard


FIELDS = [{"name": "Target", "value": "Deployment/podinfo.test"}]


def provider(type_: str, **spec: Any) -> dict[str, Any]:
    return {"spec": chats.DEFAULTS | {"type": type_, "address": "http://chat/hook", **spec}}


@pytest.mark.parametrize(("type_", "colour"), [("slack", "danger"), ("discord", "danger"), ("rocket", "#FF0000")])
def test_bodies_in_slacks_form(type_: str, colour: str):
    body = chats.body(provider(type_, channel="releases"), canary(), "it broke", "error", FIELDS)
    assert (body["channel"], body["username"], body["icon_emoji"]) == ("releases", "flagger", ":rocket:")
    assert body["attachments"] == [
        {
            "color": colour,
            "author_name": "podinfo.test",
            "text": "it broke",
            "mrkdwn_in": ["text"],
            "fields": [{"title": "Target", "value": "Deployment/podinfo.test", "short": False}],
        }
    ]


def test_the_body_for_ms_teams():
    body = chats.body(provider("msteams"), canary(), "it broke", "warn", FIELDS)
    section = {"activityTitle": "it broke", "activitySubtitle": "podinfo.test", "facts": FIELDS}
    assert body == {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": "0076D7",
        "summary": "podinfo.test",
        "sections": [section],
    }


def test_the_body_for_google_chat():
    (card,) = chats.body(provider("gchat"), canary(), "it broke", "info", FIELDS)["cards"]
    assert card["header"]["subtitle"] == "podinfo.test"
    texts = [section["widgets"][0]["textParagraph"]["text"] for section in card["sections"]]
    assert "it broke" in texts[0]
    assert texts[1].startswith("Target<br>")


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (provider("generic"), "provider generic not supported"),
        (provider("slack", address="chat"), "invalid Slack hook URL chat"),
        (provider("gchat", address="http://[::1"), "invalid Google Chat webhook URL http://[::1"),
        (provider("discord", address="10.0.0.1:80"), "invalid Discord hook URL 10.0.0.1:80"),
        (provider("rocket", channel=""), "empty Rocket channel"),
        (provider("msteams", channel=""), ""),
    ],
)
def test_why_a_provider_hears_nothing(odd: dict[str, Any], why: str):
    assert chats.fault(odd, odd["spec"]["address"]) == why


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        ({}, "Weight step: 20 max: 50"),
        ({"stepWeights": [1, 5]}, "Weight steps: 1,5 max: 0"),
        ({"iterations": 1, "match": [{}]}, "A/B Testing"),
        ({"iterations": 1}, "Blue/Green"),
    ],
)
def test_what_a_message_says_of_the_canary(analysis: dict[str, Any], routing: str):
    rows = {row["name"]: row["value"] for row in chats.fields(canary(analysis), "earth")}
    assert rows == {
        "Cluster": "earth",
        "Target": "Deployment/podinfo.test",
        "Failed checks threshold": "2",
        "Progress deadline": "60s",
        "Traffic routing": routing,
    }


def test_every_message_says_which_cluster_it_is_about():
    assert chats.fields(canary(), "earth", metadata=False) == [{"name": "Cluster", "value": "earth"}]
    assert chats.fields(canary(), metadata=False) == []


def secret(**data: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def test_addresses_and_tokens():
    assert chats.address(provider("slack"), None) == ("http://chat/hook", "")
    assert chats.address(provider("slack"), secret(address="http://secret/")) == ("http://secret/", "")
    assert chats.address(provider("slack"), secret(address="http://secret/", token="t")) == ("http://secret/", "t")
    with pytest.raises(Refused, match="secret does not contain an address"):
        chats.address(provider("slack"), secret(token="t"))


@pytest.mark.parametrize(
    ("type_", "path", "token"), [("slack", "/hook", "t"), ("discord", "/hook/slack", ""), ("msteams", "/hook", "")]
)
def test_where_a_message_is_posted(receiver: Receiver, type_: str, path: str, token: str):
    """Discord reads Slack's messages at a path of their own; only Slack takes a token."""
    found = provider(type_, address=receiver.url) | {"token": "t"}
    alert = Alert(canary(), "it broke", "error")
    assert run(lambda clients: chats.send(FakeKube(), clients.checked, alert, found, "")) == ""  # type: ignore[arg-type]
    ((where, _, headers),) = receiver.got
    assert (where, headers.get("Authorization", "").removeprefix("Bearer ")) == (path, token)


def test_posting_an_alert(receiver: Receiver):
    receiver.plan = [204, 500]
    for answer in (None, "postMessage failed: sending notification bad response 500: the body"):
        assert run(lambda clients: chats.post(clients.checked, receiver.url, {"a": 1}, "t")) == answer
    _, body, headers = receiver.got[0]
    assert (body, headers["Authorization"]) == ({"a": 1}, "Bearer t")
    url = "http://127.0.0.1:1/hook"
    why = f'postMessage failed: sending notification failed to send: Post "{url}": dial tcp 127.0.0.1:1'
    assert run(lambda clients: chats.post(clients.checked, url, {})) == f"{why}: connect: connection refused"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx2.RemoteProtocolError("Server disconnected without sending a response."),
         "Server disconnected without sending a response."),
        (httpx2.ConnectError("All connection attempts failed"), "dial tcp 127.0.0.1:9: connect: connection refused"),
        (httpx2.ReadTimeout(""), "context deadline exceeded"),
    ],
)  # fmt: skip
def test_who_hangs_up_has_not_refused_the_connection(error: Exception, said: str):
    assert why(error, "http://127.0.0.1:9/") == said
