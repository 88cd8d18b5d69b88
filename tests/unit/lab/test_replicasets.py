"""ReplicaSets: how many pods come and go, which ones, whose they are, and what the status counts."""

from __future__ import annotations

import pytest
from controller_objects import NOW, Obj, meta, only, pod, template

from canary_tutorial.lab.controllers.effects import Create, Delete, Record, Update, Wake
from canary_tutorial.lab.controllers.replicasets import plan, usefulness
from canary_tutorial.lab.kinds import PODS, REPLICASETS


def replicaset(replicas: int = 1, **spec: object) -> Obj:
    return {
        "metadata": meta("podinfo-abc", generation=1),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "podinfo"}},
            "template": template("podinfo:2.0.0"),
        }
        | spec,
        "status": {},
    }


RS = replicaset()


def status(effects: list[object]) -> Obj:
    [update] = [e for e in effects if isinstance(e, Update) and e.subresource == "status"]
    found: Obj = update.obj["status"]
    return found


@pytest.mark.parametrize(
    ("wanted", "pods", "created", "deleted"),
    [
        pytest.param(2, [], 2, [], id="from nothing"),
        pytest.param(2, [pod("a", RS)], 1, [], id="one is missing"),
        pytest.param(1, [pod("a", RS), pod("b", RS, ready=False)], 0, ["b"], id="one too many: the one not ready goes"),
        pytest.param(1, [pod("a", RS, deleted=True)], 1, [], id="one that is ending does not count"),
        pytest.param(1, [pod("a", RS, phase="Failed")], 1, [], id="one that has ended does not count"),
        pytest.param(0, [pod("a", RS), pod("b", RS)], 0, ["a", "b"], id="to zero"),
        pytest.param(1, [pod("a", RS), pod("x", replicaset() | {"metadata": meta("y")})], 0, [], id="not mine"),
    ],
)
def test_there_are_as_many_pods_as_wanted(wanted: int, pods: list[Obj], created: int, deleted: list[str]) -> None:
    effects = plan(replicaset(wanted), pods, NOW)

    assert len(only(Create, effects)) == created
    assert sorted(delete.name for delete in only(Delete, effects)) == deleted
    assert [record.message for record in only(Record, effects)] == [f"Deleted pod: {name}" for name in deleted]


def test_the_least_useful_pods_go_first() -> None:
    unbound = pod("unbound", RS, phase="Pending", ready=False)
    del unbound["spec"]["nodeName"]
    pods = [
        pod("old", RS),
        pod("young", RS, creationTimestamp="2026-11-23T12:05:00Z"),
        pod("unready", RS, ready=False),
        pod("pending", RS, ready=False, phase="Pending"),
        unbound,
    ]

    order = [each["metadata"]["name"] for each in sorted(pods, key=usefulness)]

    assert order == ["unbound", "pending", "unready", "young", "old"]


def test_a_new_pod_comes_from_the_template_and_belongs_to_its_replicaset() -> None:
    [create] = only(Create, plan(replicaset(), [], NOW))

    assert create.kind is PODS
    assert create.obj["metadata"]["generateName"] == "podinfo-abc-"
    assert create.obj["metadata"]["labels"] == {"app": "podinfo"}
    assert create.obj["metadata"]["ownerReferences"][0]["uid"] == RS["metadata"]["uid"]
    assert create.obj["spec"]["containers"][0]["image"] == "podinfo:2.0.0"


def test_a_pod_without_owner_is_adopted_instead_of_making_one() -> None:
    effects = plan(replicaset(), [pod("stray")], NOW)

    [adopted] = only(Update, effects)
    assert adopted.obj["metadata"]["ownerReferences"][0]["name"] == "podinfo-abc"
    assert only(Create, effects) == []


def test_a_pod_that_lost_its_label_is_let_go() -> None:
    effects = plan(replicaset(), [pod("a", RS, labels={"app": "debugging"})], NOW)

    [freed] = only(Update, effects)
    assert freed.obj["metadata"]["ownerReferences"] == []


@pytest.mark.parametrize(
    ("minimum", "ready_for", "available", "wake"),
    [
        pytest.param(0, 0, 1, [], id="without minReadySeconds at once"),
        pytest.param(5, 2, 0, [3], id="too young, looked at again"),
        pytest.param(5, 5, 1, [], id="old enough"),
    ],
)
def test_a_pod_is_available_after_minreadyseconds(
    minimum: int, ready_for: int, available: int, wake: list[float]
) -> None:
    effects = plan(replicaset(minReadySeconds=minimum), [pod("a", RS, ready_for=ready_for)], NOW)

    assert status(effects).get("availableReplicas", 0) == available  # type: ignore[arg-type]
    assert [effect.seconds for effect in only(Wake, effects)] == wake


def test_the_status_counts_and_nothing_is_written_twice() -> None:
    pods = [pod("a", RS), pod("b", RS, ready=False)]
    first = status(plan(replicaset(2), pods, NOW))  # type: ignore[arg-type]

    assert first == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 1,
    }
    assert plan(replicaset(2) | {"status": first}, pods, NOW) == []


def test_a_replicaset_that_is_being_deleted_makes_no_pods() -> None:
    ending = replicaset(3)
    ending["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"

    effects = plan(ending, [], NOW)

    assert only(Create, effects) == []
    assert [update.kind for update in only(Update, effects)] == [REPLICASETS]


def test_a_huge_number_of_pods_is_made_in_small_steps() -> None:
    effects = plan(replicaset(replicas=300_000), [], NOW)
    assert 0 < len([e for e in effects if isinstance(e, Create)]) <= 100
