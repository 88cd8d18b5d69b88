"""Shifting requests step by step: promotion, rollback, deadlines."""

from __future__ import annotations

from parity.stage import Stage

BAD = "9.9.9"  # a tag that nobody released


async def success(stage: Stage) -> None:
    """Mirrored, 20, 40, 60 %, promoted; then the same image again, labels of the Deployment, a restart."""
    await stage.initialized(analysis={"mirror": True})
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.set_image("2.1.2")
    await stage.edit("Deployment", "podinfo", {"metadata": {"labels": {"team": "web"}, "annotations": {"a": "b"}}})
    await stage.beats(2)
    await stage.restart()
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def errors(stage: Stage) -> None:
    """The canary fails requests while they are mirrored: rolled back; then back to the promoted image."""
    await stage.initialized(analysis={"mirror": True})
    stage.script.success_rate = 88.5
    await stage.set_image("2.1.2")
    await stage.phase("Failed")
    stage.script.success_rate = 100.0
    await stage.set_image("2.1.1")
    await stage.beats(3)


async def badimage(stage: Stage) -> None:
    """An image that cannot be pulled, from the start and in mid-run: two kinds of deadline end the release."""
    await stage.initialized(stage.podinfo(progressDeadlineSeconds=15), progressDeadlineSeconds=25)
    await stage.set_image(BAD)
    await stage.phase("Failed")
    await stage.set_image("2.1.2")
    await stage.weight(20)
    await stage.set_image(BAD)
    await stage.phase("Failed")


async def notraffic(stage: Stage) -> None:
    """No values: of the success rate, of the duration, and at one tick only, with which the release goes on."""
    await stage.initialized(analysis={"stepWeight": 50})
    stage.script.success_rate = None
    await stage.set_image("2.1.2")
    await stage.phase("Failed")
    stage.script.success_rate, stage.script.duration = 100.0, None
    await stage.set_image("2.1.3")
    await stage.phase("Progressing")
    await stage.phase("Failed")
    await stage.set_image("3.0.0")
    await stage.failed_checks(1)
    stage.script.duration = 20.0
    await stage.phase("Succeeded")


async def abort(stage: Stage) -> None:
    """A rollback hook ends the release; then a restart of the same image, promoted."""
    stage.answer("abort", 403)
    await stage.initialized(analysis={"webhooks": [stage.hook("abort", "rollback")]})
    await stage.set_image("2.1.2")
    await stage.weight(40)
    stage.answer("abort")
    await stage.phase("Failed")
    stage.answer("abort", 403)
    await stage.restart()
    await stage.phase("Succeeded")


async def steps(stage: Stage) -> None:
    """`stepWeights` of 10, 30 and 55, and a promotion that takes the weight back by 30 at each tick."""
    weights = {"stepWeight": None, "maxWeight": None, "stepWeights": [10, 30, 55], "stepWeightPromotion": 30}
    await stage.initialized(analysis=weights)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def weight100(stage: Stage) -> None:
    """A Deployment without pods; then a step of 60 up to 100, after a tick that mirrors 30 % of the requests."""
    weights = {"stepWeight": 60, "maxWeight": 100, "mirror": True, "mirrorWeight": 30}
    await stage.initialized(stage.podinfo(replicas=0), analysis=weights)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")


async def midrun(stage: Stage) -> None:
    """A new revision in mid-run, then the promoted one, which is not new; another while the primary is updated."""
    await stage.initialized(analysis={"maxWeight": 40})
    await stage.set_image("2.1.2")
    await stage.weight(20)
    await stage.set_image("2.1.3")
    await stage.weight(0)
    await stage.weight(20)
    await stage.set_image("2.1.1")
    await stage.phase("Promoting")
    await stage.set_image("3.0.0")
    await stage.phase("Succeeded")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def skip(stage: Stage) -> None:
    """`skipAnalysis` from the beginning, with a good and a bad image; then switched on in mid-run."""
    await stage.initialized(skipAnalysis=True, progressDeadlineSeconds=25)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.set_image(BAD)
    await stage.phase("Failed")
    await stage.edit_canary({"skipAnalysis": False})
    await stage.set_image("2.1.3")
    await stage.weight(20)
    await stage.edit_canary({"skipAnalysis": True})
    await stage.phase("Succeeded")


async def suspend(stage: Stage) -> None:
    """Suspended while idle, with a new image meanwhile, and in mid-run, with a DestinationRule deleted meanwhile."""
    skipping = "skipping canary run"
    await stage.initialized(analysis={"stepWeight": 50})
    await stage.edit_canary({"suspend": True})
    await stage.event(skipping)
    await stage.set_image("2.1.2")
    await stage.event(skipping, 3)
    await stage.edit_canary({"suspend": False})
    await stage.weight(50)
    await stage.edit_canary({"suspend": True})
    await stage.event(skipping, 4)
    await stage.delete("DestinationRule", "podinfo-canary")
    await stage.event(skipping, 5)
    await stage.edit_canary({"suspend": False})
    await stage.phase("Succeeded")


async def primarydies(stage: Stage) -> None:
    """The primary gets a bad image by hand: in mid-run, which is rolled back, and while it is promoted."""
    await stage.initialized(stage.podinfo(progressDeadlineSeconds=15), analysis={"stepWeight": 50})
    await stage.set_image("2.1.2")
    await stage.weight(50)
    await stage.set_image(BAD, "podinfo-primary")
    await stage.phase("Failed")
    await stage.set_image("2.1.1", "podinfo-primary")
    await stage.set_image("2.1.3")
    await stage.phase("Promoting")
    await stage.set_image(BAD, "podinfo-primary")
    await stage.phase("Failed")


async def thresholds(stage: Stage) -> None:
    """Thresholds of readiness that let bad images pass, and one that does not; three pods, then 0, then two."""
    await stage.initialized(stage.podinfo(replicas=3, strategy={"type": "Recreate"}), analysis={"stepWeight": 50})
    await stage.edit_analysis(primaryReadyThreshold=30, canaryReadyThreshold=30)  # of 3 pods that is none
    await stage.set_image(BAD, "podinfo-primary")
    await stage.set_image(BAD)
    await stage.weight(50)
    await stage.edit_analysis(canaryReadyThreshold=67)
    await stage.event("canary deployment podinfo.thresholds not ready", 2)
    await stage.set_image("2.1.2")
    await stage.phase("Succeeded")
    await stage.scale("Deployment", "podinfo", 2)
    await stage.set_image("2.1.3")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")
