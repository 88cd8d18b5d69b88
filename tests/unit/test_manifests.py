"""Manifests read, and changed in the open."""

from pathlib import Path

import pytest

from canary_tutorial.errors import BadInput
from canary_tutorial.kube import manifests


def test_the_files_carry_the_webinars_values_and_a_notebook_changes_them_in_the_open():
    objects = manifests.read(manifests.find("canary-podinfo.yaml"))
    changed, lines = manifests.with_settings(objects, {"interval": "5s", "window": "4s"})
    assert objects[0]["spec"]["analysis"]["interval"] == "30s"
    assert changed[0]["spec"]["analysis"]["interval"] == "5s"
    assert [metric["interval"] for metric in changed[0]["spec"]["analysis"]["metrics"]] == ["4s", "4s"]
    assert lines == [
        "podinfo spec.analysis.interval: 30s → 5s",
        "podinfo spec.analysis.metrics.*.interval: 29s → 4s",
    ]


def test_a_setting_of_none_or_of_the_same_value_changes_nothing():
    objects = manifests.read(manifests.find("canary-podinfo.yaml"))
    assert manifests.with_settings(objects, {"interval": "30s", "threshold": None}) == (objects, [])


def test_a_setting_that_the_file_has_no_place_for_is_a_mistake():
    objects = manifests.read(manifests.find("canary-podinfo.yaml"))
    with pytest.raises(BadInput, match="of a Deployment, and this file holds none"):
        manifests.with_settings(objects, {"min_ready_seconds": 1})
    with pytest.raises(BadInput, match="there is no setting intervall"):
        manifests.with_settings(objects, {"intervall": "5s"})


def test_an_unknown_file_is_told_with_the_known_ones():
    with pytest.raises(BadInput, match=r"there is no manifest nosuch.yaml\n→ .*canary-podinfo.yaml"):
        manifests.find("nosuch.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [("a: [", "is not valid YAML"), ("a: 1", "not a Kubernetes object"), ("- 1", "not a Kubernetes object")],
)
def test_a_file_that_is_no_manifest_is_told(tmp_path: Path, text: str, why: str):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(BadInput, match=why):
        manifests.read(manifests.find(tmp_path / "x.yaml"))


@pytest.mark.parametrize(("text", "value"), [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400)])
def test_durations_are_read_in_seconds(text: str, value: float):
    assert manifests.seconds(text) == value


@pytest.mark.parametrize("text", ["", "30", "s30", "3 s", "30s!"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(BadInput, match="is not a duration"):
        manifests.seconds(text)
