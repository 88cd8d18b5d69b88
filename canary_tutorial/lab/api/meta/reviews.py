"""Reviews (SelfSubjectReview, TokenReview, access and rules reviews), answered from the tokens and the authorizer."""

from __future__ import annotations

from aiohttp import web

from canary_tutorial.lab.api.access.authorization import EVERYTHING, MASTERS, Attributes
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.meta.discovery import VIRTUAL
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.api.wire.bodies import go_type
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import BadRequest, Cause, Invalid, MethodNotAllowed
from canary_tutorial.lab.objects import Obj

NAMESPACED = {(group, version, name): namespaced for group, version, name, _, namespaced in VIRTUAL}


def serves(target: Target) -> bool:
    """Whether a URL means a review: only the local one has a namespace."""
    namespaced = NAMESPACED.get((target.group, target.version, target.resource))
    return namespaced is not None and namespaced == bool(target.namespace) and not target.name


async def serve(api: Api, call: Call) -> web.StreamResponse:
    if call.verb != "create":
        raise MethodNotAllowed
    review = await call.body()
    review.setdefault("metadata", {})
    spec = review["spec"] if isinstance(review.get("spec"), dict) else {}
    user, name = call.user, call.target.resource
    if name == "tokenreviews":
        review["status"] = _token(api.authenticate(str(spec.get("token", ""))))
    elif name == "selfsubjectreviews":
        review["status"] = {"userInfo": _info(user)}
    elif name == "selfsubjectrulesreviews":
        review["status"] = _rules(api, user, str(spec.get("namespace") or ""))
    elif name == "selfsubjectaccessreviews":
        review["status"] = _access(api, user, spec)
    else:
        review["status"] = _access(api, _subject(spec), spec)
    return call.answer(review, 201)


def _access(api: Api, user: User, spec: Obj) -> Obj:
    why = api.authorizer.why(user, _attributes(spec))
    reason = api.authorizer.why_not(user) if why is None else why
    return {"allowed": why is not None} | ({"reason": reason} if reason else {})


def _attributes(spec: Obj) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(other, dict) and not resource:
        return Attributes(str(other.get("verb", "")), path=str(other.get("path", "")))
    if not isinstance(resource, dict) or other:
        raise BadRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    text = {name: str(resource.get(name) or "") for name in names}
    whole = text["resource"] + (f"/{text['subresource']}" if text["subresource"] else "")
    return Attributes(text["verb"], text["group"], whole, text["namespace"], text["name"])


def _subject(spec: Obj) -> User:
    groups = spec.get("groups") or []
    if not isinstance(groups, list):
        raise BadRequest(f"json: cannot unmarshal {go_type(groups)} into Go struct field spec.groups of type []string")
    groups = [str(each) for each in groups]
    if not spec.get("user") and not groups:
        hint = "at least one of user or group must be specified"
        raise Invalid.asked("SubjectAccessReview.authorization.k8s.io", Cause.invalid("spec.user", "", hint))
    return User(str(spec.get("user", "")), str(spec.get("uid", "")), tuple(groups))


def _rules(api: Api, user: User, namespace: str) -> Obj:
    """What a user may do in a namespace: `kubectl auth can-i --list`."""
    if not namespace:
        raise BadRequest("no namespace on request")
    here = [each.rule for each in api.authorizer.rules_for(user) if each.namespace in ("", namespace)]
    rules = EVERYTHING if MASTERS in user.groups else here
    resources = [each for each in rules if each.get("resources")]
    urls = [each for each in rules if each.get("nonResourceURLs")]
    return {"incomplete": False, "resourceRules": resources, "nonResourceRules": urls}


def _token(user: User | None) -> Obj:
    if user is None:
        return {"authenticated": False, "error": "invalid bearer token"}
    return {"authenticated": True, "user": _info(user)}


def _info(user: User) -> Obj:
    info: Obj = {"username": user.name, "groups": list(user.groups)} | ({"uid": user.uid} if user.uid else {})
    return info | ({"extra": {key: list(values) for key, values in user.extra}} if user.extra else {})
