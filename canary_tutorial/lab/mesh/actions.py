"""What a route does with a request: its destination, and what is changed. HTTPRoute to Envoy's Route. Pure.

Defaults are Istio's: no timeout, and two retries of requests that no pod has begun to answer, so that pods that come and
go cause no errors.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from canary_tutorial.lab.mesh import values
from canary_tutorial.lab.mesh.matches import string_matcher
from canary_tutorial.lab.mesh.values import header_value, seconds, whole
from canary_tutorial.lab.objects import Obj

ClusterOf = Callable[[Obj], str]  # a rule's Destination -> the name of a cluster

SHARE_HEADER = "x-lab-share"  # a number below 100 that decides between weighted clusters, see listeners.SHARES
REDIRECTS = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
LARGEST_BODY, MOST_HEADERS = 1 << 20, 1000  # bytes of a directResponse as with Istio; headers that Envoy adds at most
FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,503"
PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
OTHER_HOST = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": PREVIOUS_HOSTS}}


def compile_rule(rule: Obj, match: Obj, cluster_of: ClusterOf) -> Obj:
    """One rule for one of its matches, as a Route without its match."""
    if rule.get("redirect"):
        route: Obj = {"redirect": _redirect(rule["redirect"])}
    elif rule.get("directResponse"):
        route = {"direct_response": _answer(rule["directResponse"])}
    else:
        route = {"route": _destinations(rule, cluster_of) | _mirrors(rule, cluster_of) | _rewrite(rule, match)}
        route["route"] |= retries_and_timeout(rule)
    route |= _headers(rule.get("headers"))
    filters = _faults(rule.get("fault") or {}) | _cors(rule.get("corsPolicy") or {})
    return route | ({"typed_per_filter_config": filters} if filters else {})


def _destinations(rule: Obj, cluster_of: ClusterOf) -> Obj:
    """A single destination gets everything, whatever its weight; several get percentages that sum to a hundred."""
    destinations = rule.get("route") or []
    if not destinations:
        raise ValueError("a rule has no route")
    if len(destinations) == 1 and not destinations[0].get("headers"):
        return {"cluster": cluster_of(destinations[0]["destination"])}
    weights = [whole(each.get("weight") or 0, "weight", high=values.INT32) for each in destinations]
    weights = weights if len(destinations) > 1 else [100]
    clusters = [
        {"name": cluster_of(each["destination"]), "weight": share, **_headers(each.get("headers"))}
        for each, share in zip(destinations, hundredths(weights), strict=True)
    ]
    return {"weighted_clusters": {"clusters": clusters, "header_name": SHARE_HEADER}}


def hundredths(weights: list[int]) -> list[int]:
    """Weights of any sum as percentages (largest remainders first); ValueError if all are zero."""
    total = sum(weights)
    if total <= 0:
        raise ValueError("the weights of a rule add up to 0")
    shares = [weight * 100 // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: -(weights[n] * 100 % total))
    for number in by_remainder[: 100 - sum(shares)]:
        shares[number] += 1
    return shares


def _mirrors(rule: Obj, cluster_of: ClusterOf) -> Obj:
    mirrors = list(rule.get("mirrors") or [])
    if rule.get("mirror"):
        share = {"percentage": rule.get("mirrorPercentage"), "percent": rule.get("mirrorPercent")}
        mirrors.insert(0, {"destination": rule["mirror"], **share})
    policies = [
        {"cluster": cluster_of(each["destination"]), "runtime_fraction": {"default_value": _percentage(each)}}
        for each in mirrors
    ]
    return {"request_mirror_policies": policies} if policies else {}


def _rewrite(rule: Obj, match: Obj) -> Obj:
    rewrite = rule.get("rewrite") or {}
    action: Obj = {}
    change = ((rule.get("headers") or {}).get("request") or {}).get("set") or {}
    host = rewrite.get("authority") or next((v for k, v in change.items() if k.lower() in ("host", ":authority")), None)
    if host:
        action["host_rewrite_literal"] = header_value(host, "rewrite.authority")
    if rewrite.get("uriRegexRewrite"):
        how = rewrite["uriRegexRewrite"]
        action["regex_rewrite"] = _replacement(how.get("match"), how.get("rewrite") or "")
    elif rewrite.get("uri"):
        uri, target = match.get("uri") or {}, header_value(rewrite["uri"], "rewrite.uri")
        if uri.get("exact"):
            pattern = f"^{values.escaped(uri['exact'])}$"
            action["regex_rewrite"] = _replacement(pattern, target.replace("\\", "\\\\"))
        else:
            action["prefix_rewrite"] = target
    return action


def _replacement(pattern: Any, by: Any) -> Obj:
    regex = values.regex(pattern, "uriRegexRewrite.match")
    return {"pattern": {"regex": regex}, "substitution": values.substitution(by, regex, "uriRegexRewrite.rewrite")}


def retries_and_timeout(rule: Obj) -> Obj:
    action: Obj = {"timeout": seconds(rule.get("timeout"), what="timeout")}
    retries = rule.get("retries") or {}
    attempts = 2 if retries.get("attempts") is None else whole(retries["attempts"], "attempts", high=values.INT32)
    if not attempts:
        return action
    reasons = [reason.strip() for reason in header_value(retries.get("retryOn") or RETRY_ON, "retryOn").split(",")]
    numbers = [reason for reason in reasons if reason.isascii() and reason.isdigit()]
    codes = [whole(int(number[:5]), "retryOn", 100, 599) for number in numbers]
    named = [reason for reason in reasons if reason not in numbers] + (["retriable-status-codes"] if codes else [])
    policy: Obj = {
        "retry_on": ",".join(named),
        "num_retries": attempts,
        "retry_host_predicate": [OTHER_HOST],
        "host_selection_retry_max_attempts": "5",
    }
    if codes:
        policy["retriable_status_codes"] = codes
    if retries.get("perTryTimeout"):
        policy["per_try_timeout"] = seconds(retries["perTryTimeout"], what="perTryTimeout")
    return action | {"retry_policy": policy}


def _redirect(redirect: Obj) -> Obj:
    names = {"uri": "path_redirect", "authority": "host_redirect", "scheme": "scheme_redirect"}
    compiled: Obj = {
        name: header_value(redirect[key], f"redirect.{key}") for key, name in names.items() if redirect.get(key)
    }
    if redirect.get("port"):
        compiled["port_redirect"] = values.port(redirect["port"], "redirect.port")
    code = whole(redirect.get("redirectCode") or 301, "redirectCode")
    if code not in REDIRECTS:
        raise ValueError(f"redirectCode: {code} is none of {', '.join(map(str, REDIRECTS))}")
    return compiled | {"response_code": REDIRECTS[code]}


def _answer(answer: Obj) -> Obj:
    """A directResponse. (Envoy takes statuses below 200 for granted nowhere.)"""
    compiled: Obj = {"status": whole(answer.get("status") or 0, "directResponse.status", 200, 599)}
    body = answer.get("body") or {}
    if body.get("string"):
        compiled["body"] = {"inline_string": values.text(body["string"], "directResponse.body", LARGEST_BODY)}
    elif body.get("bytes"):
        if len(base64.b64decode(body["bytes"], validate=True)) > LARGEST_BODY:
            raise ValueError("directResponse.body: too long")
        compiled["body"] = {"inline_bytes": body["bytes"]}
    return compiled


def _headers(headers: Obj | None) -> Obj:
    """Header changes of a rule or of one destination."""
    compiled: Obj = {}
    for side in ("request", "response"):
        change = (headers or {}).get(side) or {}
        added = [(k, v, "APPEND_IF_EXISTS_OR_ADD") for k, v in (change.get("add") or {}).items()]
        added += [
            (k, v, "OVERWRITE_IF_EXISTS_OR_ADD")
            for k, v in (change.get("set") or {}).items()
            if k.lower() not in ("host", ":authority")  # Envoy has another way for these, see _rewrite
        ]
        if added:
            compiled[f"{side}_headers_to_add"] = [
                {"header": {"key": values.changeable(key), "value": _literal(value)}, "append_action": action}
                for key, value, action in added
            ]
            if len(added) > MOST_HEADERS:
                raise ValueError(f"{len(added)} headers are too many, {MOST_HEADERS} are possible")
        if change.get("remove"):
            compiled[f"{side}_headers_to_remove"] = [values.changeable(name) for name in change["remove"]]
    return compiled


def _literal(value: Any) -> str:
    """A header's value in which Envoy is to see no command."""
    return header_value(header_value(value).replace("%", "%%"))


def _faults(fault: Obj) -> Obj:
    config: Obj = {"@type": f"{FILTERS}.fault.v3.HTTPFault"}
    delay, abort = fault.get("delay"), fault.get("abort")
    if delay:
        wait = seconds(delay.get("fixedDelay"), what="fixedDelay", least=0.001)
        config["delay"] = {"fixed_delay": wait, "percentage": _percentage(delay)}
    if abort:
        status = whole(abort.get("httpStatus") or 0, "abort.httpStatus", 200, 599)
        config["abort"] = {"http_status": status, "percentage": _percentage(abort)}
    return {"envoy.filters.http.fault": config} if len(config) > 1 else {}


def _cors(cors: Obj) -> Obj:
    if not cors:
        return {}
    origins = [string_matcher(origin) for origin in cors.get("allowOrigins") or []]
    origins += [string_matcher({"regex": ".*"} if o == "*" else {"exact": o}) for o in cors.get("allowOrigin") or []]
    if not all(origins):
        raise ValueError("corsPolicy.allowOrigins: an origin is empty")
    config: Obj = {"@type": f"{FILTERS}.cors.v3.CorsPolicy", "allow_origin_string_match": origins}
    names = {"allowMethods": "allow_methods", "allowHeaders": "allow_headers", "exposeHeaders": "expose_headers"}
    config |= {name: header_value(",".join(cors[key]), key) for key, name in names.items() if cors.get(key)}
    if cors.get("maxAge"):
        config["max_age"] = seconds(cors["maxAge"], what="corsPolicy.maxAge").removesuffix("s")
    if cors.get("allowCredentials") is not None:
        config["allow_credentials"] = values.flag(cors["allowCredentials"], "allowCredentials")
    return {"envoy.filters.http.cors": config}


def _percentage(of: Obj) -> Obj:
    """Istio's `percentage: {value: 12.5}` (or the older `percent: 12`), in Envoy's millionths; all if not said."""
    if of.get("percentage") is not None:
        share = of["percentage"].get("value") or 0
    else:
        share = 100 if of.get("percent") is None else of["percent"]
    return {"numerator": int(values.percent(share, "percentage") * 10000), "denominator": "MILLION"}
