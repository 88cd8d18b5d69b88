"""The target Deployment and its primary: creates, promotes, scales and checks them. Rules only; see also `primaries`."""

from __future__ import annotations

from collections.abc import Callable

from canary_tutorial.flagger import autoscalers, configs, primaries, texts
from canary_tutorial.flagger.effects import Create, Explained, Get, Log, Now, Obj, Patch, Refused, Rules, Update, Uuid
from canary_tutorial.flagger.readiness import NotReady, deployment_readiness
from canary_tutorial.flagger.spec import Canary, Settings, name_of
from canary_tutorial.flagger.status import has_changed as is_new_revision
from canary_tutorial.flagger.status import revision_hash

Label = tuple[str, str]  # the selector label that tells primary from canary, and the target's value of it


def find(kind: str, name: str, namespace: str) -> Rules[Obj | None]:
    """The object, or None if there is none."""
    try:
        found: Obj = yield Get(kind, name, namespace)
    except Refused as refused:
        if refused.missing:
            return None
        raise
    return found


def deployment(c: Canary, name: str) -> Rules[Obj]:
    with Explained(f"deployment {name}.{c.namespace} get query error"):
        found: Obj = yield Get("Deployment", name, c.namespace)
    return found


def target(c: Canary) -> Rules[Obj]:
    return (yield from deployment(c, c.target))


def has_changed(c: Canary, settings: Settings) -> Rules[bool]:
    """Whether the target's pod template, or a config that it names, is a new revision for this status."""
    found = yield from target(c)
    if is_new_revision(c.status, revision_hash((found.get("spec") or {}).get("template"))):
        return True
    with Explained("GetTargetConfigs failed"):
        return (yield from configs.have_changed(c, found, settings))


# -- the primary


def create_primary(c: Canary, found: Obj, label: Label, settings: Settings) -> Rules[None]:
    """Make the primary if there is none; an existing one is only rewritten by a promotion."""
    with Explained("createPrimaryDeployment failed"):
        if (yield from find("Deployment", c.primary, c.namespace)) is not None:
            return
        template = yield from _primary_template(c, found, label, settings)
        wanted = primaries.new_primary(c, found, label, settings, template)
        with Explained(f"creating deployment {c.primary}.{c.namespace} failed"):
            yield Create("Deployment", wanted)
    yield Log("info", f"Deployment {c.primary}.{c.namespace} created")


def promote(c: Canary, label: Label, settings: Settings) -> Rules[None]:
    """Copy the target's pod template, and the configs that it names, onto the primary."""
    with Explained(f"updating deployment {c.primary}.{c.namespace} template spec failed"):
        found = yield from target(c)
        primary = yield from deployment(c, c.primary)
        template = yield from _primary_template(c, found, label, settings)
        yield Update("Deployment", primaries.promoted_primary(c, primary, found, label, settings, template))


def _primary_template(c: Canary, found: Obj, label: Label, settings: Settings) -> Rules[Obj]:
    copies = yield from configs.copy_to_primary(c, found, settings)
    flagger_id = yield Uuid()
    return primaries.primary_template(c, found, label, settings, flagger_id, copies)


# -- readiness; None is ready


def primary_readiness(c: Canary) -> Rules[NotReady | None]:
    return (yield from _readiness(c, c.primary, "primary", texts.primary_not_ready))


def target_readiness(c: Canary) -> Rules[NotReady | None]:
    return (yield from _readiness(c, c.target, "canary", texts.target_not_ready))


def _readiness(c: Canary, name: str, which: str, text: Callable[[Canary, str], str]) -> Rules[NotReady | None]:
    try:
        found = yield Get("Deployment", name, c.namespace)
    except Refused as refused:
        return NotReady(f"deployment {name}.{c.namespace} get query error: {refused.message}")
    now = yield Now()
    why = deployment_readiness(found, c.deadline, c.ready_threshold(which), now)
    return why and NotReady(text(c, why.text), why.retriable)


# -- replicas


def scale_to_zero(c: Canary) -> Rules[None]:
    yield from target(c)
    yield from scale(c, 0)


def scale_from_zero(c: Canary) -> Rules[None]:
    """As many pods as the target asks for; else as the primary has, or as its autoscaler wants at least."""
    found = yield from target(c)
    reference = c.spec.get("autoscalerRef")
    primary = autoscaler = None
    if reference:
        autoscaler = yield from find("HorizontalPodAutoscaler", name_of(reference), c.namespace)
    else:
        primary = yield from find("Deployment", c.primary, c.namespace)
    yield from scale(c, autoscalers.replicas_from_zero(c, found, primary, autoscaler))


def scale(c: Canary, replicas: int) -> Rules[None]:
    with Explained(f"deployment {c.target}.{c.namespace} update query error"):
        yield Patch("Deployment", c.target, c.namespace, {"spec": {"replicas": replicas}})
