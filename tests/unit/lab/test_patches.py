"""JSON, merge and strategic merge patches, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.verbs import patches
from canary_tutorial.lab.errors import ApiError

DEPLOYMENT = schema.builtin("apps/v1", "Deployment") or {}


def pod(*containers: Any, **more: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers), **more}}}}


def test_set_image_changes_one_container_and_keeps_the_rest() -> None:
    old = pod({"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"})
    new = patches.strategic(old, pod({"name": "a", "image": "a:2"}), DEPLOYMENT)
    assert new == pod(
        {"name": "a", "image": "a:2", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}
    )
    assert old["spec"]["template"]["spec"]["containers"][0]["image"] == "a:1", "the old object stays as it was"


STRATEGIC = {
    "a new item is added": ([{"name": "a"}], {"containers": [{"name": "b"}]}, [{"name": "a"}, {"name": "b"}]),
    "an item is deleted": (
        [{"name": "a"}, {"name": "b"}],
        {"containers": [{"name": "a", "$patch": "delete"}]},
        [{"name": "b"}],
    ),
    "the list is replaced": ([{"name": "a"}], {"containers": [{"$patch": "replace"}, {"name": "c"}]}, [{"name": "c"}]),
    "order is set": (
        [{"name": "a"}, {"name": "b"}],
        {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": []},
        [{"name": "b"}, {"name": "a"}],
    ),
    "order is set with no list given": (
        [{"name": "a"}, {"name": "b"}],
        {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
        [{"name": "b"}, {"name": "a"}],
    ),
    "a field is taken away": (
        [{"name": "a", "image": "x"}],
        {"containers": [{"name": "a", "image": None}]},
        [{"name": "a"}],
    ),
    "an unmerged list is replaced": (
        [{"name": "a", "args": ["1", "2"]}],
        {"containers": [{"name": "a", "args": ["3"]}]},
        [{"name": "a", "args": ["3"]}],
    ),
    "env is merged by name": (
        [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}],
        {"containers": [{"name": "a", "env": [{"name": "Y", "value": "3"}]}]},
        [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}]}],
    ),
}


@pytest.mark.parametrize(("containers", "patch", "expected"), STRATEGIC.values(), ids=STRATEGIC.keys())
def test_strategic_merge_of_containers(containers: Any, patch: Any, expected: Any) -> None:
    new = patches.strategic(pod(*containers), {"spec": {"template": {"spec": patch}}}, DEPLOYMENT)
    assert new["spec"]["template"]["spec"]["containers"] == expected


def test_retain_keys_takes_the_other_strategy_away() -> None:
    old = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patches.strategic(old, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_finalizers_are_a_merged_list_of_words() -> None:
    old = {"metadata": {"finalizers": ["a", "b"]}}
    added = patches.strategic(old, {"metadata": {"finalizers": ["c"]}}, DEPLOYMENT)
    assert added["metadata"]["finalizers"] == ["a", "b", "c"]
    removed = patches.strategic(old, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, DEPLOYMENT)
    assert removed["metadata"]["finalizers"] == ["b"]


def test_maps_are_merged_and_null_takes_away() -> None:
    old = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}}
    expected = {"metadata": {"labels": {"b": "2", "c": "3"}}}
    assert patches.strategic(old, patch, DEPLOYMENT) == expected
    assert patches.merge(old, patch) == expected


def test_a_merge_patch_replaces_lists() -> None:
    assert patches.merge({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": None}) == {"a": [3]}


def test_a_json_patch_is_applied_to_a_copy() -> None:
    old = {"a": {"b": 1}, "c": [1, 2]}
    operations = [{"op": "replace", "path": "/a/b", "value": 2}, {"op": "add", "path": "/c/-", "value": 3}]
    assert patches.json_patch(old, operations) == {"a": {"b": 2}, "c": [1, 2, 3]}
    assert old == {"a": {"b": 1}, "c": [1, 2]}


BROKEN: dict[str, Any] = {
    "no list": {},
    "no operation": [{}],
    "no object": [1],
    "unknown operation": [{"op": "explode", "path": "/a"}],
    "no such path": [{"op": "replace", "path": "/x/y", "value": 1}],
    "failed test": [{"op": "test", "path": "/a", "value": 2}],
    "bad index": [{"op": "add", "path": "/c/99", "value": 1}],
    "path of another type": [{"op": "add", "path": 5, "value": 1}],
    "too many": [{"op": "test", "path": "/a", "value": 1}] * 10_001,
}


@pytest.mark.parametrize("operations", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_json_patch_is_refused(operations: Any) -> None:
    with pytest.raises(ApiError) as refused:
        patches.json_patch({"a": 1, "c": []}, operations)
    assert refused.value.code in (400, 422)


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        patches.strategic(pod({"name": "a"}), pod({"image": "x"}), DEPLOYMENT)
