"""VirtualServices as Flagger writes them, and weights as it reads them back. Pure.

The VirtualService, not the Canary's status, remembers the weights: whoever edits it by hand edits the release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from canary_tutorial.flagger.spec import Canary

Obj = dict[str, Any]

ORIGINAL = "flagger.kubernetes.io/original-configuration"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TOOLKIT = {
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
}


@dataclass(frozen=True)
class Routes:
    """How requests are shared: weights in percent, and whether copies go to the canary."""

    primary: int = 100
    canary: int = 0
    mirrored: bool = False


@dataclass(frozen=True)
class Cookies:
    """Session affinity's cookies, `name=value` or empty, as the status keeps them."""

    canary: str = ""
    primary: str = ""
    previous: str = ""

    @classmethod
    def of(cls, c: Canary) -> Cookies:
        fields = ("sessionAffinityCookie", "primarySessionAffinityCookie", "previousSessionAffinityCookie")
        return cls(*(str(c.status.get(field) or "") for field in fields))

    def as_status(self) -> Obj:
        return {
            "sessionAffinityCookie": self.canary,
            "primarySessionAffinityCookie": self.primary,
            "previousSessionAffinityCookie": self.previous,
        }


def is_tcp(c: Canary) -> bool:
    return str(c.service.get("appProtocol") or "").lower() == "tcp"


def initial_spec(c: Canary) -> Obj:
    """The spec at rest: all requests to the primary."""
    hosts = list(c.service.get("hosts") or [])
    if c.service.get("delegation"):
        spec: Obj = {"hosts": []}
    else:
        if "*" not in hosts and c.apex not in hosts:
            hosts.append(c.apex)
        spec = {"hosts": hosts, "gateways": list(c.service.get("gateways") or ["mesh"])}
    if is_tcp(c):
        return spec | {"tcp": tcp_rules(c, Routes())}
    return spec | {"http": rules(c, Routes())}


def delegation_error(c: Canary) -> str | None:
    if c.service.get("delegation") and (c.service.get("hosts") or c.service.get("gateways")):
        return "VirtualService cannot have hosts and gateways when delegation enabled"
    return None


def rules(c: Canary, routes: Routes, cookies: Cookies | None = None) -> list[Obj]:
    """`spec.http` for these weights."""
    if c.analysis.get("match"):
        return [
            _rule(c, _weighted(c, routes.primary, routes.canary), _merged_matches(c)),
            _rule(c, [_destination(c, c.primary_service, routes.primary)], c.service.get("match")),
        ]
    rule = _rule(c, _weighted(c, routes.primary, routes.canary), c.service.get("match"))
    if routes.mirrored:
        rule["mirror"] = {"host": c.canary_service}
        share = int(c.analysis.get("mirrorWeight") or 0)
        if share > 0:
            rule["mirrorPercentage"] = {"value": share}
    if cookies is not None and c.analysis.get("sessionAffinity"):
        return _sticky(c, routes, rule, cookies)
    return [rule]


def tcp_rules(c: Canary, routes: Routes) -> list[Obj]:
    return [
        {
            "match": [{"port": int(c.service["port"])}],
            "route": _weighted(c, routes.primary, routes.canary),
        }
    ]


def _rule(c: Canary, route: list[Obj], match: Any) -> Obj:
    rule: Obj = {"match": match} if match else {}
    rule["route"] = route
    for field in ("rewrite", "timeout", "retries", "corsPolicy", "headers"):
        if c.service.get(field):
            rule[field] = json.loads(json.dumps(c.service[field]))
    return rule


def _weighted(c: Canary, primary: int, canary: int) -> list[Obj]:
    return [_destination(c, c.primary_service, primary), _destination(c, c.canary_service, canary)]


def _destination(c: Canary, host: str, weight: int) -> Obj:
    destination: Obj = {"host": host}
    gateways = c.service.get("gateways") or ["mesh"]
    if c.service.get("portDiscovery") and (gateways[0] != "mesh" or c.service.get("delegation")):
        destination["port"] = {"number": int(c.service["port"])}
    return {"destination": destination, "weight": weight}


def _merged_matches(c: Canary, conditions: list[Obj] | None = None) -> list[Obj]:
    """The A/B conditions under the service's own: headers and sourceLabels come from the condition."""
    conditions = c.analysis.get("match") or [] if conditions is None else conditions
    own = c.service.get("match") or []
    if not own:
        return [dict(condition) for condition in conditions]
    taken = ("headers", "sourceLabels")
    return [
        {**{k: v for k, v in base.items() if k not in taken}, **{k: condition[k] for k in taken if condition.get(k)}}
        for condition in conditions
        for base in own
    ]


# -- session affinity


def _sticky(c: Canary, routes: Routes, rule: Obj, cookies: Cookies) -> list[Obj]:
    affinity = c.analysis["sessionAffinity"]
    if routes.canary:
        sticky = []
        primary, canary = rule["route"]
        if cookies.canary:
            canary["headers"] = _set_cookie(build_cookie(cookies.canary, affinity))
            sticky.append(_for_cookie(c, rule, cookies.canary, 0, 100))
        if affinity.get("primaryCookieName") and cookies.primary:
            lifetime = f"{cookies.primary}; Max-Age={int(c.interval())}"
            primary["headers"] = _set_cookie(lifetime)
            sticky.append(_for_cookie(c, rule, cookies.primary, 100, 0))
        return [*sticky, rule]
    if cookies.previous:
        leaving = _for_cookie(c, rule, cookies.previous, routes.primary, routes.canary)
        headers = json.loads(json.dumps(leaving.get("headers") or {}))
        headers.setdefault("response", {}).setdefault("add", {})["Set-Cookie"] = f"{cookies.previous}; Max-Age=-1"
        return [leaving | {"headers": headers}, rule]
    return [rule]


def next_cookies(c: Canary, routes: Routes, cookies: Cookies, letters: list[str]) -> Cookies:
    """The cookies for these routes: new ones when the canary gets its first requests, none when it has none."""
    affinity = c.analysis.get("sessionAffinity")
    if not affinity:
        return cookies
    if routes.canary:
        canary = cookies.canary or f"{affinity['cookieName']}={letters[0]}"
        name = affinity.get("primaryCookieName")
        return Cookies(canary, (cookies.primary or f"{name}={letters[1]}") if name else "", cookies.previous)
    return Cookies("", "", cookies.canary or cookies.previous)


def build_cookie(cookie: str, affinity: Obj) -> str:
    """Set-Cookie's value."""
    parts = [cookie, f"Max-Age={int(affinity.get('maxAge') or 86400)}"]
    for field, attribute in (("domain", "Domain"), ("path", "Path"), ("sameSite", "SameSite")):
        if affinity.get(field):
            parts.append(f"{attribute}={affinity[field]}")
    parts += [name for field, name in (("httpOnly", "HttpOnly"), ("partitioned", "Partitioned"), ("secure", "Secure")) if affinity.get(field)]
    return "; ".join(parts)


def _set_cookie(value: str) -> Obj:
    return {"response": {"add": {"Set-Cookie": value}}}


def _for_cookie(c: Canary, rule: Obj, cookie: str, primary: int, canary: int) -> Obj:
    name, _, value = cookie.partition("=")
    condition = {"headers": {"Cookie": {"regex": f".*{name}.*{value}.*"}}}
    same = {k: v for k, v in rule.items() if k not in ("match", "route", "mirror", "mirrorPercentage")}
    return {"match": _merged_matches(c, [condition]), "route": _weighted(c, primary, canary), **same}


# -- reading


def read(c: Canary, virtualservice: Obj) -> Routes:
    """The weights in force; raises ValueError if both are 0 or absent."""
    spec = virtualservice.get("spec") or {}
    found: Obj | None = None
    for rule in [*(spec.get("http") or []), *(spec.get("tcp") or [])]:
        if any(_host(each) == c.canary_service for each in rule.get("route") or []):
            found = rule
    primary = canary = 0
    for each in (found or {}).get("route") or []:
        if _host(each) == c.primary_service:
            primary = int(each.get("weight") or 0)
        if _host(each) == c.canary_service:
            canary = int(each.get("weight") or 0)
    if primary == 0 and canary == 0:
        raise ValueError(
            f"VirtualService {c.apex}.{c.namespace} does not contain routes for {c.primary_service} and {c.canary_service}"
        )
    return Routes(primary, canary, bool(((found or {}).get("mirror") or {}).get("host")))


def _host(destination: Obj) -> str:
    return str((destination.get("destination") or {}).get("host", ""))


# -- reconciling


def new_virtualservice(c: Canary, owner: Obj) -> Obj:
    apex = c.service.get("apex") or {}
    meta: Obj = {
        "name": c.apex,
        "namespace": c.namespace,
        "annotations": {**(apex.get("annotations") or {}), **TOOLKIT},
        "ownerReferences": [owner],
    }
    if apex.get("labels"):
        meta["labels"] = dict(apex["labels"])
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": meta,
        "spec": initial_spec(c),
    }


def reconciled(c: Canary, current: Obj) -> Obj | None:
    """The VirtualService put back to its initial spec, or None if it differs in nothing but weights and mirror."""
    wanted = initial_spec(c)
    apex = c.service.get("apex") or {}
    labels = apex.get("labels") or {}
    annotations = apex.get("annotations") or {}
    meta = current["metadata"]
    same_spec = _comparable(c, current.get("spec") or {}) == _comparable(c, wanted)
    same_meta = labels.items() <= (meta.get("labels") or {}).items() and annotations.items() <= (
        meta.get("annotations") or {}
    ).items()
    if same_spec and same_meta:
        return None
    updated = json.loads(json.dumps(current))
    if labels:
        updated["metadata"].setdefault("labels", {}).update(labels)
    kept = updated["metadata"].setdefault("annotations", {})
    kept.update(annotations)
    if not same_spec:
        if LAST_APPLIED not in kept:
            kept[ORIGINAL] = json.dumps(current.get("spec") or {}, separators=(",", ":"))
        updated["spec"] = wanted
    return updated  # type: ignore[no-any-return]


def _comparable(c: Canary, spec: Obj) -> Obj:
    """A spec without what a release changes in it."""
    copy = json.loads(json.dumps(spec))
    affinity = c.analysis.get("sessionAffinity")
    names = [affinity.get("cookieName"), affinity.get("primaryCookieName")] if affinity else []
    http = [rule for rule in copy.get("http") or [] if not _is_cookie_rule(rule, [n for n in names if n])]
    for rule in [*http, *(copy.get("tcp") or [])]:
        rule.pop("mirror", None)
        rule.pop("mirrorPercentage", None)
        for each in rule.get("route") or []:
            each.pop("weight", None)
            if affinity:
                each.pop("headers", None)
    if "http" in copy:
        copy["http"] = http
    return {key: value for key, value in copy.items() if value not in ([], {}, None)}


def _is_cookie_rule(rule: Obj, names: list[str]) -> bool:
    regexes = [((m.get("headers") or {}).get("Cookie") or {}).get("regex", "") for m in rule.get("match") or []]
    return any(f".*{name}." in regex for regex in regexes for name in names)
