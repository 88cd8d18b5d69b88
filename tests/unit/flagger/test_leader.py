"""Of several controllers one acts: who may take the lease, and when it is lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_kube import FakeKube, run

from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.flags import parse
from canary_tutorial.flagger.leader import NAME, RENEW_DEADLINE, Election, may_take
from canary_tutorial.flagger.startup import lead

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def held(by: str, seconds: float, duration: int = 60) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return {"spec": {"holderIdentity": by, "renewTime": renewed, "leaseDurationSeconds": duration}}


@pytest.mark.parametrize(
    ("lease", "mine"),
    [
        pytest.param({}, True, id="nobody-had-it"),
        pytest.param(held("", 0), True, id="given-back"),
        pytest.param(held("me", 5), True, id="mine"),
        pytest.param(held("other", 60), False, id="of-another"),
        pytest.param(held("other", 61), True, id="run-out"),
        pytest.param(held("other", 20, duration=15), True, id="run-out-by-its-own-duration"),
    ],
)
def test_who_may_take_the_lease(lease: dict[str, Any], mine: bool):
    assert may_take(lease, "me", NOW) is mine


class Leases(FakeKube):
    """Refuses `refusals` writes of leases."""

    refusals = 0

    async def update(self, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
        if self.refusals:
            self.refusals -= 1
            raise Refused("connection refused")
        return await super().update(kind, obj)


def election(kube: FakeKube, identity: str) -> Election:
    made = Election(kube, "kube-system")  # type: ignore[arg-type]
    made.identity = identity
    return made


def lease_of(kube: FakeKube) -> dict[str, Any]:
    found: dict[str, Any] = kube.objects["Lease", "kube-system", NAME]["spec"]
    return found


def test_the_second_waits_until_the_first_lets_its_lease_run_out():
    async def work() -> None:
        kube = Leases()
        await election(kube, "first").won()
        second = asyncio.create_task(election(kube, "second").won())
        await asyncio.sleep(30)
        assert not second.done()
        assert lease_of(kube)["holderIdentity"] == "first"
        long_ago = {"renewTime": "2020-01-01T00:00:00.000000Z", "acquireTime": "2020-01-01T00:00:00.000000Z"}
        kube.edit("Lease", NAME, lambda obj: obj["spec"].update(long_ago), "kube-system")
        await asyncio.wait_for(second, 30)
        taken = lease_of(kube)
        assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("second", 1)
        assert taken["acquireTime"] == taken["renewTime"]

    run(work())


def test_a_renewal_keeps_the_time_of_the_lease_being_taken():
    async def work() -> None:
        kube = Leases()
        mine = election(kube, "mine")
        await mine.won()
        taken = lease_of(kube)["acquireTime"]
        await mine.won()
        assert lease_of(kube)["acquireTime"] == taken
        assert lease_of(kube)["renewTime"] > taken
        assert lease_of(kube)["leaseTransitions"] == 0

    run(work())


@pytest.mark.parametrize(("refusals", "kept"), [(2, True), (1000, False)], ids=["a-hiccup", "for-good"])
def test_a_leader_acts_on_through_a_hiccup_but_not_without_an_api(refusals: int, kept: bool):
    async def work() -> None:
        kube = Leases()
        mine = election(kube, "mine")
        await mine.won()
        kube.refusals = refusals
        acting = asyncio.create_task(mine.kept())
        await asyncio.sleep(RENEW_DEADLINE * 4)
        assert acting.done() is not kept

    run(work())


def test_who_stops_gives_the_lease_back_and_the_next_one_leads():
    async def work() -> None:
        kube = Leases()
        await election(kube, "first").won()
        await election(kube, "second").give_back()
        assert lease_of(kube)["holderIdentity"] == "first"
        await election(kube, "first").give_back()
        free = lease_of(kube)
        assert (free["holderIdentity"], free["leaseDurationSeconds"], free["leaseTransitions"]) == ("", 1, 0)
        await election(kube, "second").won()
        taken = lease_of(kube)
        assert (taken["holderIdentity"], taken["leaseDurationSeconds"], taken["leaseTransitions"]) == ("second", 60, 1)

    run(work())


@pytest.mark.parametrize("flags", [[], ["-namespace=test"]], ids=["all-namespaces", "one-namespace"])
def test_a_signal_ends_the_acting_and_gives_the_lease_back(flags: list[str]):
    async def work() -> None:
        kube, acting = Leases(), asyncio.Event()

        async def act() -> None:
            acting.set()
            await asyncio.Event().wait()

        leading = asyncio.create_task(lead(kube, parse(flags), act))  # type: ignore[arg-type]
        await acting.wait()
        where = "test" if flags else "kube-system"
        assert kube.objects["Lease", where, NAME]["spec"]["holderIdentity"]
        leading.cancel()
        await asyncio.wait([leading])
        assert kube.objects["Lease", where, NAME]["spec"]["holderIdentity"] == ""

    run(work())
