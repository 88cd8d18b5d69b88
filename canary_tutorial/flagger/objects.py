"""The objects around a target, read and kept right. Rules only; what they look like is in `workloads` and `routes`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from canary_tutorial.flagger import routes, workloads
from canary_tutorial.flagger.effects import Create, Get, Log, Now, Patch, Random, Refused, Rules, TickEnds, Update
from canary_tutorial.flagger.readiness import NotReady, deployment_readiness
from canary_tutorial.flagger.routes import Cookies, Routes
from canary_tutorial.flagger.spec import Canary
from canary_tutorial.flagger.status import has_changed as hash_has_changed
from canary_tutorial.flagger.status import revision_hash

if TYPE_CHECKING:
    from canary_tutorial.flagger.rules import Settings

Obj = dict[str, Any]
SECRET_TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")


def find(kind: str, name: str, namespace: str) -> Rules:
    """The object, or None if there is none."""
    try:
        return (yield Get(kind, name, namespace))
    except Refused as refused:
        if refused.missing:
            return None
        raise


def target(c: Canary) -> Rules:
    try:
        return (yield Get("Deployment", c.target, c.namespace))
    except Refused as refused:
        raise TickEnds(f"deployment {c.target}.{c.namespace} get query error: {refused.message}") from refused


def label(c: Canary, found: Obj, settings: Settings) -> tuple[str, str]:
    try:
        return workloads.selector_label(c, found, list(settings.selector_labels))
    except ValueError as why:
        raise TickEnds(str(why)) from why


# -- Services


def reconcile_services(c: Canary, found: Obj, chosen: tuple[str, str]) -> Rules:
    name, value = chosen
    ports = workloads.ports(c, found)
    metadata = c.service.get("canary"), c.service.get("primary")
    yield from _service(c, workloads.service(c, c.canary_service, name, value, metadata[0], ports))
    yield from _service(c, workloads.service(c, c.primary_service, name, f"{value}-primary", metadata[1], ports))


def reconcile_apex(c: Canary, found: Obj, chosen: tuple[str, str]) -> Rules:
    name, value = chosen
    ports = workloads.ports(c, found)
    yield from _service(c, workloads.service(c, c.apex, name, f"{value}-primary", c.service.get("apex"), ports))


def _service(c: Canary, wanted: Obj) -> Rules:
    name = wanted["metadata"]["name"]
    try:
        current = yield from find("Service", name, c.namespace)
        if current is None:
            yield Create("Service", wanted)
            yield Log("info", f"Service {name}.{c.namespace} created")
            return
        updated = workloads.reconciled_service(c, current, wanted)
        if updated is not None:
            yield Update("Service", updated)
            yield Log("info", f"Service {name} updated")
    except Refused as refused:
        raise TickEnds(f"reconcileService failed: service {name}.{c.namespace} error: {refused.message}") from refused


# -- the primary


def create_primary(c: Canary, found: Obj, chosen: tuple[str, str], settings: Settings) -> Rules:
    """Make the primary if there is none; an existing one is only rewritten by a promotion."""
    if (yield from find("Deployment", c.primary, c.namespace)) is not None:
        return
    configs = yield from copy_configs(c, found, settings)
    flagger_id = yield Random()
    prefixes = list(settings.include_label_prefix)
    try:
        yield Create("Deployment", workloads.new_primary(c, found, chosen, prefixes, flagger_id, configs))
    except Refused as refused:
        raise TickEnds(f"createPrimaryDeployment failed: creating deployment {c.primary}.{c.namespace} error: {refused.message}") from refused
    yield Log("info", f"Deployment {c.primary}.{c.namespace} created")


def promote(c: Canary, chosen: tuple[str, str], settings: Settings) -> Rules:
    """Copy the target's pod template onto the primary."""
    found = yield from target(c)
    try:
        primary = yield Get("Deployment", c.primary, c.namespace)
    except Refused as refused:
        raise TickEnds(f"deployment {c.primary}.{c.namespace} get query error: {refused.message}") from refused
    configs = yield from copy_configs(c, found, settings)
    flagger_id = yield Random()
    prefixes = list(settings.include_label_prefix)
    updated = workloads.promoted_primary(c, primary, found, chosen, prefixes, flagger_id, configs)
    try:
        yield Update("Deployment", updated)
    except Refused as refused:
        raise TickEnds(f"updating deployment {c.primary}.{c.namespace} template spec failed: {refused.message}") from refused


def primary_readiness(c: Canary) -> Rules:
    return (yield from _readiness(c, c.primary, "primary"))


def target_readiness(c: Canary) -> Rules:
    return (yield from _readiness(c, c.target, "canary"))


def _readiness(c: Canary, name: str, which: str) -> Rules:
    try:
        found = yield Get("Deployment", name, c.namespace)
    except Refused as refused:
        return NotReady(f"deployment {name}.{c.namespace} get query error: {refused.message}")
    now = yield Now()
    return deployment_readiness(found, c.deadline, c.ready_threshold(which), now)


def scale_to_zero(c: Canary) -> Rules:
    yield from target(c)
    yield Patch("Deployment", c.target, c.namespace, {"spec": {"replicas": 0}})


def scale_from_zero(c: Canary, found: Obj) -> Rules:
    primary = yield from find("Deployment", c.primary, c.namespace)
    reference = c.spec.get("autoscalerRef")
    autoscaler = (yield from find("HorizontalPodAutoscaler", reference["name"], c.namespace)) if reference else None
    replicas = workloads.replicas_from_zero(c, found, primary, autoscaler)
    yield Patch("Deployment", c.target, c.namespace, {"spec": {"replicas": replicas}})


# -- routes


def reconcile_routes(c: Canary) -> Rules:
    for host in (c.canary_service, c.primary_service):
        yield from _destinationrule(c, workloads.destinationrule(c, host))
    error = routes.delegation_error(c)
    if error:
        raise TickEnds(f"reconcileVirtualService failed: {error}")
    try:
        current = yield from find("VirtualService", c.apex, c.namespace)
        if current is None:
            yield Create("VirtualService", routes.new_virtualservice(c, workloads.owner_reference(c)))
            yield Log("info", f"VirtualService {c.apex}.{c.namespace} created")
            return
        updated = routes.reconciled(c, current)
        if updated is not None:
            yield Update("VirtualService", updated)
            yield Log("info", f"VirtualService {c.apex}.{c.namespace} updated")
    except Refused as refused:
        raise TickEnds(
            f"reconcileVirtualService failed: VirtualService {c.apex}.{c.namespace} error: {refused.message}"
        ) from refused


def _destinationrule(c: Canary, wanted: Obj) -> Rules:
    name = wanted["metadata"]["name"]
    try:
        current = yield from find("DestinationRule", name, c.namespace)
        if current is None:
            yield Create("DestinationRule", wanted)
            yield Log("info", f"DestinationRule {name}.{c.namespace} created")
        elif current.get("spec") != wanted["spec"]:
            yield Update("DestinationRule", {**current, "spec": wanted["spec"]})
            yield Log("info", f"DestinationRule {name}.{c.namespace} updated")
    except Refused as refused:
        raise TickEnds(
            f"reconcileDestinationRule failed: DestinationRule {name}.{c.namespace} error: {refused.message}"
        ) from refused


def read_routes(c: Canary) -> Rules:
    found = yield from _virtualservice(c)
    try:
        return routes.read(c, found)
    except ValueError as why:
        raise TickEnds(str(why)) from why


def set_routes(c: Canary, primary: int, canary: int, mirrored: bool = False) -> Rules:
    """Replace the VirtualService's rules; cookies of session affinity go into the Canary's status later."""
    found = yield from _virtualservice(c)
    wanted = Routes(primary, canary, mirrored)
    if routes.is_tcp(c):
        spec = {**found["spec"], "tcp": routes.tcp_rules(c, wanted)}
    else:
        cookies = None
        if c.analysis.get("sessionAffinity"):
            letters = [(yield Random(10)), (yield Random(10))]
            cookies = routes.next_cookies(c, wanted, Cookies.of(c), letters)
            c.obj.setdefault("status", {}).update(cookies.as_status())
        spec = {**found["spec"], "http": routes.rules(c, wanted, cookies)}
    try:
        yield Update("VirtualService", {**found, "spec": spec})
    except Refused as refused:
        raise TickEnds(f"VirtualService {c.apex}.{c.namespace} update failed: {refused.message}") from refused


def cookie_fields(c: Canary) -> Obj:
    """Session affinity's cookies ride along with the next status write."""
    return Cookies.of(c).as_status() if c.analysis.get("sessionAffinity") else {}


def _virtualservice(c: Canary) -> Rules:
    try:
        return (yield Get("VirtualService", c.apex, c.namespace))
    except Refused as refused:
        raise TickEnds(f"VirtualService {c.apex}.{c.namespace} get query error: {refused.message}") from refused


# -- autoscalers


def create_autoscaler(c: Canary) -> Rules:
    autoscaler = yield from _autoscaler(c)
    if autoscaler is None:
        return
    wanted = workloads.primary_autoscaler(c, autoscaler)
    name = wanted["metadata"]["name"]
    if (yield from find("HorizontalPodAutoscaler", name, c.namespace)) is None:
        yield Create("HorizontalPodAutoscaler", wanted)
        yield Log("info", f"HorizontalPodAutoscaler v2 {name}.{c.namespace} created")


def sync_autoscaler(c: Canary) -> Rules:
    """Bring the primary's autoscaler up to the target's."""
    autoscaler = yield from _autoscaler(c)
    if autoscaler is None:
        return
    wanted = workloads.primary_autoscaler(c, autoscaler)
    name = wanted["metadata"]["name"]
    current = yield from find("HorizontalPodAutoscaler", name, c.namespace)
    if current is None:
        yield Create("HorizontalPodAutoscaler", wanted)
        yield Log("info", f"HorizontalPodAutoscaler v2 {name}.{c.namespace} created")
        return
    fields = ("metrics", "behavior", "minReplicas", "maxReplicas")
    if any(current["spec"].get(field) != wanted["spec"].get(field) for field in fields):
        yield Update("HorizontalPodAutoscaler", {**current, "spec": {**current["spec"], **wanted["spec"]}})
        yield Log("info", f"HorizontalPodAutoscaler v2 {name}.{c.namespace} updated")


def _autoscaler(c: Canary) -> Rules:
    reference = c.spec.get("autoscalerRef")
    if not reference or reference.get("kind") != "HorizontalPodAutoscaler":
        return None
    try:
        return (yield Get("HorizontalPodAutoscaler", reference["name"], c.namespace))
    except Refused as refused:
        raise TickEnds(
            f"HorizontalPodAutoscaler {reference['name']}.{c.namespace} get query error: {refused.message}"
        ) from refused


# -- ConfigMaps, Secrets, revisions


def configs(c: Canary, found: Obj, settings: Settings) -> Rules:
    """The tracked ConfigMaps and Secrets of a target: `configmap/<name>` -> object."""
    tracked: dict[str, Obj] = {}
    if not settings.config_tracking:
        return tracked
    for reference, optional in workloads.config_references(found["spec"]["template"]["spec"]).items():
        kind, _, name = reference.partition("/")
        obj = yield from find({"configmap": "ConfigMap", "secret": "Secret"}[kind], name, c.namespace)
        if obj is None:
            if optional:
                continue
            raise TickEnds(f'{kind} {name}.{c.namespace} get query error: {kind}s "{name}" not found')
        annotations = obj["metadata"].get("annotations") or {}
        if str(annotations.get("flagger.app/config-tracking", "")).startswith("disable"):
            continue
        if kind == "secret" and obj.get("type", "Opaque") not in SECRET_TYPES:
            continue
        tracked[reference] = obj
    return tracked


def tracked_configs(c: Canary, found: Obj, settings: Settings) -> Rules:
    """Reference -> checksum, as the status keeps them; None where tracking is off."""
    if not settings.config_tracking:
        return None
    tracked = yield from configs(c, found, settings)
    return {reference: _checksum(obj) for reference, obj in tracked.items()}


def copy_configs(c: Canary, found: Obj, settings: Settings) -> Rules:
    """Write `<name>-primary` of each tracked one; returns their references."""
    tracked = yield from configs(c, found, settings)
    for reference, obj in tracked.items():
        kind = {"configmap": "ConfigMap", "secret": "Secret"}[reference.partition("/")[0]]
        wanted = workloads.config_copy(c, {"kind": kind, **obj}, list(settings.include_label_prefix))
        name = wanted["metadata"]["name"]
        current = yield from find(kind, name, c.namespace)
        if current is None:
            yield Create(kind, wanted)
        else:
            version = {"resourceVersion": current["metadata"].get("resourceVersion")}
            yield Update(kind, {**wanted, "metadata": {**wanted["metadata"], **version}})
        yield Log("info", f"{kind} {name} synced")
    return set(tracked)


def has_changed(c: Canary, found: Obj, settings: Settings) -> Rules:
    """Whether the target or what it tracks is a new revision."""
    if hash_has_changed(c.status, revision_hash(found["spec"]["template"])):
        return True
    current = yield from tracked_configs(c, found, settings)
    before = c.status.get("trackedConfigs")
    if current is None or before is None:
        return False
    for reference in sorted(set(current) | set(before)):
        if current.get(reference) != before.get(reference):
            kind, _, name = reference.partition("/")
            yield Log("info", f"{kind} {name} has changed")
            return True
    return False


def _checksum(obj: Obj) -> str:
    body = json.dumps(obj.get("data"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()[:16]
