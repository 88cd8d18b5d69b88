"""Who goes with whom: background, foreground and orphan deletion, and how a namespace ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from controller_objects import Obj, deployment, meta, only, pod

from canary_tutorial.lab.controllers import namespaces
from canary_tutorial.lab.controllers.effects import Create, Delete, Update
from canary_tutorial.lab.controllers.garbage import FOREGROUND, ORPHAN, plan_dependent, plan_owner
from canary_tutorial.lab.kinds import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, REPLICASETS, SERVICEACCOUNTS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

OWNER = deployment()
RS: Obj = {"metadata": meta("podinfo-abc", OWNER, "Deployment"), "spec": {}}


def ending(finalizer: str) -> Obj:
    owner = deployment()
    owner["metadata"] |= {"deletionTimestamp": "2026-11-23T12:00:00Z", "finalizers": [finalizer, "kept.example/x"]}
    return owner


@pytest.mark.parametrize(
    ("obj", "living", "deleted"),
    [
        pytest.param(RS, {"uid-podinfo"}, [], id="its owner lives"),
        pytest.param(RS, set(), ["podinfo-abc"], id="its owner is gone"),
        pytest.param({"metadata": meta("free")}, set(), [], id="without owner it stays"),
        pytest.param(
            {"metadata": meta("both", ownerReferences=[{"uid": "gone"}, {"uid": "here"}])},
            {"here"},
            [],
            id="one of two owners lives",
        ),
        pytest.param(
            {"metadata": meta("going", ownerReferences=[{"uid": "gone"}], deletionTimestamp="2026-11-23T12:00:00Z")},
            set(),
            [],
            id="it is going already",
        ),
    ],
)
def test_a_dependent_goes_when_its_last_owner_is_gone(obj: Obj, living: set[str], deleted: list[str]) -> None:
    effects = plan_dependent(REPLICASETS, obj, living.__contains__)

    assert [effect.name for effect in only(Delete, effects)] == deleted
    assert all(effect.uid == obj["metadata"]["uid"] for effect in only(Delete, effects))


def test_an_orphaning_owner_lets_go_of_its_dependents_first() -> None:
    freed, owner = only(Update, plan_owner(DEPLOYMENTS, ending(ORPHAN), [(REPLICASETS, RS)]))

    assert (freed.kind, freed.obj["metadata"]["ownerReferences"]) == (REPLICASETS, [])
    assert owner.obj["metadata"]["finalizers"] == ["kept.example/x"]


def test_in_the_foreground_dependents_go_first() -> None:
    owner = ending(FOREGROUND)
    going = {"metadata": RS["metadata"] | {"deletionTimestamp": "2026-11-23T12:00:00Z"}}

    [delete] = plan_owner(DEPLOYMENTS, owner, [(REPLICASETS, RS)])
    assert isinstance(delete, Delete)
    assert (delete.name, delete.propagation) == ("podinfo-abc", "Foreground")
    assert plan_owner(DEPLOYMENTS, owner, [(REPLICASETS, going)]) == []
    [update] = only(Update, plan_owner(DEPLOYMENTS, owner, []))
    assert update.obj["metadata"]["finalizers"] == ["kept.example/x"]


def test_a_dependent_that_does_not_block_holds_nobody() -> None:
    reference = RS["metadata"]["ownerReferences"][0] | {"blockOwnerDeletion": False}
    loose = {"metadata": meta("loose", ownerReferences=[reference])}

    [update] = only(Update, plan_owner(DEPLOYMENTS, ending(FOREGROUND), [(CONFIGMAPS, loose)]))

    assert update.kind is DEPLOYMENTS


def test_an_owner_that_is_not_deleted_does_nothing() -> None:
    assert plan_owner(DEPLOYMENTS, OWNER, [(REPLICASETS, RS)]) == []


def space(**more: object) -> Obj:
    return {"metadata": {"name": "test", "uid": "u"} | more, "spec": {"finalizers": ["kubernetes"]}}


def test_a_new_namespace_gets_its_serviceaccount_and_the_ca() -> None:
    account, ca = only(Create, namespaces.plan(space(), [], "a certificate", NOW))

    assert (account.kind, account.obj["metadata"]["name"]) == (SERVICEACCOUNTS, "default")
    assert (ca.obj["metadata"]["name"], ca.obj["data"]) == ("kube-root-ca.crt", {"ca.crt": "a certificate"})


def test_what_a_namespace_has_is_not_made_again() -> None:
    have = [(c.kind, c.obj) for c in only(Create, namespaces.plan(space(), [], "", NOW))]

    assert namespaces.plan(space(), have, "", NOW) == []


def test_an_ending_namespace_tells_what_holds_it_up() -> None:
    ended, held = space(deletionTimestamp="2026-11-23T12:00:00Z"), pod("a", deleted=True)
    ended["status"] = {"phase": "Terminating"}
    held["metadata"]["finalizers"] = ["example.com/hold"]

    [told] = only(Update, namespaces.plan(ended, [(PODS, held), (PODS, pod("b"))], "", NOW))

    said = {each["type"]: (each["status"], each["message"]) for each in told.obj["status"]["conditions"]}
    assert len(said) == 5
    assert said["NamespaceContentRemaining"] == (
        "True", "Some resources are remaining: pods. has 2 resource instances",
    )  # fmt: skip
    assert said["NamespaceFinalizersRemaining"] == (
        "True", "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )  # fmt: skip
    assert only(Update, namespaces.plan(told.obj, [(PODS, held), (PODS, pod("b"))], "", NOW)) == []  # said once


def test_an_ending_namespace_is_emptied_before_it_goes() -> None:
    ended = space(deletionTimestamp="2026-11-23T12:00:00Z")
    living, going = pod("a"), pod("b", deleted=True)

    assert only(Delete, namespaces.plan(ended, [(PODS, living), (PODS, going)], "", NOW)) == [Delete(PODS, "a", "test")]
    assert only(Delete, namespaces.plan(ended, [(PODS, going)], "", NOW)) == []
    [update] = only(Update, namespaces.plan(ended, [], "", NOW))
    assert (update.kind, update.obj["spec"]["finalizers"]) == (NAMESPACES, [])
