"""Creates and corrects the Services, routes and autoscaler of a target at each tick. Rules only.

`services`, `autoscalers` and `routes` have the contents of these objects.
"""

from __future__ import annotations

from canary_tutorial.flagger import autoscalers, routes, services, structs
from canary_tutorial.flagger.effects import Create, Explained, Get, Log, Obj, RandomLetters, Refused, Rules, Update
from canary_tutorial.flagger.routes import Routes
from canary_tutorial.flagger.spec import Canary, name_of
from canary_tutorial.flagger.targets import Label, find

# -- Services


def reconcile_services(c: Canary, target: Obj, label: Label) -> Rules[None]:
    """`<apex>-canary` selects the target's pods, `<apex>-primary` the primary's."""
    name, value = label
    ports = services.ports(c, target)
    yield from _service(c, services.Wanted(c.canary_service, "canary", name, value, ports))
    yield from _service(c, services.Wanted(c.primary_service, "primary", name, f"{value}-primary", ports))


def reconcile_apex(c: Canary, target: Obj, label: Label) -> Rules[Obj]:
    """The Service that clients call selects the primary's pods. -> what it keeps unmanaged."""
    name, value = label
    wanted = services.Wanted(c.apex, "apex", name, f"{value}-primary", services.ports(c, target))
    return (yield from _service(c, wanted))


def _service(c: Canary, wanted: services.Wanted) -> Rules[Obj]:
    """-> the labels and annotations that are left to others."""
    name = wanted.name
    with Explained("reconcileService failed"):
        with Explained(f"service {name} get query error"):
            current = yield from find("Service", name, c.namespace)
        if current is None:
            with Explained(f"service {name}.{c.namespace} create error"):
                yield Create("Service", services.service(c, wanted))
            yield Log("info", f"Service {name}.{c.namespace} created")
            return {}
        updated = services.reconciled_service(c, current, wanted)
        if updated is not None:
            with Explained(f"service {name} update error"):
                yield Update("Service", updated)
            yield Log("info", f"Service {name} updated")
        return services.unmanaged(c, current)


# -- routes


def reconcile_routes(c: Canary, label: Label, kept: Obj) -> Rules[None]:
    """Both DestinationRules, then the VirtualService, with the labels and annotations that are `kept`."""
    for host in (c.canary_service, c.primary_service):
        with Explained("reconcileDestinationRule failed"):
            yield from _destinationrule(c, host)
    with Explained("reconcileVirtualService failed"):
        yield from _virtualservice(c, label[0], kept)


def _destinationrule(c: Canary, host: str) -> Rules[None]:
    what, spec = f"DestinationRule {host}.{c.namespace}", services.destinationrule_spec(c, host)
    with Explained(f"{what} get query error"):
        current = yield from find("DestinationRule", host, c.namespace)
    if current is None:
        with Explained(f"{what} create error"):
            yield Create("DestinationRule", services.destinationrule(c, host, spec))
        yield Log("info", f"{what} created")
    elif current.get("spec") != spec and routes.without_nulls(current.get("spec")) != routes.without_nulls(spec):
        with Explained(f"{what} update error"):
            yield Update("DestinationRule", {**current, "spec": spec})
        yield Log("info", f"{what} updated")


def _virtualservice(c: Canary, selector: str, kept: Obj) -> Rules[None]:
    what = f"VirtualService {c.apex}.{c.namespace}"
    if c.service.get("delegation") and (c.service.get("hosts") or c.service.get("gateways")):
        raise Refused(f"{what} cannot have hosts and gateways when delegation enabled")
    with Explained(f"{what} get query error", " "):
        current = yield from find("VirtualService", c.apex, c.namespace)
    if current is None:
        with Explained(f"{what} create error"):
            yield Create("VirtualService", routes.new_virtualservice(c, selector, kept))
        yield Log("info", f"{what} created")
        return
    with Explained(f"{what} update error"):
        undelegated = routes.delegated(c, current)
        if undelegated is not None:
            current = yield Update("VirtualService", undelegated)
            yield Log("info", f"{what} updated for delegation")
        updated = routes.reconciled(c, selector, kept, current)
        if updated is not None:
            yield Update("VirtualService", updated)
            yield Log("info", f"{what} updated")


def read_routes(c: Canary) -> Rules[Routes]:
    """The weights in force: what the VirtualService says, not the Canary's status."""
    found = yield from _get_virtualservice(c)
    yield Log("info", f"Canary {c.name}.{c.namespace} uses {'TCP' if routes.is_tcp(c) else 'HTTP'} service")
    return routes.read(c, found)


def set_routes(c: Canary, primary: int, canary: int, mirrored: bool = False) -> Rules[None]:
    """Replace the VirtualService's rules; session affinity's cookies reach the Canary's status with its next write."""
    found = yield from _get_virtualservice(c)
    wanted = Routes(primary, canary, mirrored)
    if routes.is_tcp(c):
        spec = {**(found.get("spec") or {}), "tcp": routes.tcp_rules(c, wanted)}
    else:
        cookies = None
        if c.analysis.get("sessionAffinity"):
            letters = [(yield RandomLetters(10)), (yield RandomLetters(10))]
            cookies = c.cookies = routes.next_cookies(c, wanted, c.cookies, letters)
        spec = {**(found.get("spec") or {}), "http": routes.rules(c, wanted, cookies)}
    with Explained(f"VirtualService {c.apex}.{c.namespace} update failed"):
        yield Update("VirtualService", {**found, "spec": structs.virtualservice(spec)})


def _get_virtualservice(c: Canary) -> Rules[Obj]:
    with Explained(f"VirtualService {c.apex}.{c.namespace} get query error", " "):
        found: Obj = yield Get("VirtualService", c.apex, c.namespace)
    return found


# -- autoscalers


def reconcile_autoscaler(c: Canary, *, update: bool) -> Rules[None]:
    """Make `<autoscaler>-primary` if there is none; with `update`, bring it up to the target's."""
    reference = c.spec.get("autoscalerRef")
    if not reference or reference.get("kind") != "HorizontalPodAutoscaler":
        return
    with Explained(f"HorizontalPodAutoscaler {name_of(reference)}.{c.namespace} get query error"):
        autoscaler = yield Get("HorizontalPodAutoscaler", name_of(reference), c.namespace)
    wanted = autoscalers.primary_autoscaler(c, autoscaler)
    name = wanted["metadata"]["name"]
    what = f"HorizontalPodAutoscaler v2 {name}.{c.namespace}"
    with Explained(f"{what} get query failed"):
        current = yield from find("HorizontalPodAutoscaler", name, c.namespace)
    if current is None:
        with Explained(f"creating {what} failed"):
            yield Create("HorizontalPodAutoscaler", wanted)
        yield Log("info", f"{what} created")
    elif update and autoscalers.autoscaler_differs(autoscaler, current, wanted):
        spec = {**current["spec"], **{k: wanted["spec"].get(k) for k in autoscalers.SCALING}}
        with Explained(f"updating {what} failed"):
            yield Update(
                "HorizontalPodAutoscaler", {**current, "spec": {k: v for k, v in spec.items() if v is not None}}
            )
        yield Log("info", f"{what} updated")
