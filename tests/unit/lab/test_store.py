"""The store's rules: versions, conflicts, deletion, history. A clock of our own, no sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.errors import AlreadyExists, Conflict, Forbidden, Gone, NotFound
from canary_tutorial.lab.kinds import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS
from canary_tutorial.lab.store import HISTORY, Event, Store

Obj = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    store = Store(KINDS, clock)
    store.create(NAMESPACES, {"metadata": {"name": "test"}})
    return store


def configmap(name: str = "c", **data: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "test"}, "data": data}


def pod(name: str = "p", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": "test"}, "spec": {"containers": [], **spec}}


def deployment(**spec: Any) -> Obj:
    return {"metadata": {"name": "d", "namespace": "test"}, "spec": {"replicas": 1, **spec}}


def test_a_created_object_gets_identity_and_version(store: Store) -> None:
    made = store.create(DEPLOYMENTS, deployment())
    meta = made["metadata"]
    assert (made["apiVersion"], made["kind"]) == ("apps/v1", "Deployment")
    assert (meta["creationTimestamp"], meta["generation"]) == ("2026-11-23T12:00:00Z", 1)
    assert len(meta["uid"]) == 36
    assert meta["resourceVersion"] == str(store.version)
    assert store.get(DEPLOYMENTS, "d", "test") is made


def test_what_is_not_there_or_twice_there_is_refused_by_name(store: Store) -> None:
    store.create(CONFIGMAPS, configmap())
    with pytest.raises(AlreadyExists, match='configmaps "c" already exists'):
        store.create(CONFIGMAPS, configmap())
    with pytest.raises(NotFound, match=r'deployments.apps "x" not found'):
        store.get(DEPLOYMENTS, "x", "test")
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        store.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "nowhere"}})


def test_who_writes_on_an_old_version_gets_a_conflict(store: Store) -> None:
    first = store.create(CONFIGMAPS, configmap(a="1"))
    store.update(CONFIGMAPS, {**first, "data": {"a": "2"}})
    with pytest.raises(Conflict, match="the object has been modified; please apply your changes to the latest version"):
        store.update(CONFIGMAPS, {**first, "data": {"a": "3"}})
    unconditional = configmap(a="4")
    assert store.update(CONFIGMAPS, unconditional)["data"] == {"a": "4"}


def test_a_thousand_conflicting_writers_lose_no_update(store: Store) -> None:
    store.create(CONFIGMAPS, configmap(n="0"))
    stale = store.get(CONFIGMAPS, "c", "test")
    for i in range(1000):
        fresh = store.get(CONFIGMAPS, "c", "test")
        store.update(CONFIGMAPS, {**fresh, "data": {"n": str(int(fresh["data"]["n"]) + 1)}})
        if i % 10 == 0:
            with pytest.raises(Conflict):
                store.update(CONFIGMAPS, {**stale, "data": {"n": "lost"}})
    assert store.get(CONFIGMAPS, "c", "test")["data"] == {"n": "1000"}


def test_writing_what_is_there_is_no_write(store: Store) -> None:
    made = store.create(CONFIGMAPS, configmap(a="1"))
    heard: list[Event] = []
    store.subscribe(heard.append)
    assert store.update(CONFIGMAPS, configmap(a="1")) is made
    assert heard == []


def test_generation_counts_changes_of_the_spec_only(store: Store) -> None:
    store.create(DEPLOYMENTS, deployment())
    store.change(DEPLOYMENTS, "d", "test", lambda o: o.update(status={"replicas": 1}), "status")
    store.change(DEPLOYMENTS, "d", "test", lambda o: o["metadata"].update(labels={"a": "b"}))
    assert store.get(DEPLOYMENTS, "d", "test")["metadata"]["generation"] == 1
    store.change(DEPLOYMENTS, "d", "test", lambda o: o["spec"].update(replicas=2))
    assert store.get(DEPLOYMENTS, "d", "test")["metadata"]["generation"] == 2


def test_status_and_spec_are_written_apart(store: Store) -> None:
    store.create(DEPLOYMENTS, deployment())

    def both(obj: Obj) -> None:
        obj["spec"]["replicas"] = 7
        obj["status"] = {"replicas": 7}

    assert store.change(DEPLOYMENTS, "d", "test", both, "status")["spec"]["replicas"] == 1
    assert store.change(DEPLOYMENTS, "d", "test", both)["spec"]["replicas"] == 7
    store.change(DEPLOYMENTS, "d", "test", lambda o: o.update(status={}))
    assert store.get(DEPLOYMENTS, "d", "test")["status"] == {"replicas": 7}


def test_finalizers_hold_a_deleted_object(store: Store) -> None:
    store.create(CONFIGMAPS, configmap() | {"metadata": {"name": "c", "namespace": "test", "finalizers": ["x/y"]}})
    heard: list[str] = []
    store.subscribe(lambda event: heard.append(event.type))
    assert store.delete(CONFIGMAPS, "c", "test")["metadata"]["deletionTimestamp"] == "2026-11-23T12:00:00Z"
    store.change(CONFIGMAPS, "c", "test", lambda o: o["metadata"].update(finalizers=[]))
    assert store.find(CONFIGMAPS, "c", "test") is None
    assert heard == ["MODIFIED", "DELETED"]


def test_a_running_pod_ends_within_its_grace(store: Store, clock: Clock) -> None:
    store.create(PODS, pod(nodeName="lab", terminationGracePeriodSeconds=10))
    marked = store.delete(PODS, "p", "test")["metadata"]
    assert (marked["deletionTimestamp"], marked["deletionGracePeriodSeconds"]) == ("2026-11-23T12:00:10Z", 10)
    version = store.version
    store.delete(PODS, "p", "test")
    assert store.version == version, "deleting twice changes nothing"
    clock.time += timedelta(seconds=1)
    store.delete(PODS, "p", "test", grace=0)
    assert store.find(PODS, "p", "test") is None


@pytest.mark.parametrize(
    ("spec", "status"), [({}, {}), ({"nodeName": "lab"}, {"phase": "Succeeded"})], ids=["unscheduled", "ended"]
)
def test_a_pod_with_nothing_to_end_goes_at_once(store: Store, spec: Obj, status: Obj) -> None:
    store.create(PODS, pod(**spec) | {"status": status})
    store.delete(PODS, "p", "test")
    assert store.find(PODS, "p", "test") is None


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_its_finalizer_for_the_garbage_collector(store: Store, policy: str, finalizer: str) -> None:
    store.create(DEPLOYMENTS, deployment())
    assert store.delete(DEPLOYMENTS, "d", "test", propagation=policy)["metadata"]["finalizers"] == [finalizer]


def test_preconditions_of_a_deletion_are_kept(store: Store) -> None:
    made = store.create(CONFIGMAPS, configmap())
    with pytest.raises(Conflict, match=r"the UID in the precondition .other. does not match the UID in record"):
        store.delete(CONFIGMAPS, "c", "test", uid="other")
    with pytest.raises(Conflict):
        store.delete(CONFIGMAPS, "c", "test", resource_version="1")
    store.delete(
        CONFIGMAPS, "c", "test", uid=made["metadata"]["uid"], resource_version=made["metadata"]["resourceVersion"]
    )


def test_a_terminating_namespace_takes_nothing_new(store: Store) -> None:
    store.delete(NAMESPACES, "test")
    assert store.get(NAMESPACES, "test")["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="because it is being terminated"):
        store.create(CONFIGMAPS, configmap())
    store.change(NAMESPACES, "test", None, lambda o: o["spec"].update(finalizers=[]))
    assert store.find(NAMESPACES, "test") is None


def test_a_watcher_resumes_where_it_was_until_history_is_gone(store: Store) -> None:
    start = store.create(CONFIGMAPS, configmap(n="0"))
    for i in range(3):
        store.change(CONFIGMAPS, "c", "test", lambda o, i=i: o.update(data={"n": str(i + 1)}))
    since = int(start["metadata"]["resourceVersion"])
    assert [event.object["data"]["n"] for event in store.since(CONFIGMAPS, since)] == ["1", "2", "3"]
    assert store.since(CONFIGMAPS, store.version) == []
    for i in range(HISTORY):
        store.change(CONFIGMAPS, "c", "test", lambda o, i=i: o.update(data={"n": f"x{i}"}))
    with pytest.raises(Gone, match="too old resource version"):
        store.since(CONFIGMAPS, since)
    with pytest.raises(Gone):
        store.since(PODS, 1)


def test_a_restarted_store_sends_old_watchers_away(clock: Clock) -> None:
    before = Store(KINDS, clock)
    before.create(NAMESPACES, {"metadata": {"name": "test"}})
    clock.time += timedelta(seconds=5)
    after = Store(KINDS, clock)
    with pytest.raises(Gone):
        after.since(NAMESPACES, before.version)


def test_subscribers_hear_writes_in_order_even_when_one_of_them_writes(store: Store) -> None:
    def react(event: Event) -> None:
        if event.type == "ADDED" and event.object["metadata"]["name"] == "a":
            store.create(CONFIGMAPS, configmap("b"))

    heard: list[str] = []
    store.subscribe(react, CONFIGMAPS)
    stop = store.subscribe(lambda event: heard.append(event.object["metadata"]["name"]), CONFIGMAPS)
    store.create(CONFIGMAPS, configmap("a"))
    assert heard == ["a", "b"]
    stop()
    store.create(CONFIGMAPS, configmap("z"))
    assert heard == ["a", "b"]


def test_lists_are_in_order_and_select_by_labels(store: Store) -> None:
    store.create(NAMESPACES, {"metadata": {"name": "another"}})
    for namespace, name in (("test", "b"), ("test", "a"), ("another", "c")):
        labels = {"app": name, "tier": "x"}
        store.create(CONFIGMAPS, {"metadata": {"name": name, "namespace": namespace, "labels": labels}})
    names = [obj["metadata"]["name"] for obj in store.list(CONFIGMAPS)]
    assert names == ["c", "a", "b"]
    assert [obj["metadata"]["name"] for obj in store.list(CONFIGMAPS, "test", {"app": "b"})] == ["b"]


def test_a_dry_run_answers_and_stores_nothing(store: Store) -> None:
    version = store.version
    store.create(CONFIGMAPS, configmap(), dry_run=True)
    assert (store.find(CONFIGMAPS, "c", "test"), store.version) == (None, version)


def test_large_objects_are_forgotten_sooner_and_those_of_a_namespace_have_a_limit() -> None:
    store = Store(KINDS)
    for name in ("test", "other"):
        store.create(NAMESPACES, {"metadata": {"name": name}})
    meta = {"name": "big", "namespace": "test"}
    first = store.create(CONFIGMAPS, {"metadata": meta, "data": {}})
    for i in range(60):
        store.update(CONFIGMAPS, {"metadata": meta, "data": {"k": f"{i:04}" * 200_000}})
    with pytest.raises(Gone):
        store.since(CONFIGMAPS, int(first["metadata"]["resourceVersion"]))
    kept = store.since(CONFIGMAPS, store.version - 5)
    assert len(kept) == 5, "the last ones can be resumed from"

    def fill() -> None:
        for i in range(100):
            store.create(CONFIGMAPS, {"metadata": meta | {"name": f"c{i}"}, "data": {"k": "x" * 800_000}})

    with pytest.raises(Forbidden, match="exceeded quota"):
        fill()
    store.create(CONFIGMAPS, {"metadata": meta | {"namespace": "other"}, "data": {"k": "x" * 800_000}})
    for obj in store.list(CONFIGMAPS, "test"):
        store.delete(CONFIGMAPS, obj["metadata"]["name"], "test")
    store.create(CONFIGMAPS, {"metadata": meta, "data": {"k": "x" * 800_000}})
