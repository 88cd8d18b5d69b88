"""Quantities are stored in one form."""

# ruff: noqa: E501  (a case of a table is one line)

from __future__ import annotations

import pytest

from canary_tutorial.lab.quantity import canonical


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"), ("10m", "10m"), ("0.5", "500m"), ("1.5", "1500m"), ("1", "1"), ("2000", "2k"), ("128974848", "128974848"),
        ("1024Mi", "1Gi"), ("1000Mi", "1000Mi"), ("1.5Gi", "1536Mi"), ("64Mi", "64Mi"), ("0", "0"), ("0Mi", "0"), ("1e3", "1k"),
        ("129M", "129M"), ("0.1m", "100u"), ("-1", "-1"), ("100Ki", "100Ki"), ("2E", "2E"), ("lots", "lots"), ("", ""), ("1 Gi", "1 Gi"),
        ("9" * 100, "9" * 100),
    ],
)  # fmt: skip
def test_a_quantity_has_one_form(given: str, stored: str) -> None:
    assert canonical(given) == stored
    assert canonical(stored) == stored
