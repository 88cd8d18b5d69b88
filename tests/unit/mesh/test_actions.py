"""What a rule does with a request: a table from Istio's words to Envoy's."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab.mesh.actions import compile_rule, hundredths

Obj = dict[str, Any]


def compiled(rule: Obj, match: Obj | None = None) -> Obj:
    return compile_rule(rule, match or {}, lambda destination: str(destination["host"]))


def to(host: str, **more: Any) -> Obj:
    return {"destination": {"host": host}, **more}


def test_one_destination_gets_everything_whatever_its_weight() -> None:
    assert compiled({"route": [to("a", weight=0)]})["route"]["cluster"] == "a"


def test_several_destinations_share_by_weight_and_zero_stays_zero() -> None:
    action = compiled({"route": [to("a", weight=80), to("b", weight=20), to("c", weight=0)]})["route"]
    assert [(c["name"], c["weight"]) for c in action["weighted_clusters"]["clusters"]] == [
        ("a", 80),
        ("b", 20),
        ("c", 0),
    ]
    assert action["weighted_clusters"]["header_name"] == "x-lab-share"


@pytest.mark.parametrize(
    ("weights", "shares"),
    [([100, 0], [100, 0]), ([1, 1], [50, 50]), ([1, 1, 1], [34, 33, 33]), ([500, 500], [50, 50]), ([1, 2], [33, 67])],
)
def test_weights_of_any_sum_become_shares_of_a_hundred(weights: list[int], shares: list[int]) -> None:
    assert hundredths(weights) == shares


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="add up to 0"):
        compiled({"route": [to("a", weight=0), to("b", weight=0)]})


def test_a_mirror_without_a_percentage_gets_every_request() -> None:
    action = compiled({"route": [to("a")], "mirror": {"host": "b"}})["route"]
    everything = {"default_value": {"numerator": 1000000, "denominator": "MILLION"}}
    assert action["request_mirror_policies"] == [{"cluster": "b", "runtime_fraction": everything}]


def test_a_mirror_percentage_is_kept_to_a_fraction_of_a_percent() -> None:
    action = compiled({"route": [to("a")], "mirror": {"host": "b"}, "mirrorPercentage": {"value": 12.5}})["route"]
    assert action["request_mirror_policies"][0]["runtime_fraction"]["default_value"]["numerator"] == 125000


def test_two_retries_are_the_default_and_zero_attempts_turn_them_off() -> None:
    policy = compiled({"route": [to("a")]})["route"]["retry_policy"]
    assert policy["num_retries"] == 2
    assert policy["retriable_status_codes"] == [503]
    assert "retry_policy" not in compiled({"route": [to("a")], "retries": {"attempts": 0}})["route"]


def test_status_codes_in_retry_on_are_told_apart_from_words() -> None:
    retries = {"attempts": 3, "retryOn": "5xx,418", "perTryTimeout": "250ms"}
    policy = compiled({"route": [to("a")], "retries": retries})["route"]["retry_policy"]
    assert (policy["retry_on"], policy["retriable_status_codes"]) == ("5xx,retriable-status-codes", [418])
    assert (policy["num_retries"], policy["per_try_timeout"]) == (3, "0.25s")


@pytest.mark.parametrize(
    ("timeout", "expected"), [(None, "0s"), ("30s", "30s"), ("1m30s", "90s"), ("500ms", "0.5s"), ("0.25s", "0.25s")]
)
def test_timeouts_in_envoys_words(timeout: str | None, expected: str) -> None:
    assert compiled({"route": [to("a")], **({"timeout": timeout} if timeout else {})})["route"]["timeout"] == expected


def test_a_timeout_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'30 seconds' is not a duration"):
        compiled({"route": [to("a")], "timeout": "30 seconds"})


def test_rewriting_a_prefix_an_exact_path_and_the_authority() -> None:
    rewrite = {"uri": "/new", "authority": "other"}
    action = compiled({"route": [to("a")], "rewrite": rewrite}, {"uri": {"prefix": "/old"}})["route"]
    assert (action["prefix_rewrite"], action["host_rewrite_literal"]) == ("/new", "other")
    action = compiled({"route": [to("a")], "rewrite": {"uri": "/new"}}, {"uri": {"exact": "/a.b"}})["route"]
    assert action["regex_rewrite"] == {"pattern": {"regex": "^/a\\.b$"}, "substitution": "/new"}


def test_headers_are_added_set_and_removed_on_both_ways() -> None:
    change = {
        "request": {"add": {"x-a": "1"}, "set": {"x-b": "100%"}, "remove": ["x-c"]},
        "response": {"set": {"x-d": "2"}},
    }
    route = compiled({"route": [to("a")], "headers": change})
    assert route["request_headers_to_add"] == [
        {"header": {"key": "x-a", "value": "1"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
        {"header": {"key": "x-b", "value": "100%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
    ]
    assert route["request_headers_to_remove"] == ["x-c"]
    assert route["response_headers_to_add"][0]["header"] == {"key": "x-d", "value": "2"}


def test_setting_host_rewrites_the_authority() -> None:
    route = compiled({"route": [to("a")], "headers": {"request": {"set": {"Host": "other"}}}})
    assert route["route"]["host_rewrite_literal"] == "other"
    assert "request_headers_to_add" not in route


def test_session_affinity_gives_each_destination_its_own_cookie() -> None:
    cookie = {"response": {"add": {"Set-Cookie": "flagger=abc; Max-Age=86400"}}}
    action = compiled({"route": [to("a", weight=90), to("b", weight=10, headers=cookie)]})["route"]
    canary = action["weighted_clusters"]["clusters"][1]
    assert canary["response_headers_to_add"][0]["header"] == {
        "key": "Set-Cookie",
        "value": "flagger=abc; Max-Age=86400",
    }


def test_faults_are_a_filter_of_the_route() -> None:
    fault = {
        "abort": {"httpStatus": 500, "percentage": {"value": 10}},
        "delay": {"fixedDelay": "2s", "percentage": {"value": 100}},
    }
    config = compiled({"route": [to("a")], "fault": fault})["typed_per_filter_config"]["envoy.filters.http.fault"]
    assert config["abort"] == {"http_status": 500, "percentage": {"numerator": 100000, "denominator": "MILLION"}}
    assert config["delay"]["fixed_delay"] == "2s"


def test_cors_is_a_filter_of_the_route() -> None:
    policy = {
        "allowOrigins": [{"exact": "https://a.example"}],
        "allowMethods": ["GET", "POST"],
        "allowHeaders": ["x-a"],
        "maxAge": "24h",
        "allowCredentials": True,
    }
    config = compiled({"route": [to("a")], "corsPolicy": policy})["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert config["allow_origin_string_match"] == [{"exact": "https://a.example"}]
    assert (config["allow_methods"], config["max_age"], config["allow_credentials"]) == ("GET,POST", "86400", True)


def test_a_redirect_and_a_direct_response_need_no_destination() -> None:
    redirect = compiled({"redirect": {"uri": "/b", "authority": "c", "redirectCode": 308}})["redirect"]
    assert redirect == {"path_redirect": "/b", "host_redirect": "c", "response_code": "PERMANENT_REDIRECT"}
    answer = compiled({"directResponse": {"status": 503, "body": {"string": "later"}}})["direct_response"]
    assert answer == {"status": 503, "body": {"inline_string": "later"}}
