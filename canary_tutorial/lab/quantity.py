"""Converts quantities (`250m`, `64Mi`) to the one form in which Kubernetes stores them: `1000m` is `1`, `0.5` is `500m`. Pure.

The API server does so when it reads an object; otherwise a client that does the same (kubectl, on `rollout undo`) would
see a difference where there is none.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation

FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?")
DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
NANO = Decimal(1).scaleb(-9)


def amount(text: str) -> Decimal | None:
    """The number that a quantity means; None for text that is no quantity."""
    match = FORM.fullmatch(text) if len(text) < 64 else None
    if not match:
        return None
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix.endswith("i"):
        return number * Decimal(1024) ** BINARY.index(suffix)
    exponent = int(suffix[1:]) if suffix[:1] in ("e", "E") and len(suffix) > 1 else 3 * DECIMAL[suffix]
    return number.scaleb(exponent)


def canonical(text: str) -> str:
    """The stored form of a quantity; other text comes back as it is."""
    try:
        value = amount(text)
        if value is None:
            return text
        return _binary(value) if text.endswith("i") else _decimal(value)
    except InvalidOperation:
        return text


def _binary(value: Decimal) -> str:
    if abs(value) < 1024:
        return _decimal(value)
    whole, step = int(value.to_integral_value(ROUND_CEILING)), 0
    while whole % 1024 == 0 and step < len(BINARY) - 1:
        whole, step = whole // 1024, step + 1
    return f"{whole}{BINARY[step]}"


def _decimal(value: Decimal) -> str:
    """Whole thousands as far as they go, nothing finer than a billionth."""
    billionths, step = int((value / NANO).to_integral_value(ROUND_CEILING)), -3
    if billionths == 0:
        return "0"
    while billionths % 1000 == 0 and step < 6:
        billionths, step = billionths // 1000, step + 1
    return f"{billionths}{next(suffix for suffix, power in DECIMAL.items() if power == step)}"
