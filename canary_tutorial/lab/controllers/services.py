"""Service: its clusterIP, where the API server did not give it one on its creation. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from canary_tutorial.lab.controllers.controller import Context, Controller, Key, key_of
from canary_tutorial.lab.controllers.effects import Effect, Update
from canary_tutorial.lab.kinds import SERVICES
from canary_tutorial.lab.objects import Obj, clone
from canary_tutorial.lab.store import Event, Store


def concerns(event: Event, store: Store) -> Iterator[Key]:
    if event.kind is SERVICES:
        yield key_of(SERVICES, event.object)


def reconcile(service: Obj, context: Context) -> list[Effect]:
    return plan(service, context.store.list(SERVICES), context.service_addresses())


def plan(service: Obj, services: list[Obj], addresses: Iterable[str]) -> list[Effect]:
    """The first address that no other Service has."""
    spec = service["spec"]
    if spec.get("clusterIP") or spec.get("type") == "ExternalName":
        return []
    taken = {other["spec"].get("clusterIP") for other in services}
    free = next((address for address in addresses if address not in taken), None)
    if free is None:  # the API server says so to who makes one too many
        return []
    given = clone(service)
    given["spec"] |= {"clusterIP": free, "clusterIPs": [free]}
    return [Update(SERVICES, given)]


CONTROLLER = Controller(SERVICES, concerns, reconcile)
