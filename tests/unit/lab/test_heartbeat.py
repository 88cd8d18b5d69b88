"""What the node says of itself, and its sign of life."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from canary_tutorial.lab.api.kinds.registry import KINDS
from canary_tutorial.lab.kinds import LEASES, NAMESPACES, NODES
from canary_tutorial.lab.kubelet import heartbeat
from canary_tutorial.lab.store import Store


def test_the_nodes_lease_is_renewed_and_comes_back() -> None:
    times = [datetime(2026, 11, 23, 12, tzinfo=UTC)]
    store = Store(KINDS, lambda: times[-1])
    store.create(NAMESPACES, {"metadata": {"name": heartbeat.NAMESPACE}})
    store.create(NODES, heartbeat.node("lab", times[-1]))
    heartbeat.renew(store, "lab")
    times.append(times[-1] + timedelta(seconds=10))
    heartbeat.renew(store, "lab")
    lease = store.get(LEASES, "lab", heartbeat.NAMESPACE)
    assert lease["spec"]["renewTime"] == "2026-11-23T12:00:10.000000Z"
    assert lease["metadata"]["ownerReferences"][0]["kind"] == "Node"
    store.delete(LEASES, "lab", heartbeat.NAMESPACE)
    heartbeat.renew(store, "lab")
    assert store.get(LEASES, "lab", heartbeat.NAMESPACE)["spec"]["holderIdentity"] == "lab"


def test_the_node_says_that_it_is_a_lab() -> None:
    node = heartbeat.node("lab", datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert node["metadata"]["labels"]["canary-tutorial.dev/lab"] == "true"


@pytest.mark.parametrize("spec", [None, {}, {"renewTime": None}, "missing"])
def test_a_lease_that_somebody_emptied_is_renewed(spec: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "RENEWAL", 0.01)
    store = Store(KINDS, lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))
    store.create(NAMESPACES, {"metadata": {"name": heartbeat.NAMESPACE}})
    store.create(NODES, heartbeat.node("lab", store.now()))
    lease = {"metadata": {"name": "lab", "namespace": heartbeat.NAMESPACE}}
    store.create(LEASES, lease if spec == "missing" else lease | {"spec": spec})

    async def beat_a_while() -> None:
        async with asyncio.timeout(0.5):
            await heartbeat.beat(store, "lab")

    with pytest.raises(TimeoutError):
        asyncio.run(beat_a_while())

    assert store.get(LEASES, "lab", heartbeat.NAMESPACE)["spec"]["renewTime"] == "2026-11-23T12:00:00.000000Z"
