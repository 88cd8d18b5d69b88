"""Deployments: whole rollouts of the plan in a world of a few dicts, and what each step may and must do."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta

import pytest
from controller_objects import NOW, Obj, deployment, meta, only, pod, rolling, template

from canary_tutorial.lab.controllers.deployments import DESIRED, HASH, REVISION, plan
from canary_tutorial.lab.controllers.effects import Create, Delete, Record, Update, Wake
from canary_tutorial.lab.controllers.surge import max_surge, max_unavailable
from canary_tutorial.lab.kinds import DEPLOYMENTS, REPLICASETS
from canary_tutorial.lab.objects import condition


class World:
    """A Deployment and its ReplicaSets; pods become available one at a time, when `serve` is called."""

    def __init__(self, wanted: Obj) -> None:
        self.deployment = wanted
        self.replicasets: list[Obj] = []
        self.events: list[str] = []
        self.now: datetime = NOW
        self.fewest = self.most = self.available

    @property
    def available(self) -> int:
        return sum(rs["status"].get("availableReplicas", 0) for rs in self.replicasets)

    @property
    def pods(self) -> int:
        return sum(rs["spec"]["replicas"] for rs in self.replicasets)

    def look(self) -> bool:
        """Plan once and carry it out; whether anything was to do."""
        effects = plan(self.deployment, self.replicasets, self._pods(), self.now)
        for effect in effects:
            match effect:
                case Create(_, obj):
                    created = deepcopy(obj)
                    created["metadata"] |= {"uid": created["metadata"]["name"], "creationTimestamp": f"{self.now}"}
                    self.replicasets.append(created | {"status": {}})
                case Update(kind, obj, subresource) if kind is DEPLOYMENTS:
                    key = subresource or "metadata"
                    self.deployment = self.deployment | {key: deepcopy(obj[key])}
                case Update(_, obj):
                    name = obj["metadata"]["name"]
                    self.replicasets = [obj if rs["metadata"]["name"] == name else rs for rs in self.replicasets]
                case Delete(_, name):
                    self.replicasets = [rs for rs in self.replicasets if rs["metadata"]["name"] != name]
                case Record(_, _, _, message, _):
                    self.events.append(message)
        for rs in self.replicasets:  # pods that are not wanted any more go, the unavailable ones first
            ready = min(rs["status"].get("availableReplicas", 0), rs["spec"]["replicas"])
            rs["status"] = {"replicas": rs["spec"]["replicas"], "readyReplicas": ready, "availableReplicas": ready}
        self.fewest, self.most = min(self.fewest, self.available), max(self.most, self.pods)
        return any(not isinstance(effect, Wake) for effect in effects)

    def settle(self) -> World:
        for _ in range(100):
            if not self.look():
                return self
        raise AssertionError("the plan never comes to rest")

    def serve(self) -> bool:
        """One more pod becomes available."""
        for rs in self.replicasets:
            if rs["status"]["availableReplicas"] < rs["spec"]["replicas"]:
                rs["status"]["availableReplicas"] += 1
                rs["status"]["readyReplicas"] += 1
                return True
        return False

    def roll_out(self) -> World:
        self.settle()
        while self.serve():
            self.settle()
        return self

    def set(self, **spec: object) -> World:
        self.deployment["spec"] |= spec
        self.deployment["metadata"]["generation"] += 1
        self.fewest, self.most = self.available, self.pods
        return self

    def sizes(self) -> dict[str, int]:
        """Image tag -> replicas wanted."""
        images = [(rs["spec"]["template"]["spec"]["containers"][0]["image"], rs) for rs in self.replicasets]
        return {image.partition(":")[2]: rs["spec"]["replicas"] for image, rs in images}

    def revisions(self) -> dict[str, str]:
        images = [(rs["spec"]["template"]["spec"]["containers"][0]["image"], rs) for rs in self.replicasets]
        return {image.partition(":")[2]: rs["metadata"]["annotations"][REVISION] for image, rs in images}

    def progressing(self) -> tuple[str, str, str]:
        found = condition(self.deployment, "Progressing")
        assert found is not None
        return found["status"], found["reason"], found["message"]

    def _pods(self) -> list[Obj]:
        return [pod(f"{rs['metadata']['name']}-{n}", rs) for rs in self.replicasets for n in range(self._running(rs))]

    @staticmethod
    def _running(rs: Obj) -> int:
        return int(rs["status"].get("replicas", 0))


def running(**spec: object) -> World:
    """A world whose first rollout is complete."""
    return World(deployment(**spec)).roll_out()  # type: ignore[arg-type]


# -- limits


@pytest.mark.parametrize(
    ("replicas", "strategy", "surge", "unavailable"),
    [
        pytest.param(1, {}, 1, 0, id="one replica by default surges"),
        pytest.param(4, rolling("25%", "25%"), 1, 1, id="a quarter of four"),
        pytest.param(10, rolling("25%", "25%"), 3, 2, id="surge is rounded up, unavailable down"),
        pytest.param(3, rolling(0, 0), 0, 1, id="both zero would block: one may be missing"),
        pytest.param(2, rolling(0, "10%"), 0, 1, id="a share that rounds to zero counts as zero"),
        pytest.param(2, rolling(5, 5), 5, 2, id="never more missing than there are"),
        pytest.param(0, rolling(1, 1), 1, 0, id="of none, none may be missing"),
        pytest.param(5, {"type": "Recreate"}, 0, 0, id="Recreate knows no limits"),
    ],
)
def test_limits_are_counted_as_kubernetes_counts_them(
    replicas: int, strategy: Obj, surge: int, unavailable: int
) -> None:
    wanted = deployment(replicas, strategy=strategy)

    assert (max_surge(wanted), max_unavailable(wanted)) == (surge, unavailable)


# -- rollouts


@pytest.mark.parametrize(
    ("replicas", "strategy", "fewest", "most"),
    [
        pytest.param(1, rolling(1, 0), 1, 2, id="one replica, none missing"),
        pytest.param(4, rolling("25%", "25%"), 3, 5, id="four by quarters"),
        pytest.param(10, rolling("25%", "25%"), 8, 13, id="ten by quarters"),
        pytest.param(3, rolling(0, 1), 2, 3, id="no surge"),
        pytest.param(3, rolling(3, 0), 3, 6, id="all at once beside the old"),
        pytest.param(2, {"type": "Recreate"}, 0, 2, id="Recreate stops everything first"),
    ],
)
def test_a_rollout_stays_within_its_limits_and_ends(replicas: int, strategy: Obj, fewest: int, most: int) -> None:
    world = running(replicas=replicas, strategy=strategy)

    world.set(template=template("podinfo:2.1.3")).roll_out()

    assert world.sizes() == {"2.0.0": 0, "2.1.3": replicas}
    assert (world.fewest, world.most) == (fewest, most)
    assert world.deployment["status"]["updatedReplicas"] == replicas


def test_a_first_rollout_tells_what_it_does() -> None:
    world = running(replicas=2)

    [rs] = world.replicasets
    assert world.events == [f"Scaled up replica set {rs['metadata']['name']} from 0 to 2"]
    assert rs["metadata"]["name"] == f"podinfo-{rs['metadata']['labels'][HASH]}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "podinfo", HASH: rs["metadata"]["labels"][HASH]}
    assert world.deployment["metadata"]["annotations"][REVISION] == "1"
    assert world.deployment["status"]["availableReplicas"] == 2


def test_recreate_makes_the_new_replicaset_only_when_the_old_pods_are_gone() -> None:
    world = running(replicas=2, strategy={"type": "Recreate"})
    world.set(template=template("podinfo:2.1.3"))
    world._running = lambda rs: 2  # type: ignore[method-assign]  # they take their time

    world.settle()
    assert world.sizes() == {"2.0.0": 0}

    del world._running  # type: ignore[method-assign]
    world.roll_out()
    assert world.sizes() == {"2.0.0": 0, "2.1.3": 2}


def test_unhealthy_old_pods_go_first() -> None:
    world = running(replicas=4, strategy=rolling(1, 1))
    world.set(template=template("podinfo:broken")).settle()
    assert world.sizes() == {"2.0.0": 3, "broken": 2}

    world.set(template=template("podinfo:2.1.3")).settle()

    assert world.sizes() == {"2.0.0": 3, "broken": 0, "2.1.3": 2}


@pytest.mark.parametrize(
    ("before", "after", "sizes"),
    [
        pytest.param(10, 15, {"2.0.0": 11, "2.1.3": 7}, id="out: Kubernetes' own example"),
        pytest.param(10, 5, {"2.0.0": 5, "2.1.3": 3}, id="in: shares are kept"),
        pytest.param(10, 0, {"2.0.0": 0, "2.1.3": 0}, id="to zero: both go"),
    ],
)
def test_scaling_in_mid_rollout_keeps_the_shares(before: int, after: int, sizes: dict[str, int]) -> None:
    world = running(replicas=before, strategy=rolling(3, 2))
    world.set(template=template("podinfo:2.1.3")).settle()
    assert world.sizes() == {"2.0.0": 8, "2.1.3": 5}

    world.set(replicas=after).look()

    assert world.sizes() == sizes


@pytest.mark.parametrize("after", [0, 1, 3, 8])
def test_a_rollout_that_was_scaled_still_ends(after: int) -> None:
    world = running(replicas=4, strategy=rolling(1, 0))
    world.set(template=template("podinfo:2.1.3")).settle()

    world.set(replicas=after).roll_out()

    assert world.sizes() == {"2.0.0": 0, "2.1.3": after}


def test_a_paused_rollout_waits_but_follows_its_size() -> None:
    world = running(replicas=2)
    world.set(paused=True, template=template("podinfo:2.1.3")).roll_out()
    assert world.sizes() == {"2.0.0": 2}
    assert world.progressing() == ("Unknown", "DeploymentPaused", "Deployment is paused")

    world.set(replicas=3).roll_out()
    assert world.sizes() == {"2.0.0": 3}

    world.set(paused=False).roll_out()
    assert world.sizes() == {"2.0.0": 0, "2.1.3": 3}


def test_undo_takes_the_old_replicaset_again_with_a_new_revision() -> None:
    world = running(replicas=1)
    world.set(template=template("podinfo:2.1.3")).roll_out()
    assert world.revisions() == {"2.0.0": "1", "2.1.3": "2"}

    world.set(template=template("podinfo:2.0.0")).roll_out()

    assert world.sizes() == {"2.0.0": 1, "2.1.3": 0}
    assert world.revisions() == {"2.0.0": "3", "2.1.3": "2"}
    assert world.deployment["metadata"]["annotations"][REVISION] == "3"


def test_history_is_kept_to_its_limit_and_only_after_a_complete_rollout() -> None:
    world = running(replicas=1, revisionHistoryLimit=1)
    world.set(template=template("podinfo:2.1.2")).roll_out()
    world.set(template=template("podinfo:2.1.3")).settle()
    assert set(world.sizes()) == {"2.0.0", "2.1.2", "2.1.3"}

    world.roll_out()

    assert set(world.sizes()) == {"2.1.2", "2.1.3"}


def test_a_replicaset_left_behind_is_taken_over() -> None:
    world = running(replicas=1)
    world.deployment["metadata"]["uid"] = "another"
    for rs in world.replicasets:
        del rs["metadata"]["ownerReferences"]

    world.roll_out()

    assert world.sizes() == {"2.0.0": 1}
    assert world.replicasets[0]["metadata"]["ownerReferences"][0]["uid"] == "another"


def test_minreadyseconds_are_handed_down() -> None:
    world = running(replicas=1, minReadySeconds=5)
    assert world.replicasets[0]["spec"]["minReadySeconds"] == 5

    world.set(minReadySeconds=7).roll_out()

    assert world.replicasets[0]["spec"]["minReadySeconds"] == 7


def test_annotations_are_copied_but_for_what_kubectl_applied() -> None:
    wanted = deployment()
    wanted["metadata"]["annotations"] = {
        "kubernetes.io/change-cause": "a new image",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }

    [created] = only(Create, plan(wanted, [], [], NOW))

    annotations = created.obj["metadata"]["annotations"]
    assert annotations["kubernetes.io/change-cause"] == "a new image"
    assert annotations[DESIRED] == "1"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations


def test_a_deployment_that_is_being_deleted_changes_nothing() -> None:
    world = running(replicas=2)
    world.set(replicas=5)
    world.deployment["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"

    effects = plan(world.deployment, world.replicasets, [], NOW)

    assert [e for e in only(Update, effects) if e.kind is REPLICASETS] == []
    assert only(Create, effects) == []


def test_a_strangers_replicaset_of_the_same_name_is_not_in_the_way() -> None:
    [first] = only(Create, plan(deployment(), [], [], NOW))
    stranger = deepcopy(first.obj)
    stranger["metadata"] |= {"uid": "x", "labels": {"other": "app"}, "ownerReferences": []}
    stranger["spec"]["template"]["metadata"]["labels"] = {"other": "app"}

    [second] = only(Create, plan(deployment(), [stranger], [], NOW))

    assert second.obj["metadata"]["name"] != first.obj["metadata"]["name"]


def test_another_deployments_replicasets_are_left_alone() -> None:
    other = deployment()
    other["metadata"] = meta("other")
    foreign = {"metadata": meta("foreign", other, "Deployment", labels={"app": "podinfo"}), "spec": {"replicas": 3}}

    effects = plan(deployment(), [foreign], [], NOW)

    assert [update.obj["metadata"]["name"] for update in only(Update, effects)] == ["podinfo"]


# -- conditions


def test_progressing_goes_through_kubernetes_reasons() -> None:
    world = World(deployment())
    world.look()
    name = world.replicasets[0]["metadata"]["name"]
    seen = [world.progressing()]
    world.settle()
    seen.append(world.progressing())
    world.roll_out()
    seen.append(world.progressing())

    assert seen == [
        ("True", "NewReplicaSetCreated", f'Created new replica set "{name}"'),
        ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'),
        ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'),
    ]


def test_availability_is_told_with_kubernetes_texts() -> None:
    world = World(deployment(2, strategy=rolling(1, 0))).settle()
    before = condition(world.deployment, "Available") or {}
    world.roll_out()
    after = condition(world.deployment, "Available") or {}

    assert (before["status"], before["reason"]) == ("False", "MinimumReplicasUnavailable")
    assert before["message"] == "Deployment does not have minimum availability."
    assert (after["status"], after["reason"]) == ("True", "MinimumReplicasAvailable")
    assert after["message"] == "Deployment has minimum availability."


def exceed(world: World) -> World:
    world.set(template=template("podinfo:broken")).settle()
    world.now += timedelta(seconds=61)
    return world.settle()


def test_a_rollout_that_does_not_move_exceeds_its_deadline() -> None:
    world = running(replicas=1)
    world.set(template=template("podinfo:broken")).settle()
    [wake] = only(Wake, plan(world.deployment, world.replicasets, [], world.now + timedelta(seconds=20)))
    assert wake.seconds == 40

    world.now += timedelta(seconds=61)
    world.settle()

    broken = world.replicasets[-1]["metadata"]["name"]
    text = f'ReplicaSet "{broken}" has timed out progressing.'
    assert world.progressing() == ("False", "ProgressDeadlineExceeded", text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda world: world.set(template=template("podinfo:2.1.3")), "NewReplicaSetCreated", id="a new template"
        ),
        pytest.param(lambda world: world.set(template=template("podinfo:2.0.0")), "ReplicaSetUpdated", id="undo"),
        pytest.param(lambda world: world.set(paused=True), "ProgressDeadlineExceeded", id="pausing hides nothing"),
    ],
)
def test_after_an_exceeded_deadline(change: Callable[[World], World], reason: str) -> None:
    world = exceed(running(replicas=2, strategy=rolling(1, 0)))

    change(world).look()

    assert world.progressing()[1] == reason


def test_scaled_from_zero_it_never_exceeds_its_deadline() -> None:
    world = running(replicas=0)
    assert world.progressing()[1] == "NewReplicaSetAvailable"

    world.set(replicas=1).settle()
    world.now += timedelta(seconds=3600)
    world.settle()

    assert world.progressing()[1] == "NewReplicaSetAvailable"
    assert (condition(world.deployment, "Available") or {})["status"] == "False"


def test_observed_generation_and_counts_follow() -> None:
    world = running(replicas=3, strategy=rolling(1, 0))
    world.set(template=template("podinfo:2.1.3")).settle()

    status = world.deployment["status"]
    assert {key: value for key, value in status.items() if key != "conditions"} == {
        "observedGeneration": 2,
        "replicas": 4,
        "updatedReplicas": 1,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 1,
    }
