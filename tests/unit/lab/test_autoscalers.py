"""Autoscalers: limits are kept, everything else is said not to be there."""

from __future__ import annotations

import pytest
from controller_objects import NOW, Obj, deployment, meta, only

from canary_tutorial.lab.controllers.autoscalers import plan
from canary_tutorial.lab.controllers.effects import Record, Update
from canary_tutorial.lab.kinds import AUTOSCALERS, DEPLOYMENTS


def autoscaler(least: int = 2, most: int = 4) -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
    return {"metadata": meta("podinfo"), "spec": {"minReplicas": least, "maxReplicas": most, "scaleTargetRef": target}}


def status(effects: list[object]) -> Obj:
    [update] = [e for e in effects if isinstance(e, Update) and e.kind is AUTOSCALERS]
    found: Obj = update.obj["status"]
    return found


@pytest.mark.parametrize(
    ("replicas", "wanted", "reason"),
    [
        pytest.param(1, 2, "Current number of replicas below Spec.MinReplicas", id="too few"),
        pytest.param(9, 4, "Current number of replicas above Spec.MaxReplicas", id="too many"),
        pytest.param(3, None, "", id="within the limits"),
        pytest.param(0, None, "", id="zero means switched off"),
    ],
)
def test_limits_are_kept(replicas: int, wanted: int | None, reason: str) -> None:
    effects = plan(autoscaler(), DEPLOYMENTS, deployment(replicas), NOW)

    scaled = [u.obj["spec"]["replicas"] for u in only(Update, effects) if u.kind is DEPLOYMENTS]
    assert scaled == ([wanted] if wanted else [])
    messages = [record.message for record in only(Record, effects)]
    assert messages == ([f"New size: {wanted}; reason: {reason}"] if wanted else [])


@pytest.mark.parametrize(
    ("target", "type_", "value", "reason"),
    [
        pytest.param(deployment(3), "ScalingActive", "False", "FailedGetResourceMetric", id="there are no metrics"),
        pytest.param(deployment(0), "ScalingActive", "False", "ScalingDisabled", id="switched off"),
        pytest.param(deployment(3), "AbleToScale", "True", "SucceededGetScale", id="the target is there"),
        pytest.param(None, "AbleToScale", "False", "FailedGetScale", id="the target is not there"),
    ],
)
def test_conditions_are_honest(target: Obj | None, type_: str, value: str, reason: str) -> None:
    conditions = {c["type"]: c for c in status(plan(autoscaler(), DEPLOYMENTS, target, NOW))["conditions"]}  # type: ignore[arg-type]

    assert (conditions[type_]["status"], conditions[type_]["reason"]) == (value, reason)


def test_nothing_is_written_twice() -> None:
    first = status(plan(autoscaler(), DEPLOYMENTS, deployment(3), NOW))  # type: ignore[arg-type]

    assert plan(autoscaler() | {"status": first}, DEPLOYMENTS, deployment(3), NOW) == []
