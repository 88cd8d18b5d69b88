"""What a rule does with a request: where it goes and what changes on the way. HTTPRoute to Envoy's Route. Pure.

What a rule leaves open is filled as Istio fills it: no timeout, and two retries of requests that nobody has begun to
answer, so that a pod that comes or goes costs nobody an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from canary_tutorial.lab.mesh.matches import string_matcher
from canary_tutorial.lab.mesh.world import seconds

Obj = dict[str, Any]
ClusterOf = Callable[[Obj], str]  # a rule's Destination -> the name of a cluster

SHARE_HEADER = "x-lab-share"  # a number below 100 that decides between weighted clusters, see listeners.SHARES
FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,503"
PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
OTHER_HOST = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": PREVIOUS_HOSTS}}


def compile_rule(rule: Obj, match: Obj, cluster_of: ClusterOf) -> Obj:
    """One rule for one of its matches, as a Route without its match."""
    if "redirect" in rule:
        route: Obj = {"redirect": _redirect(rule["redirect"])}
    elif "directResponse" in rule:
        answer = rule["directResponse"]
        body = (answer.get("body") or {}).get("string")
        route = {"direct_response": {"status": answer["status"]} | ({"body": {"inline_string": body}} if body else {})}
    else:
        route = {"route": _destinations(rule, cluster_of) | _mirrors(rule, cluster_of) | _rewrite(rule, match)}
        route["route"] |= retries_and_timeout(rule)
    route |= _headers(rule.get("headers"))
    filters = _faults(rule.get("fault") or {}) | _cors(rule.get("corsPolicy") or {})
    return route | ({"typed_per_filter_config": filters} if filters else {})


def _destinations(rule: Obj, cluster_of: ClusterOf) -> Obj:
    """A single destination gets everything, whatever its weight; of several each gets its share of a hundred."""
    destinations = rule.get("route") or []
    if not destinations:
        raise ValueError("a rule has no route")
    if len(destinations) == 1 and not destinations[0].get("headers"):
        return {"cluster": cluster_of(destinations[0]["destination"])}
    weights = [each.get("weight", 0) for each in destinations] if len(destinations) > 1 else [100]
    clusters = [
        {"name": cluster_of(each["destination"]), "weight": share, **_headers(each.get("headers"))}
        for each, share in zip(destinations, hundredths(weights), strict=True)
    ]
    return {"weighted_clusters": {"clusters": clusters, "header_name": SHARE_HEADER}}


def hundredths(weights: list[int]) -> list[int]:
    """Weights of any sum as shares of a hundred (largest remainders first); ValueError if all are zero."""
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
        share = rule.get("mirrorPercentage") or {"value": rule.get("mirrorPercent", 100)}
        mirrors.insert(0, {"destination": rule["mirror"], "percentage": share})
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
        action["host_rewrite_literal"] = host
    if "uriRegexRewrite" in rewrite:
        how = rewrite["uriRegexRewrite"]
        action["regex_rewrite"] = {"pattern": {"regex": how["match"]}, "substitution": how["rewrite"]}
    elif rewrite.get("uri"):
        uri = match.get("uri") or {}
        if "exact" in uri:
            pattern = {"regex": f"^{re.escape(uri['exact'])}$"}
            action["regex_rewrite"] = {"pattern": pattern, "substitution": rewrite["uri"]}
        else:
            action["prefix_rewrite"] = rewrite["uri"]
    return action


def retries_and_timeout(rule: Obj) -> Obj:
    action: Obj = {"timeout": seconds(rule.get("timeout"))}
    retries = rule.get("retries") or {}
    attempts = int(retries.get("attempts", 2))
    if not attempts:
        return action
    reasons = [reason.strip() for reason in (retries.get("retryOn") or RETRY_ON).split(",")]
    codes = [int(reason) for reason in reasons if reason.isdigit()]
    named = [reason for reason in reasons if not reason.isdigit()] + (["retriable-status-codes"] if codes else [])
    policy: Obj = {
        "retry_on": ",".join(named),
        "num_retries": attempts,
        "retry_host_predicate": [OTHER_HOST],
        "host_selection_retry_max_attempts": "5",
    }
    if codes:
        policy["retriable_status_codes"] = codes
    if retries.get("perTryTimeout"):
        policy["per_try_timeout"] = seconds(retries["perTryTimeout"])
    return action | {"retry_policy": policy}


def _redirect(redirect: Obj) -> Obj:
    names = {"uri": "path_redirect", "authority": "host_redirect", "scheme": "scheme_redirect", "port": "port_redirect"}
    compiled = {names[key]: value for key, value in redirect.items() if key in names}
    code = {302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
    return compiled | {"response_code": code.get(redirect.get("redirectCode", 301), "MOVED_PERMANENTLY")}


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
                {"header": {"key": key, "value": value.replace("%", "%%")}, "append_action": action}
                for key, value, action in added
            ]
        if change.get("remove"):
            compiled[f"{side}_headers_to_remove"] = list(change["remove"])
    return compiled


def _faults(fault: Obj) -> Obj:
    config: Obj = {"@type": f"{FILTERS}.fault.v3.HTTPFault"}
    if "delay" in fault:
        config["delay"] = {
            "fixed_delay": seconds(fault["delay"].get("fixedDelay")),
            "percentage": _percentage(fault["delay"]),
        }
    if "abort" in fault:
        config["abort"] = {"http_status": fault["abort"]["httpStatus"], "percentage": _percentage(fault["abort"])}
    return {"envoy.filters.http.fault": config} if len(config) > 1 else {}


def _cors(cors: Obj) -> Obj:
    if not cors:
        return {}
    origins = [string_matcher(origin) for origin in cors.get("allowOrigins") or []]
    origins += [string_matcher({"regex": ".*"} if o == "*" else {"exact": o}) for o in cors.get("allowOrigin") or []]
    config = {"@type": f"{FILTERS}.cors.v3.CorsPolicy", "allow_origin_string_match": origins}
    names = {"allowMethods": "allow_methods", "allowHeaders": "allow_headers", "exposeHeaders": "expose_headers"}
    config |= {name: ",".join(cors[key]) for key, name in names.items() if cors.get(key)}
    if cors.get("maxAge"):
        config["max_age"] = seconds(cors["maxAge"]).removesuffix("s")
    if "allowCredentials" in cors:
        config["allow_credentials"] = cors["allowCredentials"]
    return {"envoy.filters.http.cors": config}


def _percentage(of: Obj) -> Obj:
    """Istio's `percentage: {value: 12.5}` (or the older `percent: 12`), in Envoy's millionths; all if not said."""
    value = (of.get("percentage") or {"value": of.get("percent", 100)})["value"]
    return {"numerator": int(value * 10000), "denominator": "MILLION"}
