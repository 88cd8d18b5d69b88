"""Service: its clusterIP. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from canary_tutorial.lab.controllers.effects import Effect, Update
from canary_tutorial.lab.kinds import SERVICES
from canary_tutorial.lab.objects import Obj, clone


def plan(service: Obj, services: list[Obj], addresses: Iterable[str]) -> list[Effect]:
    """The first address that no other Service has."""
    spec = service["spec"]
    if spec.get("clusterIP") or spec.get("type") == "ExternalName":
        return []
    taken = {other["spec"].get("clusterIP") for other in services}
    free = next((address for address in addresses if address not in taken), "None")
    given = clone(service)
    given["spec"] |= {"clusterIP": free, "clusterIPs": [free]}
    return [Update(SERVICES, given)]
