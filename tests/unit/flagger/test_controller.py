"""The loops: cadence, one job per Canary, list and watch, deletion, and no leak. The clock is the tests' own."""

from __future__ import annotations

import asyncio
import copy
import gc
import io
import json
import sys
from typing import Any

import pytest
from fake_kube import FakeKube, run
from flagger_world import canary, podinfo

from canary_tutorial.flagger.controller import Controller
from canary_tutorial.flagger.finalizing import FINALIZER
from canary_tutorial.flagger.job import Job
from canary_tutorial.flagger.logs import Logger
from canary_tutorial.flagger.metrics import Recorder
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.spec import Settings


def new_canary(name: str = "podinfo", **spec: Any) -> dict[str, Any]:
    """As a user applies it: no status."""
    obj = canary({"metrics": []}, name=name, **spec)
    del obj["status"]
    del obj["metadata"]["uid"]
    obj["spec"]["targetRef"]["name"] = name
    return obj


def sizes(controller: Controller) -> dict[str, int]:
    """How much a controller remembers of Canaries."""
    remembered = ("_cache", "_scheduled", "_jobs", "_queued", "_background")
    told = controller._performer.correlator._told
    return {"told": len(told)} | {name.strip("_"): len(getattr(controller, name)) for name in remembered}


class Cluster:
    """A controller on a fake API."""

    def __init__(self, settings: Settings | None = None, control_loop: float = 10) -> None:
        self.kube, self.said = FakeKube(), io.StringIO()
        self.recorder = Recorder("1.44.0", "istio")
        performer = Performer(self.kube, self.recorder, Logger("info", self.said), "http://127.0.0.1:1")  # type: ignore[arg-type]
        self.controller = Controller(performer, settings or Settings(), control_loop)
        self.ticks: list[tuple[float, str]] = []
        tick = performer.tick

        async def counted(name: str, namespace: str, settings: Settings) -> None:
            self.ticks.append((asyncio.get_running_loop().time(), name))
            await tick(name, namespace, settings)

        performer.tick = counted  # type: ignore[method-assign]

    async def __aenter__(self) -> Cluster:
        self._task = asyncio.create_task(self.controller.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def apply(self, name: str = "podinfo", **spec: Any) -> None:
        self.kube.put(podinfo(name))
        self.kube.put(new_canary(name, **spec))

    def status(self, name: str = "podinfo") -> dict[str, Any]:
        return self.kube.objects["Canary", "test", name].get("status") or {}

    def log(self) -> str:
        return self.said.getvalue()


# -- jobs


def beats(durations: list[float], interval: float = 10.0, until: float = 100.0) -> list[float]:
    """When a job ticks whose ticks take so long (the last one's time again and again)."""

    async def work() -> list[float]:
        began: list[float] = []
        clock = asyncio.get_running_loop().time

        async def tick() -> None:
            took = durations[min(len(began), len(durations) - 1)]
            began.append(clock())
            await asyncio.sleep(took)

        job = Job(tick, interval)
        await asyncio.sleep(until)
        job.stop()
        await job.ended()
        return began

    found: list[float] = run(work())
    return found


def test_a_job_ticks_at_once_and_then_on_the_beat():
    assert beats([1.0], until=45) == [0, 10, 20, 30, 40]


def test_late_ticks_coalesce_and_the_beat_stays():
    assert beats([25.0, 1.0], until=55) == [0, 25, 30, 40, 50]


def test_ticks_never_overlap():
    assert beats([12.0], until=50) == [0, 12, 24, 36, 48]


def test_a_stopped_job_ends_its_tick_and_its_heir_waits_for_it():
    async def work() -> list[str]:
        said: list[str] = []

        async def tick(name: str) -> None:
            said.append(f"{name} begins")
            await asyncio.sleep(5)
            said.append(f"{name} ends")

        first = Job(lambda: tick("first"), 60)
        await asyncio.sleep(1)
        first.stop()
        second = Job(lambda: tick("second"), 60, after=first)
        await asyncio.sleep(20)
        second.stop()
        await second.ended()
        return said

    assert run(work()) == ["first begins", "first ends", "second begins", "second ends"]


# -- the controller


def test_a_canary_is_initializing_at_once_and_ticks_from_the_next_control_loop_on():
    async def work() -> None:
        async with Cluster() as cluster:
            await asyncio.sleep(3)
            cluster.apply()
            await asyncio.sleep(1)
            assert cluster.status()["phase"] == "Initializing"
            (condition,) = cluster.status()["conditions"]
            assert (condition["type"], condition["status"]) == ("Promoted", "Unknown")
            assert cluster.ticks == []
            assert "Synced test/podinfo" in cluster.log()
            await asyncio.sleep(100)
            assert [when for when, _ in cluster.ticks] == [10, 40, 70, 100]
            assert cluster.status()["phase"] == "Initialized"

    run(work())


def test_an_edited_interval_starts_the_job_anew():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply()
            await asyncio.sleep(25)
            cluster.kube.edit("Canary", "podinfo", lambda obj: obj["spec"]["analysis"].update(interval="15s"))
            await asyncio.sleep(40)
            assert [when for when, _ in cluster.ticks] == [10, 30, 45, 60]

    run(work())


@pytest.mark.parametrize(("least", "ticks"), [(10.0, 3), (1.0, 21)], ids=["as-flagger", "as-the-lab"])
def test_short_intervals_are_raised(least: float, ticks: int):
    async def work() -> None:
        async with Cluster(Settings(least_interval=least)) as cluster:
            cluster.apply()
            cluster.kube.edit("Canary", "podinfo", lambda obj: obj["spec"]["analysis"].update(interval="1s"))
            await asyncio.sleep(30.5)
            assert len(cluster.ticks) == ticks

    run(work())


def test_each_canary_has_a_job_of_its_own():
    async def work() -> None:
        async with Cluster() as cluster:
            for name in ("a", "b", "c"):
                cluster.apply(name)
            await asyncio.sleep(45)
            assert sorted(cluster.ticks) == sorted((when, name) for when in (10, 40) for name in "abc")
            total = cluster.recorder.registry.get_sample_value("flagger_canary_total", {"namespace": "test"})
            assert total == 3

    run(work())


def test_two_canaries_with_one_target_are_complained_of():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply()
            twin = new_canary("podinfo")
            twin["metadata"]["name"] = "twin"
            cluster.kube.put(twin)
            await asyncio.sleep(12)
            text = "Bad things will happen! Found more than one canary with the same target podinfo.test"
            assert cluster.log().count(text) == 2

    run(work())


def test_the_watch_is_taken_up_again_and_nothing_is_lost():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply("a")
            await asyncio.sleep(5)
            cluster.kube.broken = 3
            cluster.kube.break_watches()
            await asyncio.sleep(0.1)
            cluster.apply("b")
            cluster.kube.remove("Canary", "a")
            await asyncio.sleep(20)
            assert cluster.status("b")["phase"] == "Initialized"
            assert "Deleting a.test from cache" in cluster.log()
            assert sizes(cluster.controller)["cache"] == 1

    run(work())


def test_a_canary_that_is_not_in_order_waits_for_an_edit():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.kube.put(podinfo())
            bad = new_canary()
            bad["spec"]["analysis"]["sessionAffinity"] = {}
            bad["spec"]["analysis"]["sessionAffinity"]["maxAge"] = 5
            cluster.kube.put(bad)
            await asyncio.sleep(30)
            assert (cluster.ticks, cluster.status()) == ([], {})
            fix = {"cookieName": "user"}
            cluster.kube.edit("Canary", "podinfo", lambda obj: obj["spec"]["analysis"].update(sessionAffinity=fix))
            await asyncio.sleep(20)
            assert cluster.status()["phase"] == "Initialized"

    run(work())


def test_references_into_other_namespaces_can_be_forbidden():
    async def work() -> None:
        async with Cluster(Settings(no_cross_namespace_refs=True)) as cluster:
            cluster.kube.put(podinfo())
            bad = new_canary()
            reference = {"name": "errors", "namespace": "other"}
            bad["spec"]["analysis"]["metrics"] = [{"name": "x", "templateRef": reference}]
            cluster.kube.put(bad)
            await asyncio.sleep(30)
            text = "can't access metric template errors.other, cross-namespace references are blocked"
            assert text in cluster.log()
            assert cluster.ticks == []

    run(work())


def test_one_canarys_trouble_does_not_end_its_ticks(monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply()
            get = cluster.kube.get

            async def broken(kind: str, name: str, namespace: str) -> Any:
                if len(cluster.ticks) == 1:
                    raise RuntimeError("a mistake of ours")
                return await get(kind, name, namespace)

            monkeypatch.setattr(cluster.kube, "get", broken)
            await asyncio.sleep(45)
            assert "tick failed: RuntimeError('a mistake of ours')" in cluster.log()
            assert cluster.status()["phase"] == "Initialized"

    run(work())


# -- deletion


def test_without_revert_a_deleted_canary_just_stops():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply()
            await asyncio.sleep(45)
            assert cluster.kube.objects["Deployment", "test", "podinfo"]["spec"]["replicas"] == 0
            cluster.kube.remove("Canary", "podinfo")
            ticks = len(cluster.ticks)
            await asyncio.sleep(60)
            assert len(cluster.ticks) == ticks
            assert cluster.kube.objects["Deployment", "test", "podinfo"]["spec"]["replicas"] == 0

    run(work())


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.mark.parametrize("how", ["last-applied", "original", "made-by-flagger"])
def test_with_revert_everything_is_given_back(how: str):
    async def work() -> None:
        async with Cluster() as cluster:
            spec = {"hosts": ["podinfo"], "http": [{"route": [{"destination": {"host": "podinfo"}}]}]}
            service = {"selector": {"app": "podinfo"}, "ports": [{"name": "http", "port": 9898, "targetPort": 9898}]}
            if how != "made-by-flagger":
                for kind, old in (("VirtualService", spec), ("Service", service)):
                    note = {LAST_APPLIED: json.dumps({"spec": old})} if how == "last-applied" else {}
                    meta = {"name": "podinfo", "namespace": "test", "annotations": note}
                    cluster.kube.put({"kind": kind, "metadata": meta, "spec": copy.deepcopy(old)})
            cluster.apply(revertOnDeletion=True)
            await asyncio.sleep(45)
            canary_ = cluster.kube.objects["Canary", "test", "podinfo"]
            assert canary_["metadata"]["finalizers"] == ["finalizer.flagger.app"]
            assert cluster.kube.objects["Deployment", "test", "podinfo"]["spec"]["replicas"] == 0
            cluster.kube.remove("Canary", "podinfo")
            await asyncio.sleep(5)
            assert ("Canary", "test", "podinfo") not in cluster.kube.objects
            assert cluster.kube.objects["Deployment", "test", "podinfo"]["spec"]["replicas"] == 1
            if how != "made-by-flagger":
                back = {**spec, "http": [{"route": [{"destination": {"host": "podinfo"}, "weight": 0}]}]}
                assert cluster.kube.objects["VirtualService", "test", "podinfo"]["spec"] == back
                selector = cluster.kube.objects["Service", "test", "podinfo"]["spec"]["selector"]
                assert selector == {"app": "podinfo"}
            said = [event for event in cluster.kube.events if "ing canary" in event or "Terminated" in event]
            assert said[-2:] == ["Terminating canary podinfo.test", "Terminated canary podinfo.test"]

    run(work())


def test_a_target_that_does_not_wake_keeps_its_canary_until_it_does():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply(revertOnDeletion=True)
            await asyncio.sleep(45)
            store = cluster.kube._store

            def sleepy(key: Any, obj: Any) -> Any:
                stored = store(key, obj)
                if key == ("Deployment", "test", "podinfo"):
                    stored["status"]["availableReplicas"] = 0
                return stored

            cluster.kube._store = sleepy  # type: ignore[method-assign]
            cluster.kube.remove("Canary", "podinfo")
            await asyncio.sleep(60)
            assert cluster.status()["phase"] == "Terminating"
            assert "canary not ready during finalizing: canary deployment podinfo.test not ready" in cluster.log()
            cluster.kube._store = store  # type: ignore[method-assign]
            cluster.kube.edit("Deployment", "podinfo", lambda obj: None)
            await asyncio.sleep(60)
            assert ("Canary", "test", "podinfo") not in cluster.kube.objects

    run(work())


def test_turning_revert_off_takes_the_finalizer_off():
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.apply(revertOnDeletion=True)
            await asyncio.sleep(15)
            cluster.kube.edit("Canary", "podinfo", lambda obj: obj["spec"].update(revertOnDeletion=False))
            await asyncio.sleep(5)
            assert "finalizers" not in cluster.kube.objects["Canary", "test", "podinfo"]["metadata"]
            assert "podinfo.test opting out, deleting finalizers" in cluster.log()

    run(work())


@pytest.mark.parametrize(("conflicts", "told"), [(3, False), (4, True)], ids=["settled-at-once", "at-the-next-look"])
def test_a_finalizer_is_written_on_a_fresh_read_after_a_conflict(conflicts: int, told: bool):
    async def work() -> None:
        async with Cluster() as cluster:
            cluster.kube.conflicts = conflicts
            cluster.apply(revertOnDeletion=True)
            await asyncio.sleep(5)
            assert cluster.kube.objects["Canary", "test", "podinfo"]["metadata"]["finalizers"] == [FINALIZER]
            assert ("the object has been modified" in cluster.log()) is told

    run(work())


# -- a long life


def test_ten_thousand_canaries_that_came_and_went_leave_nothing():
    async def work() -> tuple[dict[str, int], int, int]:
        async with Cluster() as cluster:

            async def wave(number: int) -> None:
                names = [f"app-{number}-{index}" for index in range(1000)]
                for name in names:
                    cluster.apply(name, skipAnalysis=True)
                await asyncio.sleep(12)
                assert len(cluster.ticks) == len(names)
                for name in names:
                    cluster.kube.remove("Canary", name)
                await asyncio.sleep(12)
                cluster.kube.objects.clear()
                cluster.kube.events.clear()
                cluster.ticks.clear()
                cluster.said.seek(0)
                cluster.said.truncate()
                gc.collect()

            await wave(0)
            before = sys.getallocatedblocks()
            for number in range(1, 10):
                await wave(number)
            return sizes(cluster.controller), sys.getallocatedblocks() - before, len(asyncio.all_tasks())

    left, grown, tasks = run(work())
    assert set(left.values()) == {0}
    assert tasks < 10
    assert grown < 2000, "blocks of memory that nine thousand Canaries left behind"
