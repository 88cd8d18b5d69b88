"""Webhooks: gates that hold a release, hooks that fail, answer late or cannot be called."""

from __future__ import annotations

from parity.stage import Stage

DEAD = "http://127.0.0.1:9/nobody"
ODD = (
    DEAD,
    "127.0.0.1:9/no-scheme",
    "/only/a/path",
    "ftp://127.0.0.1/wrong-scheme",
    "http://[::1/half-an-address",
)


async def gated(stage: Stage) -> None:
    """A hook of every type; the gates before the release, the steps and the promotion are closed, then opened."""
    hooks = [
        stage.hook("start", "confirm-rollout"),
        stage.hook("before", "pre-rollout"),
        stage.hook("load", "rollout", metadata={"type": "cmd", "cmd": "hey -z 1m"}),
        stage.hook("more", "confirm-traffic-increase"),
        stage.hook("promote", "confirm-promotion"),
        stage.hook("abort", "rollback"),
        stage.hook("after", "post-rollout"),
        stage.hook("news", "event", metadata={"room": "releases", "eventType": "mine"}),
    ]
    for gate in ("start", "more", "promote", "abort"):
        stage.answer(gate, 403, "Forbidden")
    await stage.initialized(analysis={"stepWeight": 50, "webhooks": hooks})
    await stage.set_image("2.1.2")
    await stage.phase("Waiting")
    await stage.called("start", 3)
    stage.answer("start")
    await stage.event("waiting for traffic increase approval", 2)
    stage.answer("more")
    await stage.phase("WaitingPromotion")
    await stage.called("promote", 3)
    stage.answer("promote")
    await stage.phase("Succeeded")


async def hooksfail(stage: Stage) -> None:
    """Failing pre-rollout, rollout and post-rollout hooks; at first beside a rollback hook that nobody answers."""
    hooks = [stage.hook("before", "pre-rollout"), stage.hook("load", "rollout"), stage.hook("after", "post-rollout")]
    stage.answer("before", 403, "not today")
    stage.answer("after", 501, "not made")
    abort = stage.hook("abort", "rollback", url=DEAD)
    await stage.initialized(analysis={"stepWeight": 50, "webhooks": [*hooks, abort]})
    await stage.set_image("2.1.2")
    await stage.phase("Failed")
    stage.answer("before", 202)
    stage.answer("after", 201)
    stage.answer("load", 404, "nothing here")
    await stage.edit_analysis(webhooks=hooks)
    await stage.set_image("2.1.3")
    await stage.failed_checks(1)
    stage.answer("load", 204)
    await stage.phase("Failed")


async def slowhook(stage: Stage) -> None:
    """A hook that times out at every attempt, one that fails at both, one without a type, and those with odd URLs."""
    stage.answer("slow", delay=4.0)
    stage.answer("broken", 503)
    slow = stage.hook("slow", "pre-rollout", timeout="1s", retries=2)
    await stage.initialized(analysis={"stepWeight": 50, "threshold": 20, "webhooks": [slow]})
    await stage.set_image("2.1.2")
    await stage.failed_checks(1)
    await stage.edit_analysis(webhooks=[stage.hook("broken", retries=1)])
    await stage.failed_checks(2)
    await stage.edit_analysis(webhooks=[stage.hook("odd", timeout="5sec")])
    await stage.failed_checks(3)
    for number, url in enumerate(ODD, 4):
        await stage.edit_analysis(webhooks=[stage.hook("odd", url=url)])
        await stage.failed_checks(number)
    await stage.edit_analysis(webhooks=[stage.hook("good")])
    await stage.phase("Succeeded")
