"""Label and field selectors: which objects a list, a watch or a controller selects.

`labels("app=podinfo,tier in (a, b),!legacy")` and `fields("metadata.name=podinfo")` give a test for objects;
`label_selector({"matchLabels": ...})` does so for the selector inside an object. Pure; a selector that cannot be
read raises `BadRequest`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from canary_tutorial.lab.errors import BadRequest
from canary_tutorial.lab.objects import Obj, at

Test = Callable[[Obj], bool]
LabelTest = Callable[[Mapping[str, str]], bool]

NAME = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
SET = re.compile(rf"^({NAME})\s+(in|notin)\s*\(([^()]*)\)$")
EQUAL = re.compile(rf"^({NAME})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$")
EXISTS = re.compile(rf"^(!?)\s*({NAME})$")
NUMBER = re.compile(rf"^({NAME})\s*([<>])\s*(-?[0-9]{{1,18}})$")


def everything(_: Any) -> bool:
    return True


def labels(text: str) -> Test:
    """A selector as in `kubectl get -l`, as a test for objects."""
    test = label_test(text)
    if test is everything:
        return everything
    return lambda obj: test(obj["metadata"].get("labels") or {})


def label_test(text: str) -> LabelTest:
    """The same as a test for a mapping of labels."""
    parts = [part for part in _requirements(text) if part]
    if not parts:
        return everything
    tests = [_requirement(part, text) for part in parts]
    return lambda have: all(test(have) for test in tests)


def _requirements(text: str) -> list[str]:
    """The parts between commas, but for those within brackets."""
    parts, pending = [], ""
    for piece in text.split(","):
        pending = f"{pending},{piece}" if pending else piece
        if pending.count("(") <= pending.count(")"):
            parts.append(pending.strip())
            pending = ""
    return [*parts, pending.strip()]


def label_selector(selector: Obj | None) -> LabelTest:
    """A `LabelSelector` object (`matchLabels`, `matchExpressions`); None selects nothing, `{}` everything."""
    if selector is None:
        return lambda have: False
    tests = [_in(key, {value}) for key, value in (selector.get("matchLabels") or {}).items()]
    tests += [_expression(each) for each in selector.get("matchExpressions") or []]
    return lambda have: all(test(have) for test in tests)


def as_text(selector: Obj | None) -> str:
    """A `LabelSelector` object as one would type it, e.g. for `status.selector` of a Scale."""
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or []:
        key, operator = each["key"], each["operator"]
        values = f" ({','.join(sorted(each.get('values') or []))})"
        forms = {"In": f"{key} in{values}", "NotIn": f"{key} notin{values}", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(forms[operator])
    return ",".join(parts)


def fields(text: str, stored: Callable[[str], str | None] = str) -> Test:
    """A field selector (`status.phase!=Running`); paths are dotted, values compared as text.

    `stored` says where a kind's objects have what a path names; a path that it has not is refused as by a real server.
    """
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.match(r"^([^=!]+?)(==|=|!=)(.*)$", part)
        if not match:
            raise BadRequest(f'invalid selector: "{text}"; can\'t understand "{part}"')
        path, operator, value = match.groups()
        place = stored(path)
        if place is None:
            raise BadRequest(f"field label not supported: {path}")
        terms.append((place, operator != "!=", value))
    if not terms:
        return everything
    return lambda obj: all((_text_at(obj, path) == value) is wanted for path, wanted, value in terms)


def _text_at(obj: Obj, path: str) -> str:
    value = at(obj, path)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _requirement(part: str, whole: str) -> LabelTest:
    if match := SET.match(part):
        key, operator, values = match[1], match[3], {value.strip() for value in match[4].split(",")}
        return _in(key, values) if operator == "in" else _not(_in(key, values))
    if match := EQUAL.match(part):
        test = _in(match[1], {match[4]})
        return _not(test) if match[3] == "!=" else test
    if match := EXISTS.match(part):
        test = _exists(match[2])
        return _not(test) if match[1] else test
    if match := NUMBER.match(part):
        return _number(match[1], match[3], int(match[4]))
    raise BadRequest(f'unable to parse requirement: found "{part}" in "{whole}", which is no label selector')


def _expression(each: Obj) -> LabelTest:
    key, operator, values = each.get("key", ""), each.get("operator"), set(each.get("values") or [])
    tests = {"In": _in(key, values), "NotIn": _not(_in(key, values)), "Exists": _exists(key)}
    tests["DoesNotExist"] = _not(tests["Exists"])
    if operator not in tests:
        raise BadRequest(f'"{operator}" is not a valid label selector operator')
    return tests[operator]


def _in(key: str, values: set[str]) -> LabelTest:
    return lambda have: have.get(key) in values if key in have else False


def _exists(key: str) -> LabelTest:
    return lambda have: key in have


def _number(key: str, operator: str, bound: int) -> LabelTest:
    def test(have: Mapping[str, str]) -> bool:
        value = have.get(key, "")
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            return False
        return int(value) > bound if operator == ">" else int(value) < bound

    return test


def _not(test: LabelTest) -> LabelTest:
    return lambda have: not test(have)
