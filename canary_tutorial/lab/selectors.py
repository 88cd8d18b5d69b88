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

# The words of a label selector: signs, and what is between them.
WORDS = re.compile(r"==|!=|[=!(),<>]|[^\s=!(),<>]+")
OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
ALPHANUMERIC = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


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
    tests = Parser(text).requirements()
    return (lambda have: all(test(have) for test in tests)) if tests else everything


class Parser:
    """Reads a label selector word by word, as Kubernetes does, so that its refusals name the same word."""

    def __init__(self, text: str) -> None:
        self.words, self.at = WORDS.findall(text), 0

    @property
    def next(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def _take(self) -> str:
        word, self.at = self.next, self.at + 1
        return word

    def _is_name(self) -> bool:
        return self.next[:1] not in ("", *"=!(),<>")

    def requirements(self) -> list[LabelTest]:
        tests: list[LabelTest] = []
        if self.next and not self._is_name() and self.next != "!":
            raise BadRequest(f"found '{self.next}', expected: !, identifier, or 'end of string'")
        while self.next:
            tests.append(self._requirement())
            found = self._take()
            if found not in ("", ","):
                raise BadRequest(f"found '{found}', expected: ',' or 'end of string'")
            if found and not self._is_name() and self.next != "!":
                raise BadRequest(f"found '{self.next}', expected: identifier after ','")
        return tests

    def _requirement(self) -> LabelTest:
        absent = self.next == "!" and bool(self._take())
        if not self._is_name():
            raise _unparsed(f"found '{self.next}', expected: identifier")
        key = self._take()
        if not QUALIFIED.fullmatch(key):
            raise _unparsed(f'key: Invalid value: "{key[:300]}": name part {ALPHANUMERIC}')
        if absent or self.next in ("", ","):
            return _not(_exists(key)) if absent else _exists(key)
        operator = self._take()
        if operator in ("in", "notin"):
            values = self._values(key)
            return _in(key, values) if operator == "in" else _not(_in(key, values))
        if operator not in ("=", "==", "!=", "<", ">"):
            raise _unparsed(f"found '{operator}', expected: {', '.join(OPERATORS)}")
        value = self._value(key)
        if operator in "<>":
            if not re.fullmatch(r"-?[0-9]{1,18}", value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _unparsed(f'values[0][{key}]: Invalid value: "{value}": {why}')
            return _number(key, operator, int(value))
        return _not(_in(key, {value})) if operator == "!=" else _in(key, {value})

    def _value(self, key: str) -> str:
        if self.next in ("", ","):
            return ""
        if not self._is_name():
            raise _unparsed(f"found '{self.next}', expected: identifier")
        return _checked(key, self._take())

    def _values(self, key: str) -> set[str]:
        """The values in brackets; nothing between two commas is an empty one."""
        found, values, empty = self._take(), set[str](), True
        if found != "(":
            raise _unparsed(f"found '{found}' expected: '('")
        while self.next != ")":
            if self._is_name():
                values.add(_checked(key, self._take()))
                empty = False
                if self.next not in (",", ")"):
                    raise _unparsed(f"found '{self.next}', expected: ',' or ')'")
            elif self.next == ",":
                values |= {""} if empty else set()
                empty = bool(self._take())
            else:
                raise _unparsed(f"found '{self.next}', expected: ',', ')' or identifier")
        self._take()
        return values | ({""} if empty else set())


def _unparsed(why: str) -> BadRequest:
    return BadRequest(f"unable to parse requirement: {why}")


def _checked(key: str, value: str) -> str:
    if not VALUE.fullmatch(value):
        raise _unparsed(f'values[0][{key}]: Invalid value: "{value[:300]}": a valid label {ALPHANUMERIC}')
    return value


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


def fields(text: str, stored: Callable[[str], str] = str) -> Test:
    """A field selector (`status.phase!=Running`); paths are dotted, values compared as text.

    `stored` says where a kind's objects have what a path names, and refuses a path that they have not.
    """
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.match(r"^([^=!]+?)(==|=|!=)(.*)$", part)
        if not match:
            raise BadRequest(f'invalid selector: "{text}"; can\'t understand "{part}"')
        path, operator, value = match.groups()
        terms.append((stored(path), operator != "!=", value))
    if not terms:
        return everything
    return lambda obj: all((_text_at(obj, path) == value) is wanted for path, wanted, value in terms)


def _text_at(obj: Obj, path: str) -> str:
    value = at(obj, path)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


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
