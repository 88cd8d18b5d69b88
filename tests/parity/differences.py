"""Where two recordings differ, as a list of places with both values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

Obj = dict[str, Any]
NOTHING = "(nothing)"


def differences(real: Obj, ours: Obj) -> list[Obj]:
    """Each place as {where, real, ours}; a place is a path such as `objects.Deployment/podinfo.spec.replicas`."""
    both = [{key: value for key, value in each.items() if key != "measured"} for each in (real, ours)]
    return [{"where": ".".join(where), "real": one, "ours": other} for where, one, other in _walk(*both, ())]


def _walk(real: Any, ours: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if real == ours:
        return
    if isinstance(real, dict) and isinstance(ours, dict):
        for key in sorted(real.keys() | ours.keys()):
            yield from _walk(real.get(key, NOTHING), ours.get(key, NOTHING), (*where, key))
    elif isinstance(real, list) and isinstance(ours, list):
        yield from _lists(real, ours, where)
    else:
        yield where, real, ours


def _lists(real: list[Any], ours: list[Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Items that were changed, are missing or came in; those that are equal are found again wherever they moved."""
    texts = [[json.dumps(each, sort_keys=True) for each in found] for found in (real, ours)]
    for what, i, j, k, m in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        if what == "replace" and j - i == m - k:
            for number, (one, other) in enumerate(zip(real[i:j], ours[k:m], strict=True), i):
                yield from _walk(one, other, (*where, str(number)))
        else:
            yield (*where, str(i)), real[i:j] or NOTHING, ours[k:m] or NOTHING
