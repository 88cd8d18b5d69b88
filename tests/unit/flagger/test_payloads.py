"""A webhook's body, read as Go reads it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary_tutorial.flagger.payloads import Payload, read


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("{}", Payload(), id="nothing"),
        pytest.param("null", Payload(), id="null"),
        pytest.param('{"NAME": "a", "nameSpace": "b"}', Payload("a", "b"), id="letters of another size"),
        pytest.param('{"name": "a", "name": null}', Payload("a"), id="null changes nothing"),
        pytest.param('{"name": "a", "name": "b"}', Payload("b"), id="twice"),
        pytest.param('{"metadata": {"a": null}}', Payload(metadata={"a": ""}), id="null in the metadata"),
        pytest.param(
            '{"metadata": {"a": "1"}, "metadata": {"b": "2"}}',
            Payload(metadata={"a": "1", "b": "2"}),
            id="metadata twice",
        ),
        pytest.param('{"metadata": {"a": "1"}, "metadata": null}', Payload(), id="metadata, then null"),
        pytest.param('{"else": [1, {"name": "b"}], "name": "a"}', Payload("a"), id="fields that it does not know"),
        pytest.param('{"name": "\\ud800"}', Payload("\ufffd"), id="half a letter"),
    ],
)
def test_what_go_reads(body: str, expected: Payload):
    assert read(body.encode()) == expected


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "1", '"a"', "NaN", '{"name": 1}', '{"name": 1, "name": "a"}', '{"phase": 1}', '{"checksum": {}}',
        '{"metadata": []}', '{"metadata": {"a": 1}}', '{"metadata": {"a": {}}}', '{"else": NaN}', "{", "{} {}", "\ufeff{}",
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_go_does_not_read(body: str):
    with pytest.raises(ValueError, match=r"\w"):
        read(body.encode())


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes):
    with suppress(ValueError):
        assert isinstance(read(body), Payload)
