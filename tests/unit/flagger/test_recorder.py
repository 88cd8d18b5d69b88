"""Flagger's own figures: names, labels, and what their numbers mean."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from prometheus_client import generate_latest

from canary_tutorial.flagger.metrics import Recorder, serve

WHO = {"name": "podinfo", "namespace": "test"}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder("1.44.0", "istio")


def value(recorder: Recorder, metric: str, /, **labels: str) -> float | None:
    return recorder.registry.get_sample_value(metric, labels)


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("Initialized", 1),
        ("Waiting", 1),
        ("Progressing", 0),
        ("WaitingPromotion", 1),
        ("Promoting", 1),
        ("Finalising", 1),
        ("Succeeded", 1),
        ("Failed", 2),
    ],
)
def test_a_status_is_0_in_a_run_and_2_after_a_failed_one(recorder: Recorder, phase: str, number: float):
    recorder.status("podinfo", "test", phase)
    assert value(recorder, "flagger_canary_status", **WHO) == number


def test_version_and_mesh_are_told_from_the_start_and_weights_are_not(recorder: Recorder):
    assert value(recorder, "flagger_info", version="1.44.0", mesh_provider="istio") == 1
    assert "flagger_canary_weight{" not in generate_latest(recorder.registry).decode()


def test_weights_are_told_of_both_workloads(recorder: Recorder):
    recorder.weight("podinfo", "test", 80, 20)
    for workload, weight in (("podinfo-primary", 80), ("podinfo", 20)):
        assert value(recorder, "flagger_canary_weight", workload=workload, namespace="test") == weight


def test_a_tick_is_counted_in_gos_default_buckets(recorder: Recorder):
    recorder.duration("podinfo", "test", 0.3)
    name = "flagger_canary_duration_seconds"
    assert value(recorder, f"{name}_count", **WHO) == 1
    assert value(recorder, f"{name}_bucket", le="0.25", **WHO) == 0
    assert value(recorder, f"{name}_bucket", le="0.5", **WHO) == 1
    edges = [".005", ".01", ".025", ".05", ".1", ".25", ".5", "1.0", "2.5", "5.0", "10.0", "+Inf"]
    page = generate_latest(recorder.registry).decode()
    assert [f'le="{edge if edge[0] != "." else "0" + edge}"' in page for edge in edges] == [True] * len(edges)
    assert page.count(f"{name}_bucket") == len(edges)


@pytest.mark.parametrize(("how", "name"), [("success", "successes"), ("failure", "failures")])
def test_ends_of_runs_add_up_by_strategy(recorder: Recorder, how: str, name: str):
    for _ in range(2):
        recorder.ended(how, "podinfo", "test", "blue-green", "completed")
    labels = {**WHO, "deployment_strategy": "blue-green", "analysis_status": "completed"}
    assert value(recorder, f"flagger_canary_{name}_total", **labels) == 2


def test_what_was_told_of_a_canary_goes_with_it_and_of_another_stays(recorder: Recorder):
    for target in ("podinfo", "backend"):
        recorder.status(target, "test", "Failed")
        recorder.weight(target, "test", 100, 0)
        recorder.analysis(target, "test", "request-success-rate", 99.0)
    recorder.forget("podinfo", "test")
    page = generate_latest(recorder.registry).decode()
    assert '"podinfo' not in page
    assert page.count('"backend') == 4


def test_an_import_leaves_the_clients_own_settings_alone():
    setting = "prometheus_client.metrics._use_created"
    words = (
        f"import prometheus_client.metrics; before = {setting}; "
        f"import canary_tutorial.flagger.metrics; print(before, {setting})"
    )
    before, after = subprocess.check_output([sys.executable, "-c", words], text=True).split()
    assert before == after


def test_pages_of_the_server(recorder: Recorder):
    server = serve(recorder, "127.0.0.1", 0)
    try:
        root = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{root}/healthz") as page:
            assert page.read() == b"OK"
        with urllib.request.urlopen(f"{root}/metrics") as page:
            assert b"flagger_info{" in page.read()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{root}/else")
    finally:
        server.shutdown()
        server.server_close()
