"""Bodies are untrusted: what cannot be read is refused, quickly and with a reason."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from canary_tutorial.lab.api.wire import bodies, protobuf
from canary_tutorial.lab.errors import ApiError

JSON, YAML = "application/json", "application/yaml"
LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))

BROKEN: dict[str, tuple[bytes, str]] = {
    "cut JSON": (b'{"a": ', JSON),
    "not a number": (b'{"a": NaN}', JSON),
    "beyond a float": (b'{"a": 1e999}', JSON),
    "beyond all integers": (b'{"a": ' + b"9" * 5000 + b"}", JSON),
    "bad UTF-8": (b'{"a": "\xff"}', JSON),
    "deep JSON": (b'{"a":' * 500 + b"1" + b"}" * 500, JSON),
    "very deep JSON": (b"[" * 100_000, JSON),
    "a list": (b"[1]", JSON),
    "nothing": (b"", JSON),
    "cut YAML": (b"a: [1, 2", YAML),
    "tabs": (b"a:\n\t- b", YAML),
    "a YAML bomb": (LAUGHS.encode(), YAML),
    "a YAML that contains itself": (b"a: &a [*a]", YAML),
    "deep YAML": (b"[" * 5000 + b"]" * 5000, YAML),
    "a Python object": (b"!!python/object/apply:os.system ['true']", YAML),
    "two documents": (b"a: 1\n---\nb: 2\n", YAML),
    "bad UTF-8 in YAML": (b"a: \xff\xfe", YAML),
    "infinite YAML": (b"a: .inf", YAML),
    "another format": (b"<a/>", "text/xml"),
    "protobuf without its mark": (b"nonsense", protobuf.MEDIA_TYPE),
    "cut protobuf": (protobuf.MAGIC + b"\x0a\xff", protobuf.MEDIA_TYPE),
    "protobuf of an unknown kind": (protobuf.MAGIC + b"\x0a\x0d\x0a\x02v1\x12\x07Unknown", protobuf.MEDIA_TYPE),
}


@pytest.mark.parametrize(("body", "content_type"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_body_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(ApiError) as refused:
        bodies.parse_object(body, content_type)
    assert refused.value.code in (400, 415)
    assert refused.value.message


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a": 1}', JSON, {"a": 1}), (b'{"a": 1}', "", {"a": 1}), (b"a: 1", YAML, {"a": 1}),
        (b"a: 2026-11-23", YAML, {"a": "2026-11-23"}), (b"a: &x {b: 1}\nc: *x", YAML, {"a": {"b": 1}, "c": {"b": 1}}),
        (b'{"a": "\\ud800"}', JSON, {"a": "\ufffd"}), (b'{"a": "\\ud83d\\ude00"}', JSON, {"a": "\U0001f600"}),
        (b'{"a": 1}', "application/merge-patch+json", {"a": 1}), (b"1: a", YAML, {"1": "a"}),
    ],
)  # fmt: skip
def test_good_bodies_are_read(body: bytes, content_type: str, expected: Any) -> None:
    assert bodies.parse_object(body, content_type) == expected


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def proto(api_version: str, kind: str, raw: bytes) -> Any:
    envelope = field(1, field(1, api_version.encode()) + field(2, kind.encode())) + field(2, raw)
    return bodies.parse_object(protobuf.MAGIC + envelope, protobuf.MEDIA_TYPE)


def test_a_protobuf_body_is_the_same_object() -> None:
    meta = field(1, b"web") + field(3, b"") + field(8, b"") + field(11, field(1, b"app") + field(2, b"web"))
    port = field(1, field(1, b"http") + field(2, b"TCP") + field(3, 80) + field(4, field(1, 1) + field(3, b"web")))
    raw = field(1, meta) + field(2, port) + field(3, field(1, b""))
    decoded = proto("v1", "Service", raw)
    assert decoded["metadata"] == {"name": "web", "labels": {"app": "web"}}
    assert decoded["spec"]["ports"][0] == {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}
    assert (decoded["apiVersion"], decoded["kind"]) == ("v1", "Service")


def test_an_object_that_was_read_can_be_sent_back_with_its_managed_fields() -> None:
    fields = field(7, field(1, b'{"f:data":{}}')) + field(6, b"FieldsV1") + field(8, b"status")
    entry = field(1, b"flagger") + field(2, b"Update") + fields
    found = proto("v1", "ConfigMap", field(1, field(1, b"c") + field(17, entry)))
    assert found["metadata"]["managedFields"] == [
        {"manager": "flagger", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}},
         "subresource": "status"}
    ]  # fmt: skip


def test_a_zero_is_kept_where_it_says_something() -> None:
    assert proto("autoscaling/v1", "Scale", field(2, field(1, 0))) == {"apiVersion": "autoscaling/v1", "kind": "Scale"}
    assert proto("apps/v1", "Deployment", field(2, field(1, 0) + field(5, 0)))["spec"] == {"replicas": 0}
    assert proto("rbac.authorization.k8s.io/v1", "Role", b"")["kind"] == "Role"
    assert proto("apps/v1", "DeleteOptions", field(1, 0) + field(4, b"Foreground")) == {
        "apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Foreground",
    }  # fmt: skip


def test_a_schema_in_protobuf_is_one_of_its_two_forms_where_it_can_be_either() -> None:
    text = field(5, b"string")
    most = varint(9 << 3 | 1) + struct.pack("<d", 2.5)
    forms = {
        "items": field(24, field(1, text)), "dependencies": field(32, field(1, b"a") + field(2, field(2, b"b"))),
        "additionalProperties": field(30, field(1, 1) + field(2, text)), "additionalItems": field(33, field(1, 0)),
    }  # fmt: skip
    schema = most + b"".join(forms.values()) + field(8, field(1, b'{"x":1}'))
    version = field(7, field(4, field(1, schema)))
    found = proto("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, version))
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "maximum": 2.5, "items": {"type": "string"}, "dependencies": {"a": ["b"]}, "default": {"x": 1},
        "additionalProperties": {"type": "string"}, "additionalItems": False,
    }  # fmt: skip


@pytest.mark.parametrize("inner", [b'{"a":' * 100_000, b"[" * 500 + b"]" * 500, b"NaN", b"1e999", b"{", b"\xff"])
def test_json_within_protobuf_is_no_way_around_the_checks(inner: bytes) -> None:
    schema = field(8, field(1, inner))
    version = field(7, field(4, field(1, schema)))
    with pytest.raises(ApiError) as refused:
        proto("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(2, version))
    assert refused.value.code == 400


def test_a_protobuf_field_of_a_newer_kubernetes_is_left_out() -> None:
    assert proto("v1", "ConfigMap", field(15, b"x")) == {"apiVersion": "v1", "kind": "ConfigMap"}


def test_the_magic_is_kubernetes_own() -> None:
    assert struct.unpack("4B", protobuf.MAGIC) == (107, 56, 115, 0)
