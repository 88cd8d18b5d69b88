"""Other ways to judge a version: A/B tests, Blue/Green, and session affinity."""

from __future__ import annotations

from typing import Any

from parity.stage import Stage

Obj = dict[str, Any]
INSIDER = {"headers": {"x-canary": {"exact": "insider"}}}
COOKIE = {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}}


def iterations(number: int, **more: Any) -> Obj:
    """An analysis by iterations, not by weights."""
    return {"stepWeight": None, "maxWeight": None, "iterations": number, **more}


async def ab(stage: Stage) -> None:
    """An A/B test by header and cookie: promoted; another one, whose checks fail after the first iteration."""
    await stage.initialized(analysis=iterations(3, match=[INSIDER, COOKIE]))
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.set_image("2.1.3")
    await stage.iteration(1)
    stage.script.success_rate = 50.0
    await stage.phase("Failed")


async def mixmatch(stage: Stage) -> None:
    """`match` of the service times `match` of the analysis, with sourceLabels, and hosts `*`."""
    paths = [{"uri": {"prefix": "/api"}}, {"uri": {"exact": "/version"}, "method": {"exact": "GET"}}]
    inside = {"headers": {"x-canary": {"prefix": "in"}}, "sourceLabels": {"app": "web"}}
    await stage.initialized(
        service={"port": 9898, "hosts": ["*"], "match": paths}, analysis=iterations(2, match=[INSIDER, inside])
    )
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def bluegreen(stage: Stage) -> None:
    """Blue/Green that mirrors 40 % of the requests: promoted; another one, whose checks fail while it mirrors."""
    await stage.initialized(analysis=iterations(2, mirror=True, mirrorWeight=40))
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.set_image("2.1.3")
    await stage.iteration(1)
    stage.script.duration = 900.0
    await stage.phase("Failed")


async def bluegreen2(stage: Stage) -> None:
    """Blue/Green with a gate before the promotion: closed, then opened."""
    stage.answer("gate", 403, "Forbidden")
    await stage.initialized(analysis=iterations(2, webhooks=[stage.hook("gate", "confirm-promotion")]))
    await stage.set_image("2.1.2")
    await stage.phase("WaitingPromotion")
    await stage.called("gate", 3)
    stage.answer("gate")
    await stage.phase("Succeeded")


async def affinity(stage: Stage) -> None:
    """Session affinity with all attributes of its cookies, promoted."""
    cookies = {
        **{"cookieName": "to-canary", "primaryCookieName": "to-primary", "maxAge": 3600, "domain": "example.com"},
        **{"path": "/app", "sameSite": "Strict", "httpOnly": True, "partitioned": True, "secure": True},
    }
    await stage.initialized(analysis={"sessionAffinity": cookies})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def twice(stage: Stage) -> None:
    """Session affinity with a cookie of the primary, in two releases: one promoted, the next rolled back."""
    cookies = {"cookieName": "to-canary", "primaryCookieName": "to-primary"}
    await stage.initialized(analysis={"stepWeight": 50, "sessionAffinity": cookies})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.set_image("2.1.3")
    await stage.weight(50)
    stage.script.success_rate = 50.0
    await stage.phase("Failed")
