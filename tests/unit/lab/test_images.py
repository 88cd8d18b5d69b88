"""What an image name stands for, which addresses a lab has, and what Prometheus is told to scrape."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from controller_objects import Obj, pod

from canary_tutorial.lab.kubelet import kubelet
from canary_tutorial.lab.kubelet.scrape_targets import targets, write_targets
from canary_tutorial.lab.machine import images, network
from canary_tutorial.lab.machine.images import ImageError, Start, find_image, tag_of, write_programs


@pytest.mark.parametrize(
    ("reference", "entrypoint"),
    [
        ("podinfo:2.0.0", "podinfo"),
        ("stefanprodan/podinfo:2.1.3", "podinfo"),
        ("ghcr.io/stefanprodan/podinfo:6.0.0", "podinfo"),
        ("localhost:5000/podinfo:2.0.0", "podinfo"),
        ("ghcr.io/fluxcd/flagger:1.42.0", "flagger"),
        ("ghcr.io/fluxcd/flagger-loadtester:0.36.0", "loadtester"),
        ("prom/prometheus:v2.42.0", "prometheus"),
        ("docker.io/prom/prometheus", "prometheus"),
        ("canary-tutorial/mesh:1.0", "mesh"),
    ],
)
def test_an_image_is_found_in_any_registry(reference: str, entrypoint: str) -> None:
    assert find_image(reference).entrypoint == entrypoint


@pytest.mark.parametrize(
    "reference",
    [
        "nginx:1.27",
        "podinfo:9.9.9",
        "podinfo",
        "podinfo:latest",
        "localhost:5000/podinfo",
        "prometheus:v2.42.0",
        "",
        ":",
    ],
)
def test_any_other_cannot_be_pulled(reference: str) -> None:
    with pytest.raises(ImageError) as refused:
        find_image(reference)

    assert str(refused.value).startswith(f'Failed to pull image "{reference}": rpc error: code = NotFound')


@pytest.mark.parametrize(
    ("reference", "tag"),
    [("podinfo:2.0.0", "2.0.0"), ("podinfo", "latest"), ("localhost:5000/podinfo", "latest"), ("r:5000/p:1", "1")],
)
def test_the_tag_is_what_follows_the_name(reference: str, tag: str) -> None:
    assert tag_of(reference) == tag


CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs: [{source_labels: [__meta_kubernetes_namespace], target_label: namespace}]
- job_name: fixed
  static_configs: [{targets: ["127.0.0.1:1"]}]
"""


def test_prometheus_listens_on_its_pod_and_scrapes_what_the_kubelet_finds(tmp_path: Path) -> None:
    config = tmp_path / "mounted.yml"
    config.write_text(CONFIG)
    command = ["prometheus", f"--config.file={config}", "--web.listen-address=:9091", "--storage.tsdb.path=/data"]

    adapted = find_image("prom/prometheus").adapt(
        Start(command, "127.16.0.9", tmp_path, tmp_path / "kubeconfig", tmp_path / "targets.json")
    )

    assert adapted[1:] == [
        f"--config.file={tmp_path}/prometheus.yml",
        "--web.listen-address=127.16.0.9:9091",
        f"--storage.tsdb.path={tmp_path}/data",
    ]
    pods, fixed = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    assert pods["file_sd_configs"] == [{"files": [f"{tmp_path}/targets.json"]}]
    assert "kubernetes_sd_configs" not in pods
    assert pods["relabel_configs"][0]["target_label"] == "namespace"
    assert fixed["static_configs"] == [{"targets": ["127.0.0.1:1"]}]


def test_a_missing_program_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_program", lambda name: None)

    missing = write_programs(tmp_path / "bin")

    assert set(missing) == {"prometheus", "hey", "envoy"}
    done = subprocess.run([tmp_path / "bin" / "hey"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (127, missing["hey"])
    assert "canary-tutorial check --install" in missing["hey"]


@pytest.mark.parametrize(
    ("program", "variable"), [("flagger", images.FLAGGER), ("loadtester", images.LOADTESTER)], ids=str
)
@pytest.mark.parametrize("named", [True, False], ids=["named", "on PATH"])
def test_a_real_flagger_runs_only_where_a_variable_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, variable: str, named: bool
) -> None:
    real = tmp_path / program
    real.write_text("#!/bin/sh\necho the real one $*\n")
    real.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(variable, str(real) if named else "")
    write_programs(tmp_path / "bin")

    done = subprocess.run([tmp_path / "bin" / program, "--help"], capture_output=True, text=True, check=True)

    assert (done.stdout == "the real one --help\n") is named


@pytest.mark.parametrize(("proxy", "words"), [("http://p:1", "-n 1 -x http://p:1 url"), ("", "-n 1 url")])
def test_hey_goes_through_the_mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, words: str) -> None:
    echo = tmp_path / "echo"
    echo.write_text('#!/bin/sh\nfor word; do printf "%s " "$word"; done\n')
    echo.chmod(0o755)
    monkeypatch.setattr(images, "find_program", lambda name: str(echo))
    write_programs(tmp_path / "bin")

    done = subprocess.run(
        [tmp_path / "bin" / "hey", "-n", "1", "url"],
        env={"HTTP_PROXY": proxy},
        capture_output=True,
        text=True,
        check=True,
    )

    assert sorted(done.stdout.split()) == sorted(words.split())


# -- addresses


def test_pods_their_twins_and_services_never_share_an_address() -> None:
    pods = [network.pod_address(16, number) for number in range(network.MOST_PODS)]
    twins = list(map(network.app_address, pods))
    others = [*network.service_addresses(16), network.resolver(16), network.lock_address(16)[0]]

    assert len({*pods, *twins, *others}) == len(pods) + len(twins) + len(others)
    assert all(address.startswith("127.16.") for address in [*pods, *twins, *others])


def test_a_sidecars_program_listens_on_the_pods_twin() -> None:
    assert [network.pod_address(21, number) for number in (0, 1, 254)] == ["127.21.0.1", "127.21.0.2", "127.21.1.1"]
    assert network.app_address("127.21.3.7") == "127.21.131.7"


# -- discovery


def scraped(one: Obj) -> list[tuple[str, str]]:
    return [(t["targets"][0], t["labels"]["__meta_kubernetes_pod_container_name"]) for t in targets([one])]


@pytest.mark.parametrize(
    ("containers", "found"),
    [
        pytest.param([{"name": "app"}], [("127.16.0.1", "app")], id="no port"),
        pytest.param([{"name": "app", "ports": [{"containerPort": 9898}]}], [("127.16.0.1:9898", "app")], id="one"),
        pytest.param(
            [
                {"name": "app", "ports": [{"containerPort": 9898}, {"containerPort": 9797}]},
                {"name": "proxy", "ports": [{"containerPort": 15090}]},
            ],
            [("127.16.0.1:9898", "app"), ("127.16.0.1:9797", "app"), ("127.16.0.1:15090", "proxy")],
            id="each port of each container",
        ),
    ],
)
def test_each_port_is_a_target(containers: list[Obj], found: list[tuple[str, str]]) -> None:
    assert scraped(pod("a", ip="127.16.0.1", spec={"containers": containers})) == found


def test_a_pod_without_address_is_no_target() -> None:
    assert targets([pod("a", ip="")]) == []


def test_a_pod_with_a_sidecar_is_scraped_behind_it_so_that_no_scrape_counts_as_a_request() -> None:
    containers = [{"name": "app", "ports": [{"containerPort": 9898}]}, {"name": "istio-proxy"}]

    (target,) = targets([pod("a", ip="127.16.0.1", spec={"containers": containers})])

    assert target["targets"] == ["127.16.128.1:9898"]
    assert target["labels"]["__meta_kubernetes_pod_ip"] == "127.16.128.1"


def test_a_target_has_the_labels_of_kubernetes_discovery() -> None:
    one = pod(
        "a", ip="127.16.0.1", labels={"app.kubernetes.io/name": "podinfo"}, annotations={"prometheus.io/port": "1"}
    )

    [target] = targets([one])

    expected = {
        "__meta_kubernetes_namespace": "test",
        "__meta_kubernetes_pod_name": "a",
        "__meta_kubernetes_pod_ip": "127.16.0.1",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_pod_ready": "true",
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "podinfo",
        "__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name": "true",
        "__meta_kubernetes_pod_annotation_prometheus_io_port": "1",
    }
    assert expected.items() <= target["labels"].items()


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": {"name": "a", "namespace": "test"}},
        {"metadata": {"name": "a", "namespace": "test"}, "spec": None, "status": None},
        {"metadata": {"name": "a"}, "status": {"podIP": "127.16.0.2"}},
        pod("a", ip="127.16.0.2", spec={"containers": None}),
        pod("a", ip="127.16.0.2", spec={"containers": []}),
        pod("a", ip="127.16.0.2", spec={"containers": [None]}),
        pod("a", ip="127.16.0.2", spec={"containers": [{"ports": [{"containerPort": 1}]}]}),
        pod("a", ip="127.16.0.2", spec={"containers": [{"name": "app", "ports": [None]}]}),
        pod("a", ip="127.16.0.2", spec={"containers": [{"name": "app", "ports": [{}]}]}),
        pod("a", ip="127.16.0.2", labels={"a": None}, annotations=None),
        {**pod("a", ip="127.16.0.2"), "status": {"podIP": "127.16.0.2", "conditions": [None, {}, {"type": "Ready"}]}},
    ],
    ids=str,
)
def test_an_odd_pod_costs_no_other_its_target(odd: Obj, tmp_path: Path) -> None:
    write_targets(tmp_path, [odd, pod("b", ip="127.16.0.1", spec={"containers": [{"name": "app"}]})])

    found = json.loads((tmp_path / "targets.json").read_text())
    assert ["127.16.0.1"] in [target["targets"] for target in found]


@pytest.mark.parametrize(
    "config",
    [
        "scrape_configs: [",
        "- a",
        "",
        "a: 2026-99-99",
        "scrape_configs: [null]",
        "scrape_configs: null",
        "[" * 9999,
        "é\0",
    ],
)
def test_a_configuration_that_cannot_be_read_is_left_to_prometheus(tmp_path: Path, config: str) -> None:
    mounted = tmp_path / "mounted.yml"
    mounted.write_text(config)

    adapted = find_image("prom/prometheus").adapt(
        Start(["prometheus", f"--config.file={mounted}"], "127.16.0.9", tmp_path, tmp_path / "k", tmp_path / "t")
    )

    assert f"--config.file={mounted}" in adapted


@pytest.mark.parametrize("place", ["nowhere.yml", "a-pipe", "a-directory", "a-link"])
def test_so_is_one_that_is_no_file(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "a-pipe")
    (tmp_path / "a-directory").mkdir()
    (tmp_path / "a-link").symlink_to("/etc/passwd")

    adapted = find_image("prom/prometheus").adapt(
        Start(
            ["prometheus", f"--config.file={tmp_path}/{place}"], "127.16.0.9", tmp_path, tmp_path / "k", tmp_path / "t"
        )
    )

    assert f"--config.file={tmp_path}/{place}" in adapted


def test_a_pod_gets_its_address_without_a_list_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        kubelet, "pod_address", lambda network, number: asked.append(number) or f"127.{network}.0.{number}"
    )
    node = SimpleNamespace(_network=16, _addresses={"127.16.0.0": "other"}, _next_address=0)
    assert kubelet.Kubelet._address(node, "uid") == "127.16.0.1"
    assert asked == [0, 1]
