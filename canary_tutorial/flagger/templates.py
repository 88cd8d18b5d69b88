"""Go's text/template as far as queries use it. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping

# One way to match a text: queries are users', and a second one would take them minutes.
ACTION = re.compile(r"\{\{([^{}]*)\}\}")


class TemplateError(Exception):
    """A query's template cannot be filled in."""


def render(template: str, values: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """Go's text/template as far as queries use it: `{{ target }}`, `{{ variables.reporter }}`. Errors are in its words."""
    left = 0
    for action in ACTION.finditer(template):
        word, head, _ = _words(action)
        if not word:
            raise _unparsed(template, action.start(), "missing value for command")
        if head not in (*values, "variables", ""):
            raise _unparsed(template, action.start(), f'function "{head}" not defined')
        left = action.end()
    if "{{" in template[left:]:
        raise _unparsed(template, left + template[left:].index("{{"), "unclosed action")
    filled = ACTION.sub(lambda action: _value(action, values, variables), template)
    return re.sub(r"\s+", " ", filled)  # Flagger sends every run of white space as one blank


def _words(action: re.Match[str]) -> tuple[str, str, list[str]]:
    """`variables.reporter`: all of it, what it begins with, the fields that follow; what is neither is all head."""
    word = action[1].removeprefix("-").removesuffix("-").strip()
    head, *fields = word.split(".") if re.fullmatch(r"\w*(\.\w+)*", word) else [word]
    return word, head, fields


def _value(action: re.Match[str], values: Mapping[str, str], variables: Mapping[str, str]) -> str:
    word, head, fields = _words(action)
    start = action.start(1) + action[1].find(word)
    if not head:
        where = start + word.rindex(".")
        raise _unexecuted(action.string, where, word, f'nil data; no entry for key "{fields[0]}"')
    if head == "variables" and fields:
        key = fields.pop(0)
        if key not in variables:
            raise _unexecuted(action.string, start, head, f'map has no entry for key "{key}"')
        value = variables[key]
    elif head == "variables":
        value = f"map[{' '.join(f'{key}:{variables[key]}' for key in sorted(variables))}]"
    else:
        value = values[head]
    if fields:
        raise _unexecuted(action.string, start, head, f"can't evaluate field {fields[0]} in type string")
    return value


def _unparsed(template: str, at: int, why: str) -> TemplateError:
    return TemplateError(f"template parsing failed: template: tmpl:{_line(template, at)}: {why}")


def _unexecuted(template: str, at: int, what: str, why: str) -> TemplateError:
    column = len(template[template.rfind("\n", 0, at) + 1 : at].encode())
    where = f'template: tmpl:{_line(template, at)}:{column}: executing "tmpl" at <{what}>'
    return TemplateError(f"template excution failed: {where}: {why}")  # its spelling


def _line(template: str, at: int) -> int:
    return template.count("\n", 0, at) + 1
