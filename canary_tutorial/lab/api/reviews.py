"""Reviews: who am I, whose token is this, may I? The lab knows its users, but enforces no roles: everyone may.

`kubectl auth can-i` therefore says yes, and the answer's reason says why.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from canary_tutorial.lab.api import bodies
from canary_tutorial.lab.api.bodies import answer, encode
from canary_tutorial.lab.api.server import USER, Api
from canary_tutorial.lab.errors import MethodNotAllowed
from canary_tutorial.lab.node import User

Obj = dict[str, Any]
ALLOWED = {"allowed": True, "reason": "the lab stores roles and bindings but does not enforce them"}
EVERYTHING = {
    "incomplete": False,
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def find(path: str) -> str | None:
    """The review that a path means, if any."""
    steps = path.strip("/").split("/")
    known = ("authentication.k8s.io", "authorization.k8s.io")
    return steps[-1] if len(steps) >= 4 and steps[1] in known and steps[-1].endswith("reviews") else None


async def serve(api: Api, request: web.Request) -> web.StreamResponse:
    if request.method != "POST":
        raise MethodNotAllowed
    review = await bodies.read_object(request)
    review.setdefault("metadata", {})
    spec = review["spec"] if isinstance(review.get("spec"), dict) else {}
    name = request.path.rstrip("/").rsplit("/", 1)[-1]
    if name == "tokenreviews":
        review["status"] = _token(api.authenticate(str(spec.get("token", ""))))
    elif name == "selfsubjectreviews":
        review["status"] = {"userInfo": _info(request[USER])}
    elif name == "selfsubjectrulesreviews":
        review["status"] = EVERYTHING
    else:
        review["status"] = ALLOWED
    return answer(request, encode(review), 201)


def _token(user: User | None) -> Obj:
    if user is None:
        return {"authenticated": False, "error": "invalid bearer token"}
    return {"authenticated": True, "user": _info(user)}


def _info(user: User) -> Obj:
    return {"username": user.name, "groups": list(user.groups)} | ({"uid": user.uid} if user.uid else {})
