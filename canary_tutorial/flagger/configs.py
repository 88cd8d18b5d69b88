"""Tracked ConfigMaps and Secrets: those that a target names, whether they changed, the primary's copies. Rules only."""

from __future__ import annotations

import hashlib

from canary_tutorial.flagger import config_sources, owned
from canary_tutorial.flagger.effects import Create, Explained, Get, Log, Obj, Refused, Rules, Update
from canary_tutorial.flagger.golang import go_json
from canary_tutorial.flagger.spec import Canary, Settings

KINDS = {"configmap": "ConfigMap", "secret": "Secret"}
SECRET_TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
OPT_OUT = "flagger.app/config-tracking"  # an annotation whose value begins with "disable"


def checksums(c: Canary, target: Obj, settings: Settings) -> Rules[dict[str, str] | None]:
    """`configmap/<name>` or `secret/<name>` -> checksum, as the status keeps them; None where tracking is off."""
    if not settings.config_tracking:
        return None
    found = yield from _tracked(c, target)
    return {reference: checksum(obj) for reference, obj in found.items()}


def have_changed(c: Canary, target: Obj, settings: Settings) -> Rules[bool]:
    """Whether what the target names differs from what the status says."""
    current = yield from checksums(c, target, settings)
    before = c.status.get("trackedConfigs") or {}
    if current is None:
        return False
    if len(current) != len(before):
        return True
    for reference, value in current.items():
        if before.get(reference) != value:
            yield Log("info", f"{reference.replace('/', ' ', 1)} has changed")
            return True
    return False


def copy_to_primary(c: Canary, target: Obj, settings: Settings) -> Rules[set[str]]:
    """Write `<name>-primary` of each; returns their references, so that the primary's pods can name the copies."""
    if not settings.config_tracking:
        return set()
    with Explained("GetTargetConfigs failed"):
        found = yield from _tracked(c, target)
    with Explained("CreatePrimaryConfigs failed"):
        for reference, obj in found.items():
            kind = KINDS[reference.partition("/")[0]]
            wanted = config_sources.config_copy(c, {**obj, "kind": kind}, list(settings.include_label_prefix))
            yield from _write(c, kind, wanted)
    return set(found)


def _write(c: Canary, kind: str, wanted: Obj) -> Rules[None]:
    name = wanted["metadata"]["name"]
    where = f"{kind.lower()} {name}.{c.namespace} failed"
    try:
        yield Update(kind, wanted)
    except Refused as refused:
        if not refused.missing:
            raise Refused(f"updating {where}: {refused.message}") from refused
        with Explained(f"creating {where}"):
            yield Create(kind, wanted)
    yield Log("info", f"{kind} {name} synced")


def _tracked(c: Canary, target: Obj) -> Rules[dict[str, Obj]]:
    """Reference -> object, of those that are followed."""
    found: dict[str, Obj] = {}
    for reference, optional in config_sources.config_references(owned.pod_spec(target)).items():
        kind, _, name = reference.partition("/")
        try:
            obj = yield Get(KINDS[kind], name, c.namespace)
        except Refused as refused:
            if optional and refused.missing:
                continue
            what = f"{kind} {name}.{c.namespace} get query error"
            raise Refused(f"{what}: {what}: {refused.message}") from refused  # Flagger says it twice
        if str((obj["metadata"].get("annotations") or {}).get(OPT_OUT) or "").startswith("disable"):
            continue
        if kind == "secret" and (obj.get("type") or "Opaque") not in SECRET_TYPES:
            continue
        found[reference] = obj
    return found


def checksum(obj: Obj) -> str:
    """The first eight bytes of the SHA-256 of `.data` as Go writes it."""
    return hashlib.sha256(go_json(obj.get("data") or None).encode()).hexdigest()[:16]
