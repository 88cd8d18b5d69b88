"""Bounds on what a client may send: levels, values, text. Counted before anything recursive or slow reads it.

A real API server bounds bytes only and has many cores. The lab has one event loop for all clients, and each walk through
an object (types, defaults, managed fields, a copy) costs some microseconds per value. Pure.
"""

from __future__ import annotations

from typing import Any

from canary_tutorial.lab.errors import BadRequest
from canary_tutorial.lab.store import MAX_STORED

MAX_DEPTH = 100
MAX_NODES = 12_000  # values of one object: maps, lists, texts, numbers
MAX_DEPTHS = 300_000  # the depths of all values together: a path is kept for each
MAX_TEXT = MAX_STORED  # characters of all keys and texts together
MAX_PATHS = 8 * MAX_TEXT  # characters of the paths of all values together: messages name them

Size = tuple[int, int, int]  # values, characters, levels


def check(root: Any, times: int = 1) -> Size:
    """Refuse with `BadRequest` a value of more levels, values or text than the lab takes; returns its size.

    What is stored may be `times` as large as what is sent: the entries of its writers are in it.
    """
    nodes, text, depths, paths, deepest = 1, 0, 0, 0, 0
    level: list[tuple[Any, int]] = [(root, 0)]
    while level:
        below: list[tuple[Any, int]] = []
        deepest += 1
        for value, path in level:
            if isinstance(value, str):
                text += len(value)
            elif isinstance(value, dict | list):
                nodes += len(value)
                refuse(nodes // times, text, deepest)
                depths += deepest * len(value)
                paths += path * len(value)
                if isinstance(value, dict):
                    text += sum(map(len, value))
                    below += [(inner, path + len(key) + 1) for key, inner in value.items()]
                else:
                    below += [(inner, path + 9) for inner in value]
        refuse(nodes // times, text, 0)
        if depths > times * MAX_DEPTHS or paths > times * MAX_PATHS:
            raise BadRequest("the object is too large: too many values, too deep in it")
        level = below
    return nodes, text, deepest


def refuse(nodes: int, text: int, depth: int) -> None:
    """Raise `BadRequest` if one of these is too much."""
    if depth > MAX_DEPTH:
        raise BadRequest(f"the object is nested too deeply: more than {MAX_DEPTH} levels")
    if nodes > MAX_NODES:
        raise BadRequest(f"the object is too large: more than {MAX_NODES} values")
    if text > MAX_TEXT:
        raise BadRequest(f"the object is too large: more than {MAX_TEXT} characters")
