"""ConfigMaps and Secrets that a target names: followed, copied for the primary, a revision of their own."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flagger_world import World, canary, podinfo

from canary_tutorial.flagger.configs import checksum
from canary_tutorial.flagger.spec import Settings


def config(kind: str, name: str, data: dict[str, str], **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "test", **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "data": data, **more}


COLOURS = config("ConfigMap", "colours", {"main": "blue"})
LOGIN = config("Secret", "login", {"key": "c2VjcmV0"}, type="Opaque")


def target(**spec: Any) -> dict[str, Any]:
    found = podinfo()
    found["spec"]["template"]["spec"] |= spec
    found["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "colours"}}]
    return found


def world(*objects: dict[str, Any], **spec: Any) -> World:
    return World(target(**spec), canary(), *objects)


def test_configs_are_copied_and_named_by_the_primary():
    volumes = [
        {"name": "a", "configMap": {"name": "colours"}},
        {"name": "b", "secret": {"secretName": "login"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "login"}}]}},
    ]
    found = world(COLOURS, LOGIN, volumes=volumes).initialized()
    pod = found["Deployment/podinfo-primary"]["spec"]["template"]["spec"]
    assert pod["volumes"] == [
        {"name": "a", "configMap": {"name": "colours-primary"}},
        {"name": "b", "secret": {"secretName": "login-primary"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "login-primary"}}]}},
    ]
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": "colours-primary"}}]
    assert found["ConfigMap/colours-primary"]["data"] == {"main": "blue"}
    assert found["Secret/login-primary"]["type"] == "Opaque"
    assert found["Secret/login-primary"]["metadata"]["ownerReferences"][0]["name"] == "podinfo"
    assert set(found.status["trackedConfigs"]) == {"configmap/colours", "secret/login"}
    assert "ConfigMap colours-primary synced" in found.logs


def test_a_changed_config_alone_is_a_new_revision():
    found = world(COLOURS).initialized()
    found["ConfigMap/colours"]["data"] = {"main": "green"}
    assert found.tick() == ["New revision detected! Scaling up podinfo.test"]
    assert "configmap colours has changed" in found.logs
    found.until("Succeeded")
    assert found["ConfigMap/colours-primary"]["data"] == {"main": "green"}
    assert found.tick() == []


def test_a_config_that_changes_in_mid_run_starts_the_analysis_anew():
    found = world(COLOURS).initialized()
    found.set_image("podinfo:2")
    found.tick(3)
    found["ConfigMap/colours"]["data"] = {"main": "green"}
    assert found.tick() == ["New revision detected! Restarting analysis for podinfo.test"]


def test_a_config_that_goes_in_mid_run_does_not_stop_it():
    found = world(COLOURS).initialized()
    found.set_image("podinfo:2")
    found.tick(2)
    del found.objects["ConfigMap", "colours"]
    assert found.tick() == ["Advance podinfo.test canary weight 40"]


def test_a_config_that_is_missing_at_the_promotion_is_told_with_the_primary():
    found = world(COLOURS).released()
    found.until("Progressing")
    while found.status["canaryWeight"] < 60:
        found.tick()
    del found.objects["ConfigMap", "colours"]
    copying, why = found.tick()
    assert copying.startswith("Copying")
    what = (
        "updating deployment podinfo-primary.test template spec failed: GetTargetConfigs failed: configmap colours.test"
    )
    assert why.startswith(f"! {what} get query error")


def test_a_missing_config_stops_the_tick_unless_it_is_optional():
    found = world()
    error = f'GetTargetConfigs failed: {2 * "configmap colours.test get query error: "}configmaps "colours" not found'
    assert found.tick()[-1] == f"! createPrimaryDeployment failed: {error}"
    optional = podinfo()
    source = {"configMapRef": {"name": "colours", "optional": True}}
    optional["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [source]
    assert World(optional, canary()).initialized().status["trackedConfigs"] == {}


@pytest.mark.parametrize(
    "untracked",
    [
        config("ConfigMap", "colours", {}, metadata={"annotations": {"flagger.app/config-tracking": "disabled"}}),
        config("Secret", "login", {}, type="kubernetes.io/service-account-token"),
    ],
    ids=["annotation", "type-of-secret"],
)
def test_configs_that_are_not_followed(untracked: dict[str, Any]):
    found = podinfo()
    reference = {"name": untracked["metadata"]["name"]}
    key = "configMapRef" if untracked["kind"] == "ConfigMap" else "secretRef"
    found["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{key: reference}]
    assert World(found, canary(), untracked).initialized().status["trackedConfigs"] == {}


def test_without_config_tracking_nothing_is_copied():
    found = World(target(), canary(), COLOURS, settings=Settings(config_tracking=False)).initialized()
    assert "trackedConfigs" not in found.status
    assert ("ConfigMap", "colours-primary") not in found.objects
    found["ConfigMap/colours"]["data"] = {"main": "green"}
    assert found.tick() == []


def test_turning_config_tracking_off_forgets_what_was_tracked():
    found = world(COLOURS).initialized()
    found.settings = Settings(config_tracking=False)
    found.set_image("podinfo:2")
    found.until("Progressing")
    assert "trackedConfigs" not in found.status


def test_checksums_are_those_of_gos_json():
    data = '{"a":"\\u003cb\\u003e \\u0026 ü","b":"2"}'
    expected = hashlib.sha256(data.encode()).hexdigest()[:16]
    assert checksum({"data": {"b": "2", "a": "<b> & ü"}}) == expected
    assert checksum({}) == hashlib.sha256(b"null").hexdigest()[:16]
