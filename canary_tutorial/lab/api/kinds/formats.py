"""The formats of names, labels and ports, and Kubernetes' texts where they do not fit. Pure."""

from __future__ import annotations

import re
from typing import Any

from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.objects import Obj

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = re.compile(LABEL)
DNS_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
PATH_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+")
QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](-?[a-z0-9])*")
ENV_NAME = re.compile(r"[ -<>-~]+")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
PERCENT = re.compile(r"\d{1,9}%")

REGEX = "regex used for validation is "
ENDS = "and must start and end with an alphanumeric character (e.g. "
SAID = {
    DNS_LABEL: (
        f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {ENDS}"
        f"'my-name',  or '123-abc', {REGEX}'{LABEL}')"
    ),
    DNS_LABEL_1035: (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        f"character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', {REGEX}"
        "'[a-z]([-a-z0-9]*[a-z0-9])?')"
    ),
    DNS_SUBDOMAIN: (
        f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {ENDS}"
        f"'example.com', {REGEX}'{LABEL}(\\.{LABEL})*')"
    ),
    PATH_SEGMENT: "may not contain '/' or '%', and may not be '.' or '..'",
    QUALIFIED: (
        f"name part must consist of alphanumeric characters, '-', '_' or '.', {ENDS}"
        f"'MyName',  or 'my.name',  or '123-abc', {REGEX}'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    ),
    LABEL_VALUE: (
        f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {ENDS}"
        f"'MyValue',  or 'my_value',  or '12345', {REGEX}'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    ),
    DATA_KEY: (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
        f"'KEY_NAME',  or 'key-name', {REGEX}'[-._a-zA-Z0-9]+')"
    ),
    PERCENT: (
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
        f"{REGEX}'[0-9]+%')"
    ),
}


def label_faults(labels: Obj, path: str) -> list[Cause]:
    causes = [Cause.invalid(path, key, hint) for key in labels for hint in unqualified(key)]
    for value in labels.values():
        if len(value) > 63:
            causes.append(Cause.invalid(path, value, "must be no more than 63 characters"))
        if not LABEL_VALUE.fullmatch(value):
            causes.append(Cause.invalid(path, value, SAID[LABEL_VALUE]))
    return causes


def unqualified(key: str) -> list[str]:
    """Why a text is no qualified name (`example.com/name` or `name`), as the keys of labels and annotations must be."""
    *prefixes, name = key.split("/")
    if len(prefixes) > 1:
        hint = SAID[QUALIFIED].removeprefix("name part ").replace("must", "a qualified name must", 1)
        return [f"{hint} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    faults = ["prefix part must be non-empty"] if prefixes == [""] else []
    if prefixes and prefixes[0]:
        if len(prefixes[0]) > 253:
            faults.append("prefix part must be no more than 253 characters")
        if not DNS_SUBDOMAIN.fullmatch(prefixes[0]):
            faults.append(f"prefix part {SAID[DNS_SUBDOMAIN]}")
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > 63:
        faults.append("name part must be no more than 63 characters")
    return [*faults, SAID[QUALIFIED]] if not QUALIFIED.fullmatch(name) else faults


def name_faults(name: str, path: str, pattern: re.Pattern[str], limit: int) -> list[Cause]:
    if len(name) > limit:
        return [Cause.invalid(path, name, f"must be no more than {limit} characters")]
    return [] if pattern.fullmatch(name) else [Cause.invalid(path, name, SAID[pattern])]


def key_faults(key: str, path: str) -> list[Cause]:
    """Of a key in a ConfigMap or Secret, which becomes the name of a file."""
    if faults := name_faults(key, path, DATA_KEY, 253):
        return faults
    if key in (".", ".."):
        return [Cause.invalid(path, key, f"must not be '{key}'")]
    return [Cause.invalid(path, key, "must not start with '..'")] if key.startswith("..") else []


def without_nul(text: str, path: str) -> list[Cause]:
    """No program takes a NUL in a word, and no file system in a name."""
    return [Cause.invalid(path, text, "must not contain a NUL character")] if "\0" in text else []


def not_negative(value: int, path: str) -> list[Cause]:
    return [Cause.invalid(path, value, "must be greater than or equal to 0")] if value < 0 else []


def port_number(value: Any, path: str) -> list[Cause]:
    """Of a port that is given as a number; a name is looked up later."""
    wrong = isinstance(value, int) and not 0 < value < 65536
    return [Cause.invalid(path, value, "must be between 1 and 65535, inclusive")] if wrong else []


def one_of(value: Any, path: str, *allowed: str) -> list[Cause]:
    return [] if value in allowed else [Cause.unsupported(path, value, list(allowed))]


def required(obj: Obj, path: str, *names: str) -> list[Cause]:
    """Fields that must be there, and not be empty."""
    return [Cause.required(f"{path}.{name}") for name in names if not obj.get(name)]


def duplicate(path: str, value: str) -> Cause:
    return Cause(path, "FieldValueDuplicate", f'Duplicate value: "{value}"')
