"""Server-side apply and managedFields: who owns what, and what happens when two want the same."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.verbs import managed_fields
from canary_tutorial.lab.api.verbs.apply import applied
from canary_tutorial.lab.errors import Conflict
from canary_tutorial.lab.objects import clone

Obj = dict[str, Any]
SHAPE = schema.builtin("apps/v1", "Deployment") or {}
TIME = "2026-11-23T12:00:00Z"


def deployment(image: str = "podinfo:1", **spec: Any) -> Obj:
    container = {"name": "podinfod", "image": image, "ports": [{"containerPort": 9898}]}
    return {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [container]}}, **spec}}


def apply(live: Obj | None, config: Obj, manager: str = "me", force: bool = False) -> Obj:
    return applied(live, config, SHAPE, manager, "apps/v1", "", TIME, force)


def owned(obj: Obj, manager: str) -> set[str]:
    return {
        managed_fields.shown(path)
        for entry in obj["metadata"]["managedFields"]
        if entry["manager"] == manager
        for path in managed_fields.paths_of(entry["fieldsV1"])
    }


def image(obj: Obj) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][0].get("image")


def test_the_first_apply_owns_what_it_says() -> None:
    made = apply(None, deployment(replicas=2))
    container = '.spec.template.spec.containers[name="podinfod"]'
    port = container + '.ports[containerPort=9898,protocol="TCP"]'
    assert owned(made, "me") == {
        ".spec.replicas", container, container + ".name", container + ".image", port, port + ".containerPort"}  # fmt: skip


def test_a_field_no_longer_applied_goes_and_its_list_item_too() -> None:
    first = apply(None, deployment(replicas=2, paused=True))
    second = apply(first, {"metadata": {"name": "d"}, "spec": {"replicas": 2}})
    assert second["spec"] == {"replicas": 2}
    assert owned(second, "me") == {".spec.replicas"}


def test_another_managers_field_is_a_conflict_unless_forced() -> None:
    live = apply(None, deployment(replicas=2), "first")
    with pytest.raises(Conflict) as refused:
        apply(live, deployment(replicas=3), "second")
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "first": .spec.replicas'
    assert refused.value.details == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "first"',
                "field": ".spec.replicas",
            }
        ]
    }
    forced = apply(live, deployment(replicas=3), "second", force=True)
    assert forced["spec"]["replicas"] == 3
    assert ".spec.replicas" not in owned(forced, "first")


def test_the_same_value_is_shared_and_outlives_one_of_its_owners() -> None:
    live = apply(
        apply(None, deployment(replicas=2), "first"), {"metadata": {"name": "d"}, "spec": {"replicas": 2}}, "second"
    )
    assert ".spec.replicas" in owned(live, "first") & owned(live, "second")
    left = apply(live, deployment(), "first")
    assert left["spec"]["replicas"] == 2


def test_an_update_takes_what_it_changes() -> None:
    live = apply(None, deployment(replicas=2), "first")
    new = clone(live)
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "podinfo:2"
    managed_fields.record(live, new, SHAPE, "kubectl-set", "apps/v1", "", TIME)
    assert owned(new, "kubectl-set") == {'.spec.template.spec.containers[name="podinfod"].image'}
    assert ".spec.replicas" in owned(new, "first")
    with pytest.raises(Conflict, match='conflict with "kubectl-set" using apps/v1'):
        apply(new, deployment("podinfo:1", replicas=2), "first")


def test_applying_the_same_twice_changes_nothing() -> None:
    live = apply(None, deployment(replicas=2))
    assert apply(clone(live), deployment(replicas=2)) == live


def test_lists_are_merged_by_their_keys_and_others_replaced() -> None:
    live = apply(None, deployment(), "first")
    sidecar = {"name": "proxy", "image": "envoy", "args": ["a"]}
    config = {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [sidecar]}}}}
    both = apply(live, config, "second")
    assert [each["name"] for each in both["spec"]["template"]["spec"]["containers"]] == ["podinfod", "proxy"]
    sidecar["args"] = ["b"]
    assert apply(both, config, "second")["spec"]["template"]["spec"]["containers"][1]["args"] == ["b"]
    assert image(apply(both, {"metadata": {"name": "d"}}, "first") | {}) == "envoy"


def test_fields_v1_is_read_as_it_is_written() -> None:
    paths = {("f:a",), ("f:b", 'k:{"name":"x"}'), ("f:b", 'k:{"name":"x"}', "f:c"), ("f:d", "v:1")}
    tree = managed_fields.fields_v1(paths)
    assert tree == {"f:a": {}, "f:b": {'k:{"name":"x"}': {".": {}, "f:c": {}}}, "f:d": {"v:1": {}}}
    assert managed_fields.paths_of(tree) == paths
