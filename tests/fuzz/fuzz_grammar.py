"""How random objects grow from `grammar.yaml`, and how one node of them goes wrong.

What grows is mostly valid, so that it gets far behind the front door; `damage` spoils one node, anywhere.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]


@dataclass(frozen=True)
class Pick:
    """One of these, each as likely as the others."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Some:
    """A list of up to three."""

    shape: Any


def mostly(good: Any, *odd: Any) -> Pick:
    """Eight times in nine the first: an object has many fields, and one odd one is enough to be refused."""
    return Pick((*[good] * (8 * len(odd)), *odd))


class Grammar(yaml.SafeLoader):
    """YAML with the grammar's four tags."""


def _sequence(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node, deep=True)


def _some(loader: yaml.SafeLoader, node: yaml.Node) -> Some:
    if isinstance(node, yaml.SequenceNode):
        return Some(mostly(*_sequence(loader, node)))
    if isinstance(node, yaml.MappingNode):
        return Some(loader.construct_mapping(node, deep=True))
    return Some(node.value)


Grammar.add_constructor("!pick", lambda loader, node: Pick(tuple(_sequence(loader, node))))
Grammar.add_constructor("!mostly", lambda loader, node: mostly(*_sequence(loader, node)))
Grammar.add_constructor("!times", lambda loader, node: node.value[0].value * int(node.value[1].value))
Grammar.add_constructor("!some", _some)
WORDS: Obj = yaml.load((Path(__file__).parent / "grammar.yaml").read_text(), Grammar)
KINDS: Obj = WORDS["kinds"]


def grow(r: random.Random, shape: Any) -> Any:
    """One object of a shape."""
    if isinstance(shape, Pick):
        return grow(r, r.choice(shape.values))
    if isinstance(shape, Some):
        return [grow(r, shape.shape) for _ in range(r.choice((0, 1, 1, 2, 3)))]
    if isinstance(shape, list):
        return [grow(r, each) for each in shape]
    if isinstance(shape, dict):
        chosen = {key: value for key, value in shape.items() if not key.endswith("~") or r.random() < 0.4}
        grown = {key.removesuffix("~"): grow(r, value) for key, value in chosen.items()}
        return {**grown.pop("+", {}), **grown}
    if isinstance(shape, str) and shape[:1] == "$" and shape[1:] in WORDS:
        return grow(r, WORDS[shape[1:]])
    if isinstance(shape, str) and "${" in shape:
        return re.sub(r"\$\{([a-z-]+)\}", lambda found: str(grow(r, WORDS[found[1]])), shape)
    return shape


def make(r: random.Random, plural: str, name: str, namespace: str) -> Obj:
    """One object of a kind."""
    grown: Obj = grow(r, KINDS[plural])
    return {**grown, "metadata": {"name": name, "namespace": namespace, **grow(r, WORDS["metadata"])}}


# -- damage

TEXTS = (
    "", "a\0b", "x" * 5000, "\ud800", "a/b", "..", "../../x", " ", "\n", "é\u202e", "0", "-1", "1e400", "9" * 40, "5x",
    "1h", "-5s", "null", "$(A)", "$(A", "{{ .x }}", "{{", "%00", "%zz", "<img src=x onerror=alert(1)>", "http://[::1",
    "a" * 27 + "!", "@", "=", ",,", "2026-13-45T99:00:00Z", *WORDS["pattern"].values,
)  # fmt: skip
NUMBERS = (0, -1, 1, 65536, 2**31 - 1, 2**31, 2**62, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308)
JUNK = (None, True, False, [], {}, [[]], {"": ""}, [None], {"a": None}, *NUMBERS, *TEXTS)


def junk(r: random.Random) -> Any:
    return copy.deepcopy(r.choice(JUNK))  # it may be damaged in its turn


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every node below a value, as what holds it and its key there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from places(inner)


def _kin(r: random.Random, old: Any) -> Any:
    """Of the same type, but odd."""
    if isinstance(old, str):
        return r.choice((r.choice(TEXTS), old + r.choice(TEXTS), old.upper(), old * 60))
    if isinstance(old, list):
        return r.choice((old * 2, old * 200, old[::-1], [old], [*old, None]))
    if isinstance(old, dict):
        many = {f"k{i}": old for i in range(50)}
        return r.choice(({**old, "x": old}, {**old, r.choice(TEXTS): 1}, many, [old]))
    return r.choice(NUMBERS)


WAYS: tuple[Callable[[random.Random, Any], Any], ...] = (
    _kin, _kin, lambda r, old: junk(r), lambda r, old: r.choice((None, [], {}, "")),
)  # fmt: skip


def damage(r: random.Random, value: Any) -> Any:
    """The value with one node spoiled or gone; the value itself is changed."""
    found = list(places(value))
    if found:
        holder, key = r.choice(found)
        if r.random() < 0.2:
            del holder[key]
        else:
            holder[key] = r.choice(WAYS)(r, holder[key])
    return value


def some_damage(r: random.Random, value: Any) -> Any:
    """Most values stay as they grew; few are damaged more than twice."""
    while r.random() < 0.4:
        value = damage(r, value)
    return few_pods(value)


def few_pods(value: Any) -> Any:
    """Of thousands of replicas, two: who may ask for them gets them, and then this machine has little time left."""
    for holder, key in places(value):
        number, named = holder[key], str(holder.get("path", key) if isinstance(holder, dict) else key)
        if named.lower().endswith("replicas") and isinstance(number, int | float) and 3 < number < 2**31:
            holder[key] = 2
    return value
