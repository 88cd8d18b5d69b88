"""Discovery: the groups, versions and resources served, in the plain form and in the aggregated one that kubectl prefers."""

from __future__ import annotations

from aiohttp import web

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.checks import schemas
from canary_tutorial.lab.api.kinds.registry import OTHER_GROUPS, resource_of
from canary_tutorial.lab.api.kinds.resource import Subresource
from canary_tutorial.lab.api.paths import Target
from canary_tutorial.lab.contracts import ISSUER
from canary_tutorial.lab.errors import MethodNotAllowed, NotFound
from canary_tutorial.lab.kinds import CRDS, Kind
from canary_tutorial.lab.objects import Obj, timestamp

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
CHANGE = "get patch update"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"

# Resources without objects: (group, version, plural, kind, namespaced). One may only POST to them.
VIRTUAL = [
    ("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False),
    ("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False),
    ("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", True),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    ("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
    ("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False),
]


async def version(api: Api, call: Call) -> web.StreamResponse:
    major, minor = api.version.lstrip("v").split(".")[:2]
    info = {
        "major": major, "minor": minor, "gitVersion": api.version, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": timestamp(api.store.began), "goVersion": "", "compiler": "python", "platform": "lab",
    }  # fmt: skip
    return call.answer(info)


async def metrics(api: Api, call: Call) -> web.StreamResponse:
    """The server's own figures: of those of a real one, how many objects of each resource there are."""
    lines = ["# HELP apiserver_storage_objects Number of stored objects.", "# TYPE apiserver_storage_objects gauge"]
    for kind in sorted(api.store.kinds.values(), key=lambda kind: kind.resource):
        lines.append(f'apiserver_storage_objects{{resource="{kind.resource}"}} {api.store.count(kind)}')
    return web.Response(text="\n".join([*lines, ""]), content_type="text/plain")


async def keys(api: Api, call: Call) -> web.StreamResponse:
    """How tokens of ServiceAccounts can be checked: `/.well-known/openid-configuration` and `/openid/v1/jwks`."""
    if api.accounts is None:
        raise NotFound.path()
    if call.target.path == "/openid/v1/jwks":
        return call.answer(api.accounts.keys())
    if call.target.path != "/.well-known/openid-configuration":
        raise NotFound.path()
    return call.answer({
        "issuer": ISSUER, "jwks_uri": f"{ISSUER}/openid/v1/jwks", "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": [api.accounts.ALGORITHM],
    })  # fmt: skip


def deprecation(api: Api, target: Target) -> list[str]:
    """What is said of a custom kind's version that its definition calls deprecated."""
    if target.served is None or not target.served.custom:
        return []
    version = schemas.version_of(api.store, target.kind, target.version)
    if not version.get("deprecated"):
        return []
    definition = api.store.find(CRDS, target.kind.resource) or {"spec": {"versions": []}}
    better = [
        each["name"] for each in definition["spec"]["versions"] if each.get("served") and not each.get("deprecated")
    ]
    newest = next((each for each in target.kind.served if each in better), "")
    use = f"; use {target.group}/{newest} {target.kind.kind}" if newest else ""
    return [version.get("deprecationWarning") or f"{target.api_version} {target.kind.kind} is deprecated{use}"]


async def index(api: Api, call: Call) -> web.StreamResponse:
    if call.target.steps:
        raise NotFound.path()
    paths = ["/api", "/api/v1", "/apis"]
    for group, versions in groups(api):
        paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)] if group else []
    pages = "/healthz /livez /metrics /openapi/v3 /openid/v1/jwks /readyz /version"
    return call.answer({"paths": [*paths, *pages.split()]})


async def serve(api: Api, call: Call) -> web.StreamResponse:
    """/api, /apis, /apis/GROUP, /api/v1 and /apis/GROUP/VERSION."""
    if call.verb != "get":
        raise MethodNotAllowed
    known, steps = dict(groups(api)), call.target.steps
    if len(steps) == 1:
        core = steps[0] == "api"
        for each in ("v2", "v2beta1"):
            if f"v={each};as=APIGroupDiscoveryList" in call.request.headers.get("Accept", "").replace(" ", ""):
                return _aggregated(api, call, each, core)
        if core:
            return call.answer({"kind": "APIVersions", "versions": known[""]})
        listed = [_group(group, versions) for group, versions in known.items() if group]
        return call.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
    group = "" if steps[0] == "api" else steps[1]
    versions = known.get(group, [])
    if steps[0] == "apis" and len(steps) == 2:
        if not versions:
            raise NotFound.path()
        return call.answer({"kind": "APIGroup", "apiVersion": "v1"} | _group(group, versions))
    if steps[-1] not in versions:
        raise NotFound.path()
    group_version = f"{group}/{steps[-1]}" if group else steps[-1]
    resources = _resources(api, group, steps[-1])
    listing = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
    return call.answer(listing)


def groups(api: Api) -> list[tuple[str, list[str]]]:
    """Groups with their versions, preferred first; the core group is ""."""
    found: dict[str, list[str]] = {}
    for kind in api.store.kinds.values():
        for each in kind.served:
            found.setdefault(kind.group, [])
            if each not in found[kind.group]:
                found[kind.group].append(each)
    for group, each, *_ in VIRTUAL:
        found.setdefault(group, [each])
    for (group, _), kind in OTHER_GROUPS.items():
        found.setdefault(group, [*kind.served])
    return list(found.items())


def _group(group: str, versions: list[str]) -> Obj:
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(api: Api, group: str, version: str) -> list[Obj]:
    """The resources of one group and version, each followed by its sub-resources."""
    found: list[Obj] = []
    for kind in sorted(api.store.kinds.values(), key=lambda kind: kind.plural):
        here = kind.group == group and version in kind.served
        if here or OTHER_GROUPS.get((group, kind.plural)) is kind:
            found += _resource(kind)
    for owner, each, plural, kind_name, namespaced in VIRTUAL:
        if (owner, each) == (group, version):
            found.append(_entry(plural, kind_name.lower(), namespaced, kind_name, ["create"]))
    return found


def _entry(name: str, singular: str, namespaced: bool, kind: str, verbs: list[str]) -> Obj:
    return {"name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": verbs}


def _resource(kind: Kind) -> list[Obj]:
    main = _entry(kind.plural, kind.singular, kind.namespaced, kind.kind, VERBS)
    main |= {"shortNames": list(kind.short)} if kind.short else {}
    main |= {"categories": list(kind.categories)} if kind.categories else {}
    subs = [*resource_of(kind).subresources]
    subs += [Subresource("status", kind.kind, CHANGE)] if kind.status else []
    subs += [Subresource("scale", "Scale", CHANGE, "autoscaling")] if kind.scale else []
    found = [main]
    for each in sorted(subs, key=lambda sub: sub.name):
        sub = _entry(f"{kind.plural}/{each.name}", "", kind.namespaced, each.kind, each.verbs.split())
        found.append(sub | ({"group": each.group, "version": "v1"} if each.group else {}))
    return found


def _aggregated(api: Api, call: Call, form: str, core: bool) -> web.Response:
    found = []
    for group, versions in groups(api):
        if (group == "") != core:
            continue
        listed = [_aggregated_version(api, group, each) for each in versions]
        meta = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
        found.append({"metadata": meta, "versions": listed})
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{form}", "metadata": {}}
    response = call.answer(head | {"items": found})
    response.headers["Content-Type"] = AGGREGATED.format(version=form)
    return response


def _aggregated_version(api: Api, group: str, version: str) -> Obj:
    resources: list[Obj] = []
    for each in _resources(api, group, version):
        gvk = {"group": each.get("group", group), "version": each.get("version", version), "kind": each["kind"]}
        name, _, sub = each["name"].partition("/")
        if sub:
            listed = resources[-1].setdefault("subresources", [])
            listed.append({"subresource": sub, "responseKind": gvk, "verbs": each["verbs"]})
            continue
        resources.append(
            {"resource": name, "responseKind": gvk, "scope": "Namespaced" if each["namespaced"] else "Cluster"}
            | {"singularResource": each["singularName"], "verbs": each["verbs"]}
            | {key: each[key] for key in ("shortNames", "categories") if key in each}
        )
    return {"version": version, "resources": resources, "freshness": "Current"}
