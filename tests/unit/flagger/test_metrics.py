"""Checks: queries, verdicts, every way to have no answer, and the numbers as Go prints them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flagger_world import World, canary, podinfo

from canary_tutorial.flagger.analysis import offline
from canary_tutorial.flagger.effects import Value
from canary_tutorial.flagger.golang import go_fixed, go_float, go_milliseconds, parsed_duration, url_fault
from canary_tutorial.flagger.queries import BUILT_IN
from canary_tutorial.flagger.templates import TemplateError, render

SUCCESS, DURATION = "request-success-rate", "request-duration"
NO_TRAFFIC = "! Halt advancement no values found for istio metric {} probably podinfo.test is not receiving traffic"
NOTHING = Value(missing=True)
BROKEN = Value(error='request failed: Get "http://prometheus": refused')


def run(metric: dict[str, Any], value: Value, *objects: dict[str, Any], **spec: Any) -> tuple[World, list[str]]:
    """The second analysis tick of a canary with one metric."""
    world = World(podinfo(), canary({"metrics": [metric]}, **spec), *objects).released()
    world.values[metric["name"]] = value
    world.tick()
    return world, world.tick()


def passed(said: list[str]) -> bool:
    return said == ["Advance podinfo.test canary weight 40"]


@pytest.mark.parametrize(
    ("metric", "value", "what"),
    [
        pytest.param({"name": SUCCESS, "thresholdRange": {"min": 99}}, 99, "", id="rate-at-min"),
        pytest.param(
            {"name": SUCCESS, "thresholdRange": {"min": 99}}, 98.7654, "success rate 98.77% < 99%", id="rate-below-min"
        ),
        pytest.param(
            {"name": SUCCESS, "thresholdRange": {"min": 99.5}}, 99.4, "success rate 99.40% < 99.5%", id="rate-half"
        ),
        pytest.param(
            {"name": SUCCESS, "thresholdRange": {"max": 50}}, 51, "success rate 51.00% > 50%", id="rate-above-max"
        ),
        pytest.param({"name": SUCCESS, "threshold": 99}, 98, "success rate 98.00% < 99%", id="rate-old-threshold"),
        pytest.param({"name": SUCCESS}, 0, "", id="rate-without-threshold"),
        pytest.param({"name": SUCCESS, "thresholdRange": {}, "threshold": 99}, 1, "", id="rate-empty-range"),
        pytest.param({"name": DURATION, "thresholdRange": {"max": 500}}, 500.9, "", id="duration-is-whole-ms"),
        pytest.param(
            {"name": DURATION, "thresholdRange": {"max": 500}}, 501, "request duration 501ms > 500ms", id="duration-max"
        ),
        pytest.param(
            {"name": DURATION, "thresholdRange": {"max": 0.5}}, 1, "request duration 1ms > 0s", id="duration-max-cut"
        ),
        pytest.param(
            {"name": DURATION, "thresholdRange": {"min": 1000}}, 520, "request duration 520ms < 1s", id="duration-min"
        ),
        pytest.param({"name": DURATION, "threshold": 500}, 1515, "request duration 1.515s > 500ms", id="duration-old"),
        pytest.param({"name": DURATION}, 1, "request duration 1ms > 0s", id="duration-without-threshold"),
        pytest.param(
            {"name": "mine", "query": "up", "thresholdRange": {"min": 2}}, 1, "mine 1.00 < 2", id="inline-min"
        ),
        pytest.param({"name": "mine", "query": "up", "threshold": 0.5}, 1, "mine 1.00 > 0.5", id="inline-old"),
        pytest.param({"name": "mine", "query": "up"}, 0.004, "mine 0.00 > 0", id="inline-without-threshold"),
        pytest.param(
            {"name": "mine", "query": "up", "thresholdRange": {"max": 1}}, float("inf"), "mine +Inf > 1", id="infinity"
        ),
    ],
)
def test_verdicts(metric: dict[str, Any], value: float, what: str):
    world, said = run(metric, Value(float(value)))
    if what:
        assert said == [f"! Halt podinfo.test advancement {what}"]
        assert world.status["failedChecks"] == 1
    else:
        assert passed(said)


@pytest.mark.parametrize(
    ("metric", "answer", "text"),
    [
        pytest.param(
            {"name": SUCCESS},
            NOTHING,
            NO_TRAFFIC.format(SUCCESS) + ": running query failed: no values found",
            id="rate-no-values",
        ),
        pytest.param({"name": DURATION}, NOTHING, NO_TRAFFIC.format(DURATION), id="duration-no-values"),
        pytest.param(
            {"name": "mine", "query": "up"}, NOTHING, "! Halt advancement no values found for metric: mine", id="inline"
        ),
        pytest.param(
            {"name": SUCCESS},
            BROKEN,
            f"! Prometheus query failed: running query failed: {BROKEN.error}",
            id="rate-error",
        ),
        pytest.param(
            {"name": "mine", "query": "up"},
            BROKEN,
            f"! Prometheus query failed for mine: {BROKEN.error}",
            id="inline-error",
        ),
        pytest.param(
            {"name": "mine"},
            NOTHING,
            "! Metric query failed for no usable metrics template and query were configured",
            id="nothing-to-ask",
        ),
    ],
)
def test_no_answer_is_a_failed_check(metric: dict[str, Any], answer: Value, text: str):
    world, said = run(metric, answer)
    assert said == [text]
    assert world.status["failedChecks"] == 1


def test_errors_are_logged_as_errors_and_bad_values_are_not():
    world, _ = run({"name": SUCCESS}, BROKEN)
    assert world.emitted[-1].level == "error"
    world, _ = run({"name": SUCCESS}, NOTHING)
    assert world.emitted[-1].level == "info"


def test_built_in_checks_and_inline_queries_come_before_templates_and_the_first_failure_ends_it():
    template = {**CUSTOM, "thresholdRange": {"max": 1}}
    metrics = [
        template,
        {"name": SUCCESS, "thresholdRange": {"min": 99}},
        {"name": "mine", "query": "up", "threshold": 9},
    ]
    world = World(podinfo(), canary({"metrics": metrics}), metric_template()).released()
    world.values |= {"custom": Value(0.0), "mine": Value(1.0)}
    world.tick(2)
    assert [check.metric for check in world.checked] == [SUCCESS, "mine", "custom"]
    world.checked.clear()
    world.values["mine"] = Value(10.0)
    world.tick()
    assert [check.metric for check in world.checked] == [SUCCESS, "mine"]
    assert world.status["failedChecks"] == 1


def test_the_built_in_queries_ask_for_the_canarys_own_requests():
    world, _ = run({"name": SUCCESS, "interval": "30s"}, Value(100.0))
    where = 'reporter="destination", destination_workload_namespace="test", destination_workload=~"podinfo"'
    good = f'sum( rate( istio_requests_total{{ {where}, response_code!~"5.*" }}[30s] ) )'
    every = f"sum( rate( istio_requests_total{{ {where} }}[30s] ) )"
    assert world.queries[-1].promql == f" {good} / {every} * 100"
    world, _ = run({"name": DURATION}, Value(0.0))
    buckets = f"sum( rate( istio_request_duration_milliseconds_bucket{{ {where} }}[1m] ) ) by (le)"
    assert world.queries[-1].promql == f" histogram_quantile( 0.99, {buckets} )"


def test_a_canarys_own_metrics_server_is_asked():
    world, _ = run({"name": SUCCESS}, Value(100.0), metricsServer="http://other:9090")
    assert {query.server for query in world.queries} == {"http://other:9090"}


@pytest.mark.parametrize("server", ["127.0.0.1:9090", "://prometheus", "http://[::1", "http://prometheus:port"])
def test_a_metrics_server_that_is_no_address_is_a_failed_check(server: str):
    why = f"Error building Prometheus client for {server} prometheus address {server} is not a valid URL"
    world, said = run({"name": SUCCESS}, Value(100.0), metricsServer=server)
    assert said == [f"! {why}"]
    assert world.status["failedChecks"] == 1
    assert world.queries == []


def test_a_metrics_server_that_is_no_address_stops_no_initialization():
    world = World(podinfo(), canary({"metrics": [{"name": SUCCESS}]}, metricsServer="10.0.0.1:9090"))
    why = "error building Prometheus client for 10.0.0.1:9090 prometheus address 10.0.0.1:9090 is not a valid URL"
    assert world.tick()[0] == f"! Error checking metric providers: {why}"
    assert world.tick()[-1] == "Initialization done! podinfo.test"


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        *[(each, "") for each in ("prometheus:9090", "http://[::1]:9090/a?b", "https://me@host", "/path:9090")],
        *[(each, "") for each in ("http:///path", "http://a/b c?%zz", "http:opaque", "///a:b")],
        ("127.0.0.1:9090/a", "first path segment in URL cannot contain colon"),
        (":a", "missing protocol scheme"),
        ("http://[::1/a", "missing ']' in host"),
        ("http://[::1]x/", 'invalid port "x" after host'),
        ("http://a:b/", 'invalid port ":b" after host'),
        ("http://a b/", 'invalid character " " in host name'),
        ("http://a/%zz", 'invalid URL escape "%zz"'),
        ("http://a#%z", 'invalid URL escape "%z"'),
        ("http://a%41/", 'invalid URL escape "%41"'),
        ("http://a\x01", "net/url: invalid control character in URL"),
    ],
)
def test_what_go_has_against_an_address(address: str, fault: str):
    """As Go 1.26 answers."""
    assert url_fault(address) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", 'invalid duration ""'),
        ("soon", 'invalid duration "soon"'),
        (".s", 'invalid duration ".s"'),
        ("99999999h", 'invalid duration "99999999h"'),
        ("5", 'missing unit in duration "5"'),
        ("1..s", 'missing unit in duration "1..s"'),
        ("5sec", 'unknown unit "sec" in duration "5sec"'),
        ("1h1x", 'unknown unit "x" in duration "1h1x"'),
    ],
)
def test_what_go_has_against_a_duration(text: str, fault: str):
    with pytest.raises(ValueError, match=f"^time: {re.escape(fault)}$"):
        parsed_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [("-5s", -5.0), ("+1.5m", 90.0), ("0", 0.0), ("1h2ms", 3600.002)])
def test_durations_as_go_reads_them(text: str, seconds: float):
    assert parsed_duration(text) == seconds


# -- templates


def metric_template(**provider: Any) -> dict[str, Any]:
    spec = {"provider": {"type": "prometheus", "address": "http://prom:9090", **provider}}
    spec["query"] = 'sum(rate(errors{app="{{ target }}",\n  by="{{ variables.by }}"}[{{ interval }}]))\n'
    return {"kind": "MetricTemplate", "metadata": {"name": "errors", "namespace": "test"}, "spec": spec}


CUSTOM = {"name": "custom", "templateRef": {"name": "errors"}, "templateVariables": {"by": "me"}, "threshold": 1}


def test_a_template_is_filled_in_and_asked_on_its_own_provider():
    world, said = run({**CUSTOM, "interval": "2m"}, Value(1.0), metric_template())
    assert passed(said)
    asked = world.queries[-1]
    assert asked.promql == 'sum(rate(errors{app="podinfo", by="me"}[2m])) '
    assert asked.server == "http://prom:9090"


def test_a_templates_interval_has_no_default():
    world, _ = run(CUSTOM, Value(1.0), metric_template())
    assert world.queries[-1].promql.endswith("[])) ")


SECRET = {"kind": "Secret", "metadata": {"name": "login", "namespace": "test"}, "data": {"username": "bWU="}}


@pytest.mark.parametrize(
    ("metric", "answer", "objects", "text"),
    [
        pytest.param(
            CUSTOM,
            NOTHING,
            [metric_template()],
            "Halt advancement no values found for custom metric: custom: no values found",
            id="no-values",
        ),
        pytest.param(
            CUSTOM, BROKEN, [metric_template()], f"Metric query failed for custom: {BROKEN.error}", id="error"
        ),
        pytest.param(
            CUSTOM, Value(2.0), [metric_template()], "Halt podinfo.test advancement custom 2.00 > 1", id="bad-value"
        ),
        pytest.param(
            CUSTOM,
            NOTHING,
            [],
            'Metric template errors.test error: metrictemplate.flagger.app "errors" not found',
            id="missing-template",
        ),
        pytest.param(
            {**CUSTOM, "templateVariables": {}},
            NOTHING,
            [metric_template()],
            "Metric template errors.test query render error: template excution failed: template: tmpl:2:9: "
            'executing "tmpl" at <variables>: map has no entry for key "by"',
            id="missing-variable",
        ),
        pytest.param(
            CUSTOM,
            NOTHING,
            [metric_template(secretRef={"name": "login"})],
            'Metric template errors.test secret login error: secrets "login" not found',
            id="missing-secret",
        ),
        pytest.param(
            CUSTOM,
            NOTHING,
            [metric_template(secretRef={"name": "login"}), SECRET],
            "Metric template errors.test provider prometheus error: prometheus credentials does not contain a password",
            id="half-a-secret",
        ),
        pytest.param(
            CUSTOM,
            NOTHING,
            [metric_template(address="10.0.0.1:9090")],
            "Metric template errors.test provider prometheus error: prometheus address 10.0.0.1:9090 is not a valid URL",
            id="no-address",
        ),
        pytest.param(
            CUSTOM,
            NOTHING,
            [metric_template(type="datadog")],
            "Metric template errors.test provider datadog error: the provider datadog is not built in here, "
            "only prometheus is",
            id="another-provider",
        ),
    ],
)
def test_templates_that_fail(metric: dict[str, Any], answer: Value, objects: list[dict[str, Any]], text: str):
    world, said = run(metric, answer, *objects)
    assert said == [f"! {text}"]
    assert world.status["failedChecks"] == 1


def test_a_template_of_another_namespace_is_named_with_it():
    _, said = run({**CUSTOM, "templateRef": {"name": "errors", "namespace": "shared"}}, NOTHING)
    assert said[0].startswith("! Metric template errors.shared error:")


# -- providers while initializing


@pytest.mark.parametrize(
    ("metrics", "objects", "text"),
    [
        pytest.param(
            [{"name": SUCCESS}], [], f"prometheus not avaiable: running query failed: {BROKEN.error}", id="built-in"
        ),
        pytest.param(
            [CUSTOM],
            [metric_template()],
            f"prometheus in metric template errors.test not avaiable: running query failed: {BROKEN.error}",
            id="template",
        ),
        pytest.param(
            [CUSTOM],
            [],
            'metric template errors.test error: metrictemplate.flagger.app "errors" not found',
            id="missing",
        ),
    ],
)
def test_metric_providers_out_of_reach_are_told_and_stop_nothing(
    metrics: list[dict[str, Any]], objects: list[dict[str, Any]], text: str
):
    world = World(podinfo(), canary({"metrics": metrics}), *objects)
    world.hooks["asked"] = None
    for metric in metrics:
        world.hooks[metric["name"]] = "unused"
        world.values[metric["name"]] = BROKEN
    assert world.tick()[0] == f"! Error checking metric providers: {text}"
    assert world.tick()[-1] == "Initialization done! podinfo.test"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Value(1.0), ""),
        (NOTHING, "running query failed: no values found"),
        (Value(2.0), "value is not 1 for query: vector(1)"),
    ],
)
def test_a_server_that_cannot_say_one_is_offline(answer: Value, why: str):
    assert offline(answer) == why


def test_without_metrics_nobody_is_asked():
    world = World(podinfo(), canary({"metrics": []}))
    assert world.tick()[0] == "all the metrics providers are available!"
    assert world.queries == []


# -- texts


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        *((0, "0s"), (520, "520ms"), (1000, "1s"), (1515, "1.515s"), (1500, "1.5s"), (61_000, "1m1s")),
        *((60_000, "1m0s"), (3_600_000, "1h0m0s"), (3_661_001, "1h1m1.001s"), (-20, "-20ms")),
    ],
)
def test_durations_as_go_prints_them(milliseconds: int, text: str):
    assert go_milliseconds(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (99.0, "99"),
        (99.5, "99.5"),
        (0.0, "0"),
        (1e-05, "1e-05"),
        (0.0001, "0.0001"),
        (123456.0, "123456"),
        (2e6, "2e+06"),
        (-2000001.0, "-2.000001e+06"),
        (1e21, "1e+21"),
    ],
)
def test_numbers_as_go_prints_them(value: float, text: str):
    assert go_float(value) == text
    assert go_fixed(float("-inf")) == "-Inf"


def test_templates_know_their_words():
    values = {"target": "podinfo", "interval": "1m"}
    assert render("a{{target}}b{{ interval }}c{{- target -}}", values, {}) == "apodinfob1mcpodinfo"
    with pytest.raises(TemplateError) as refused:
        render("a\n{{ pod }}", values, {})
    assert str(refused.value) == 'template parsing failed: template: tmpl:2: function "pod" not defined'
    assert "{{" not in render(BUILT_IN[SUCCESS], values | {"namespace": "test"}, {})


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("queue{{ .Nope }}", 'template: tmpl:1:8: executing "tmpl" at <.Nope>: nil data; no entry for key "Nope"'),
        ("é\né{{ .a }}", 'template: tmpl:2:5: executing "tmpl" at <.a>: nil data; no entry for key "a"'),
        ("{{ variables.a }}", 'template: tmpl:1:3: executing "tmpl" at <variables>: map has no entry for key "a"'),
        ("{{ target.a }}", 'template: tmpl:1:3: executing "tmpl" at <target>: can\'t evaluate field a in type string'),
        ("{{ .a }}{{ pod.a }}", 'template: tmpl:1: function "pod" not defined'),
        ("{{ }}", "template: tmpl:1: missing value for command"),
        ("\n{{ target", "template: tmpl:2: unclosed action"),
    ],
)
def test_what_go_has_against_a_template(template: str, why: str):
    """As Go 1.26 answers: first where it cannot be parsed, then where it cannot be executed."""
    how = "excution" if "executing" in why else "parsing"
    with pytest.raises(TemplateError, match=f"^template {how} failed: {re.escape(why)}$"):
        render(template, {"target": "podinfo"}, {})


def test_variables_can_be_shown_whole():
    assert render("{{ variables }}{{ variables.b }}", {}, {"b": "c", "a": "d"}) == "map[a:d b:c]c"
