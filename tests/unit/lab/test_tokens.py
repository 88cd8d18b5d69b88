"""Tokens of ServiceAccounts: whose they are, for whom, and how long."""

from __future__ import annotations

import base64
import json

import pytest

from canary_tutorial.lab import tokens
from canary_tutorial.lab.tokens import Tokens


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def test_a_token_tells_whose_it_is() -> None:
    made = Tokens()
    token = made.issue("test", "robot", "uid-1")
    user = made.user(token)
    assert user
    assert (user.name, user.uid) == ("system:serviceaccount:test:robot", "uid-1")
    assert user.extra == ((tokens.CREDENTIAL, (f"JTI={claims(token)['jti']}",)),)
    assert made.issue("test", "robot", "uid-1") != token


@pytest.mark.parametrize("change", [
    lambda token: token[:-2],
    lambda token: "." + token,
    lambda token: token.replace(token.split(".")[1], base64.urlsafe_b64encode(b"{}").decode()),
    lambda token: Tokens().issue("test", "robot", "uid-1"),
    lambda token: "",
    lambda token: "a.b.\xe4",
])  # fmt: skip
def test_a_token_that_this_lab_did_not_sign_is_nobodys(change) -> None:  # type: ignore[no-untyped-def]
    made = Tokens()
    assert made.user(change(made.issue("test", "robot", "uid-1"))) is None


def test_a_token_for_another_audience_is_no_login() -> None:
    made = Tokens()
    assert made.user(made.issue("test", "robot", "uid-1", ("elsewhere",))) is None


def test_a_token_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Tokens()
    token = made.issue("test", "robot", "uid-1", seconds=600)
    assert made.user(token)
    monkeypatch.setattr(tokens.time, "time", lambda: claims(token)["exp"])
    assert made.user(token) is None


def test_a_token_ends_with_its_account_and_another_of_its_name_has_others() -> None:
    made = Tokens()
    first = made.issue("test", "robot", "uid-1")
    made.revoke("test", "robot")
    assert made.user(first) is None
    second = made.issue("test", "robot", "uid-2")
    assert made.user(first) is None
    assert made.user(second)


def test_a_pod_that_began_before_its_account_was_there_keeps_its_token() -> None:
    made = Tokens()
    early = made.issue("test", "default")
    made.issue("test", "default", "uid-1")
    assert made.user(early)
