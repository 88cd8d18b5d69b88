"""Writes VirtualServices as Flagger does, and reads the weights from them. Pure.

The weights are kept in the VirtualService, not in the Canary's status: whoever edits it by hand edits the release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from canary_tutorial.flagger import owned, structs
from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.golang import go_json, parsed_duration
from canary_tutorial.flagger.spec import Canary, Cookies

MOST_MATCHES = 10_000  # more would not fit into an object; to put them together would hold up every other Canary
ORIGINAL = "flagger.kubernetes.io/original-configuration"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
DAY = 86400  # seconds
ATTRIBUTES = {  # of both cookies, in this order
    "domain": "Domain",
    "httpOnly": "HttpOnly",
    "partitioned": "Partitioned",
    "path": "Path",
    "sameSite": "SameSite",
    "secure": "Secure",
}
TOOLKIT = {
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
}


@dataclass(frozen=True)
class Routes:
    """How requests are split: weights in percent, and whether they are mirrored to the canary."""

    primary: int = 100
    canary: int = 0
    mirrored: bool = False


def is_tcp(c: Canary) -> bool:
    return str(c.service.get("appProtocol") or "").lower() == "tcp"


def initial_spec(c: Canary) -> Obj:
    """The spec while no release runs: all requests to the primary."""
    hosts = list(c.service.get("hosts") or [])
    if c.service.get("delegation"):
        spec: Obj = {"hosts": []}
    else:
        if "*" not in hosts and c.apex not in hosts:
            hosts.append(c.apex)
        spec = {"hosts": hosts, "gateways": list(c.service.get("gateways") or ["mesh"])}
    if is_tcp(c):
        return structs.virtualservice(spec | {"tcp": tcp_rules(c, Routes())})
    return structs.virtualservice(spec | {"http": rules(c, Routes())})


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
    """`spec.tcp` for these weights."""
    ports = [{"port": int(match.get("port") or 0)} for match in c.service.get("match") or []]
    rule: Obj = {"match": ports} if ports else {}
    return [rule | {"route": _weighted(c, routes.primary, routes.canary)}]


def _rule(c: Canary, route: list[Obj], match: Any) -> Obj:
    rule: Obj = {"match": match} if match else {}
    rule["route"] = route
    for field in ("rewrite", "timeout", "retries", "corsPolicy", "headers"):
        if c.service.get(field) is not None:
            rule[field] = c.service[field]
    return rule


def _weighted(c: Canary, primary: int, canary: int) -> list[Obj]:
    return [_destination(c, c.primary_service, primary), _destination(c, c.canary_service, canary)]


def _destination(c: Canary, host: str, weight: int) -> Obj:
    destination: Obj = {"host": host}
    gateways = c.service.get("gateways") or ["mesh"]
    if c.service.get("portDiscovery") and (gateways[0] != "mesh" or c.service.get("delegation")):
        destination["port"] = {"number": int(c.service.get("port") or 0)}
    return {"destination": destination, "weight": weight}


def _merged_matches(c: Canary, conditions: list[Obj] | None = None) -> list[Obj]:
    """The A/B conditions under the service's own: headers and sourceLabels come from the condition."""
    conditions = c.analysis.get("match") or [] if conditions is None else conditions
    own = c.service.get("match") or []
    if not own:
        return [dict(condition) for condition in conditions]
    if len(conditions) * len(own) > MOST_MATCHES:
        raise Refused(f"{len(own)} of spec.service.match times {len(conditions)} of spec.analysis.match are too many")
    return [
        {**base, **{field: condition[field] for field in ("headers", "sourceLabels") if condition.get(field)}}
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
            canary["headers"] = _set_cookie(build_cookie(cookies.canary, affinity, int(affinity.get("maxAge") or DAY)))
            sticky.append(_for_cookie(c, rule, cookies.canary, 0, 100))
        if affinity.get("primaryCookieName") and cookies.primary:
            primary["headers"] = _set_cookie(build_cookie(cookies.primary, affinity, _interval(c)))
            sticky.append(_for_cookie(c, rule, cookies.primary, 100, 0))
        return [*sticky, rule]
    if cookies.previous:
        leaving = _for_cookie(c, rule, cookies.previous, routes.primary, routes.canary)
        headers = json.loads(json.dumps(leaving.get("headers") or {}))
        headers.setdefault("response", {}).setdefault("add", {})["Set-Cookie"] = f"{cookies.previous}; Max-Age=-1"
        return [leaving | {"headers": headers}, rule]
    return [rule]


def next_cookies(c: Canary, routes: Routes, cookies: Cookies, letters: list[str]) -> Cookies:
    """The cookies for these routes. The canary's is a new one in each release, the primary's outlives them."""
    affinity = c.analysis.get("sessionAffinity")
    if not affinity:
        return cookies
    if routes.canary:
        canary = cookies.canary or f"{affinity.get('cookieName')}={letters[0]}"
        primary = cookies.primary or f"{affinity.get('primaryCookieName') or ''}={letters[1]}"
        return Cookies(canary, primary, cookies.previous)
    return Cookies("", cookies.primary, cookies.canary or cookies.previous)


def build_cookie(cookie: str, affinity: Obj, lifetime: int) -> str:
    """Set-Cookie's value; the lifetime is in seconds."""
    parts = [cookie, f"Max-Age={lifetime}"]
    for field, attribute in ATTRIBUTES.items():
        if value := affinity.get(field):
            parts.append(attribute if value is True else f"{attribute}={value}")
    return "; ".join(parts)


def _interval(c: Canary) -> int:
    """Whole seconds of the interval as it is written, also where ticks are further apart."""
    try:
        return int(parsed_duration(str(c.analysis.get("interval") or "")))
    except ValueError as why:
        raise Refused(f"failed to parse canary interval: {why}") from None


def _set_cookie(value: str) -> Obj:
    return {"response": {"add": {"Set-Cookie": value}}}


def _for_cookie(c: Canary, rule: Obj, cookie: str, primary: int, canary: int) -> Obj:
    name, _, value = cookie.partition("=")
    condition = {"headers": {"Cookie": {"regex": f".*{name}.*{value}.*"}}}
    same = {k: v for k, v in rule.items() if k not in ("match", "route", "mirror", "mirrorPercentage")}
    return {"match": _merged_matches(c, [condition]), "route": _weighted(c, primary, canary), **same}


# -- reading


def read(c: Canary, virtualservice: Obj) -> Routes:
    """The weights in force, from the last rule that names the canary; refused if both are 0 or absent."""
    rules = (virtualservice.get("spec") or {}).get("tcp" if is_tcp(c) else "http") or []
    found: Obj = {}
    for rule in rules:
        if any(_host(each) == c.canary_service for each in rule.get("route") or []):
            found = rule
    weights = {_host(each): int(each.get("weight") or 0) for each in found.get("route") or []}
    primary, canary = weights.get(c.primary_service, 0), weights.get(c.canary_service, 0)
    if primary == 0 and canary == 0:
        raise Refused(
            f"VirtualService {c.apex}.{c.namespace} does not contain routes for "
            f"{c.primary_service} and {c.canary_service}"
        )
    return Routes(primary, canary, bool((found.get("mirror") or {}).get("host")))


def _host(destination: Obj) -> str:
    return str((destination.get("destination") or {}).get("host") or "")


# -- reconciling


def metadata(c: Canary, selector: str, kept: Obj) -> tuple[Obj, Obj]:
    """Labels and annotations. With `apex` set at all, the label that selects pods is among them, and what is `kept`: the
    unmanaged ones of the Service of this name.
    """
    apex = c.service.get("apex")
    if apex is None:
        return {}, dict(TOOLKIT)
    labels = {**(apex.get("labels") or {}), selector: c.apex, **kept.get("labels", {})}
    return labels, {**(apex.get("annotations") or {}), **TOOLKIT, **kept.get("annotations", {})}


def new_virtualservice(c: Canary, selector: str, kept: Obj) -> Obj:
    labels, annotations = metadata(c, selector, kept)
    meta = {"labels": labels, "annotations": annotations}
    return owned.new(c, "networking.istio.io/v1beta1", "VirtualService", c.apex, meta, spec=initial_spec(c))


def delegated(c: Canary, current: Obj) -> Obj | None:
    """The VirtualService without hosts and gateways, as a delegate must be; None if it is one or need not be."""
    spec = current.get("spec") or {}
    if not c.service.get("delegation") or not (spec.get("hosts") or spec.get("gateways")):
        return None
    return {**current, "spec": {**{k: v for k, v in spec.items() if k != "gateways"}, "hosts": []}}


def reconciled(c: Canary, selector: str, kept: Obj, current: Obj) -> Obj | None:
    """The VirtualService with its initial spec again, or None if it differs in nothing but weights and mirror.

    Whatever else differs, be it a label, sends all requests back to the primary: a run begins its steps anew.
    """
    labels, annotations = metadata(c, selector, kept)
    have = current["metadata"].get("annotations") or {}
    annotations |= {key: have[key] for key in (LAST_APPLIED, ORIGINAL) if key in have}
    spec, wanted = structs.virtualservice(current.get("spec") or {}), initial_spec(c)
    same_spec = _comparable(c, spec) == _comparable(c, wanted)
    if same_spec and labels == (current["metadata"].get("labels") or {}) and annotations == have:
        return None
    if not same_spec and LAST_APPLIED not in annotations:
        annotations[ORIGINAL] = go_json(spec, sort=False)
    meta = {field: value for field, value in current["metadata"].items() if field != "labels"}
    own = owned.some({"labels": labels, "annotations": annotations})
    return {**current, "metadata": {**meta, **own}, "spec": wanted}


def without_nulls(value: Any) -> Any:
    """A field that is null is one that is not there."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _comparable(c: Canary, spec: Obj) -> Obj:
    """A spec without what a release changes in it."""
    affinity = c.analysis.get("sessionAffinity")
    http = spec.get("http") or []
    free: tuple[str, ...] = ("weight",)
    if affinity:
        names = [name for name in (affinity.get("cookieName"), affinity.get("primaryCookieName")) if name]
        http = [rule for rule in http if not _is_cookie_rule(rule, names)]
        free = ("weight", "headers")
    fixed = {key: value for key, value in spec.items() if value}
    fixed["http"] = [_fixed(rule, free) for rule in http]
    fixed["tcp"] = [_fixed(rule, free) for rule in spec.get("tcp") or []]
    return fixed


def _fixed(rule: Obj, free: tuple[str, ...]) -> Obj:
    fixed = {key: value for key, value in rule.items() if value and key not in ("mirror", "mirrorPercentage")}
    fixed["route"] = [{k: v for k, v in each.items() if k not in free} for each in rule.get("route") or []]
    return fixed


def _is_cookie_rule(rule: Obj, names: list[str]) -> bool:
    regexes = [((m.get("headers") or {}).get("Cookie") or {}).get("regex") or "" for m in rule.get("match") or []]
    return any(f".*{name}." in regex for regex in regexes for name in names)
