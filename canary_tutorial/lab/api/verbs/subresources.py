"""The small sub-resources: /scale of workloads, /eviction of pods, /token of accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web

from canary_tutorial.lab import selectors
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.options import delete_options
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.verbs import patches, writing
from canary_tutorial.lab.api.wire.bodies import go_type
from canary_tutorial.lab.contracts import ISSUER
from canary_tutorial.lab.errors import BadRequest, Cause, Conflict, Invalid, NotFound
from canary_tutorial.lab.kinds import NODES, PODS, SECRETS
from canary_tutorial.lab.objects import Obj, at, clone, listed, timestamp

HOUR = 3600
SHORTEST, LONGEST = 600, 2**32  # seconds that a token may last, at least and at most


async def get_scale(api: Api, call: Call) -> web.StreamResponse:
    return call.answer(scale_of(call.target, api.get(call.target)))


async def change_scale(api: Api, call: Call) -> web.StreamResponse:
    """PUT or PATCH a Scale: its spec.replicas goes into the object."""
    target, change = call.target, await call.change()
    obj = api.get(target)
    before = scale_of(target, obj)
    if call.verb == "update":
        after = change
    elif call.media_type == "application/json-patch+json":
        after = patches.json_patch(before, change)
    else:
        after = patches.merge(before, change)
    replicas = _replicas(target, after)
    version = (after.get("metadata") or {}).get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise Conflict.modified(target.kind, target.name)
    new = clone(obj)
    assert target.kind.scale
    _put(new, target.kind.scale.spec, replicas)
    return call.answer(scale_of(target, writing.store_changed(api, call, obj, new)))


def _replicas(target: Target, scale: Any) -> int:
    if not isinstance(scale, dict) or not isinstance(scale.get("metadata"), dict | None):
        raise BadRequest(f"cannot restore struct from: {go_type(scale)}")
    spec = scale.get("spec")
    replicas = (spec or {}).get("replicas", 0) if isinstance(spec, dict | None) else None
    if isinstance(replicas, bool) or not isinstance(replicas, int) or abs(replicas) >= 2**31:
        unreadable = "json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32"
        raise BadRequest(f'Scale in version "v1" cannot be handled as a Scale: {unreadable}')
    if replicas < 0:
        cause = Cause.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid.of(target.kind, target.name, [cause])
    return replicas


def scale_of(target: Target, obj: Obj) -> Obj:
    """The autoscaling/v1 Scale that stands for a workload."""
    where, meta = target.kind.scale, obj["metadata"]
    assert where
    if target.kind.custom:
        selector = at(obj, where.selector) if where.selector else ""
    else:
        selector = selectors.as_text(obj["spec"].get("selector"))
    status = {"replicas": _number(obj, where.status)} | (
        {"selector": selector} if isinstance(selector, str) and selector else {}
    )
    kept = {
        key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in meta
    }
    spec = {"replicas": _number(obj, where.spec)}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": spec, "status": status}


def _number(obj: Obj, path: str) -> int:
    """A count of a custom object, which may hold anything there."""
    found = at(obj, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _put(obj: Obj, path: str, value: Any) -> None:
    *steps, last = path.strip(".").split(".")
    for step in steps:
        if not isinstance(obj.get(step), dict):
            obj[step] = {}
        obj = obj[step]
    obj[last] = value


async def evict(api: Api, call: Call) -> web.StreamResponse:
    """Delete a pod in the way of `kubectl drain`; the lab has no disruption budgets that could forbid it."""
    given = (await call.body()).get("deleteOptions") or {}
    if not isinstance(given, dict):
        raise BadRequest("deleteOptions of an Eviction must be an object")
    how = delete_options(given, call.request.query)
    api.store.delete(PODS, call.target.name, call.target.namespace, **how)
    return call.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


def _bound(api: Api, namespace: str, reference: Any) -> None:
    """A token can be bound to a pod, a Secret or a node, which must be there."""
    if not isinstance(reference, dict):
        return
    kind = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}.get(str(reference.get("kind")))
    if kind is None:
        hint = "cannot bind token to object of type " + str(reference.get("kind"))
        raise BadRequest(hint)
    found = api.store.get(kind, str(reference.get("name", "")), namespace if kind.namespaced else None)
    uid = reference.get("uid")
    if uid and uid != found["metadata"]["uid"]:
        why = f"the UID in the bound object reference ({uid}) does not match the UID in record ({found['metadata']['uid']}). "
        why += "The object might have been deleted and then recreated"
        raise Conflict.because(kind, found["metadata"]["name"], why)


async def token(api: Api, call: Call) -> web.StreamResponse:
    """`kubectl create token`."""
    asked, target = await call.body(), call.target
    account = api.get(target)
    if api.accounts is None:
        raise NotFound.path()
    spec: Obj = asked["spec"] if isinstance(asked.get("spec"), dict) else {}
    seconds = spec.get("expirationSeconds") or HOUR
    if not isinstance(seconds, int):
        raise BadRequest(f"spec.expirationSeconds is {go_type(seconds)}, not a number of seconds")
    if not SHORTEST <= seconds <= LONGEST:
        hint = "less than 10 minutes" if seconds < SHORTEST else "larger than 2^32 seconds"
        cause = Cause.invalid("spec.expirationSeconds", seconds, f"may not specify a duration {hint}")
        raise Invalid.asked("TokenRequest.authentication.k8s.io", cause)
    audiences = [str(each) for each in listed(spec.get("audiences"))] or [ISSUER]
    _bound(api, target.namespace, spec.get("boundObjectRef"))
    meta = account["metadata"]
    issued = api.accounts.issue(target.namespace, meta["name"], meta["uid"], tuple(audiences), seconds)
    now, spec = api.store.now(), spec | {"audiences": audiences, "expirationSeconds": seconds}
    status = {"token": issued, "expirationTimestamp": timestamp(now + timedelta(seconds=seconds))}
    meta = {"name": target.name, "namespace": target.namespace, "creationTimestamp": timestamp(now)}
    head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": meta}
    return call.answer(head | {"spec": spec, "status": status}, 201)
