"""What a request asks for, as the authorizer must know it, and in whose name. Pure.

What a path means is asked of `paths.parse`, as it will be when the request is served: the door and the room behind it
must not read a path in two ways.
"""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy

from canary_tutorial.lab.api import options, paths
from canary_tutorial.lab.api.access.authorization import ACCOUNT, Ask, user_of
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import BadRequest, NotFound

VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
USER, GROUP, UID, EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "impersonate-extra-"


def of(request: web.Request, kinds: paths.Kinds) -> Ask:
    """The request as an `Ask`."""
    steps = request.path.strip("/").split("/")
    if steps[0] not in ("api", "apis") or len(steps) <= (2 if steps[0] == "api" else 3):
        return Ask(VERBS.get(request.method, request.method.lower()), path=request.path)
    try:
        target = paths.parse(request.raw_path, kinds)
    except NotFound:
        group, resource, namespace, name = _unknown(request.raw_path)
    else:
        resource = target.kind.plural + (f"/{target.subresource}" if target.subresource else "")
        group, namespace, name = target.group, target.namespace or "", target.name or ""
        if target.kind.key == ("", "namespaces"):
            namespace = name  # so that a role of a namespace can allow to see it
    return Ask(_verb(request, name), group, resource, namespace, name or _only(request))


def _verb(request: web.Request, name: str) -> str:
    verb = VERBS.get(request.method, request.method.lower())
    if name:
        return "watch" if options.is_watch(request.method, request.query) else verb
    if verb == "get":
        return "watch" if options.is_watch(request.method, request.query) else "list"
    return "deletecollection" if verb == "delete" else verb


def _only(request: web.Request) -> str:
    """The one name that a list or watch is confined to by its field selector."""
    selector = request.query.get("fieldSelector", "")
    field, _, name = selector.replace("==", "=").partition("=")
    return name if field == "metadata.name" and "," not in name and "=" not in name else ""


def _unknown(raw_path: str) -> tuple[str, str, str, str]:
    """Group, resource, namespace and name of a path that means no object: a review, or a kind that is not served."""
    steps = [unquote(step) for step in raw_path.partition("?")[0].split("/")[1:] if step]
    group, rest = ("", steps[2:]) if steps[0] == "api" else (steps[1] if len(steps) > 1 else "", steps[3:])
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    sub = f"/{rest[2]}" if len(rest) > 2 else ""
    return group, (rest[0] if rest else "") + sub, namespace, rest[1] if len(rest) > 1 else ""


def impersonated(headers: CIMultiDictProxy[str]) -> tuple[User, list[Ask]] | None:
    """Whom a request is made for, and what its maker must be allowed for that; None if it is made for nobody else."""
    name = headers.get(USER, "")
    groups, uid = headers.getall(GROUP, []), headers.get(UID, "")
    extra = [(key[len(EXTRA) :].lower(), each) for key, each in headers.items() if key.lower().startswith(EXTRA)]
    if not name:
        if groups or uid or extra:
            raise BadRequest(f"requested groups {groups} without impersonating a user")
        return None
    if name.startswith(ACCOUNT):
        namespace, _, account = name.removeprefix(ACCOUNT).partition(":")
        asks = [Ask("impersonate", "", "serviceaccounts", namespace, account)]
    else:
        asks = [Ask("impersonate", "", "users", "", name)]
    asks += [Ask("impersonate", "", "groups", "", group) for group in groups]
    asks += [Ask("impersonate", "authentication.k8s.io", "uids", "", uid)] if uid else []
    for key, each in extra:
        asks.append(Ask("impersonate", "authentication.k8s.io", f"userextras/{unquote(key)}", "", each))
    return user_of(name, groups, uid), asks
