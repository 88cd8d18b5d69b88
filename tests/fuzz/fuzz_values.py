"""How random objects grow from a grammar, and how one node of them goes wrong.

A *shape* is an object with choices in it: `Pick(a, b)` is either, `Some(a)` a list of up to three, a key that ends in
"?" is there or not, and a function draws what the rest cannot say. `grow` makes one object of a shape. What grows is
mostly valid, so that it gets far behind the front door; `damage` spoils one node, anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

Obj = dict[str, Any]


class Pick:
    """One of these, each as likely as the others."""

    def __init__(self, *values: Any) -> None:
        self.values = values


class Some:
    """A list of up to three."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


def mostly(good: Any, *odd: Any) -> Pick:
    """Nearly always the first: an object has many fields, and one odd one is enough to be refused."""
    return Pick(*[good] * (15 * len(odd)), *odd)


def grow(r: random.Random, shape: Any) -> Any:
    if isinstance(shape, Pick):
        return grow(r, r.choice(shape.values))
    if isinstance(shape, Some):
        return [grow(r, shape.shape) for _ in range(r.choice((0, 1, 1, 2, 3)))]
    if isinstance(shape, dict):
        chosen = {k: v for k, v in shape.items() if not k.endswith("?") or r.random() < 0.4}
        return {key.removesuffix("?"): grow(r, value) for key, value in chosen.items()}
    if isinstance(shape, list):
        return [grow(r, each) for each in shape]
    return grow(r, shape(r)) if callable(shape) else shape


NUL, LONG, SURROGATE = "a\0b", "x" * 5000, "\ud800"
PATTERNS = ("^(a+)+$", "(a|aa)*$", "(?=a)b", r"(a)\1", "[", "a{1000}{1000}", "(((((((((((a*)*)*)*)*)*)*)*)*)*)*", "*", "\\pN+")
TEXTS = (
    "", NUL, LONG, SURROGATE, "a/b", "..", "../../x", " ", "\n", "é\u202e", "0", "-1", "1e400", "9" * 40, "5x", "1h", "-5s", "null",
    "$(A)", "$(A", "{{ .x }}", "{{", "%00", "%zz", "<img src=x onerror=alert(1)>", "http://[::1", "a" * 27 + "!", "@", "=", ",,", "2026-13-45T99:00:00Z",
    *PATTERNS,
)  # fmt: skip
NUMBERS = (0, -1, 1, 65536, 2**31 - 1, 2**31, 2**62, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308)
JUNK = (None, True, False, [], {}, [[]], {"": ""}, [None], {"a": None}, *NUMBERS, *TEXTS)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every node below a value, as what holds it and its key there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from places(inner)


def _pop(r: random.Random, holder: Any, key: Any) -> None:
    del holder[key]


def _junk(r: random.Random, holder: Any, key: Any) -> None:
    holder[key] = r.choice(JUNK)


def _kin(r: random.Random, holder: Any, key: Any) -> None:
    """Of the same type, but odd."""
    old = holder[key]
    if isinstance(old, str):
        holder[key] = r.choice((r.choice(TEXTS), old + r.choice(TEXTS), old.upper(), old * 60))
    elif isinstance(old, list):
        holder[key] = r.choice((old * 2, old * 200, old[::-1], [old], [*old, None]))
    elif isinstance(old, dict):
        holder[key] = r.choice(({**old, "x": old}, {**old, r.choice(TEXTS): 1}, {f"k{i}": old for i in range(50)}, [old]))
    else:
        holder[key] = r.choice(NUMBERS)


def _null(r: random.Random, holder: Any, key: Any) -> None:
    holder[key] = r.choice((None, [], {}, ""))


WAYS: tuple[Callable[[random.Random, Any, Any], None], ...] = (_pop, _junk, _kin, _kin, _null)


def damage(r: random.Random, value: Any) -> Any:
    """The value with one node spoiled; the value itself is changed."""
    found = list(places(value))
    if found:
        r.choice(WAYS)(r, *r.choice(found))
    return value


def some_damage(r: random.Random, value: Any) -> Any:
    """Most values stay as they grew; few are damaged more than twice."""
    while r.random() < 0.4:
        value = damage(r, value)
    return value
