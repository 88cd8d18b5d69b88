"""What a list or a watch may ask for: combinations of options that have no meaning are refused, not guessed at. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from canary_tutorial.lab.errors import Cause, Invalid

MATCH, EXACT, NOT_OLDER = "resourceVersionMatch", "Exact", "NotOlderThan"


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of a query as Go reads it: anything but `false` and `0` is true, also nothing after the name."""
    return query.get(name, "0").lower() not in ("false", "0")


def is_watch(method: str, query: Mapping[str, str]) -> bool:
    """Whether a request is a watch. HEAD never is: its answer would not end."""
    return method == "GET" and "watch" in query and flag(query, "watch")


def check_list(query: Mapping[str, str]) -> None:
    """Refuse a list's resourceVersionMatch and sendInitialEvents where they make no sense; raises Invalid."""
    match, version, causes = query.get(MATCH), query.get("resourceVersion"), []
    if match:
        if not version:
            causes.append(Cause.forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
        causes += _with_continue(query)
        if match not in (EXACT, NOT_OLDER):
            causes.append(Cause.unsupported(MATCH, match, [EXACT, NOT_OLDER, ""]))
        if match == EXACT and version == "0":
            causes.append(Cause.forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if query.get("sendInitialEvents"):
        causes.append(Cause.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _refuse(causes)


def check_watch(query: Mapping[str, str]) -> None:
    """Refuse a watch's resourceVersionMatch and sendInitialEvents unless they come together; raises Invalid."""
    match, initial, causes = query.get(MATCH), query.get("sendInitialEvents"), []
    if initial and match != NOT_OLDER:
        causes.append(Cause.forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to {NOT_OLDER}"))
    if match:
        if not initial:
            causes.append(
                Cause.forbidden(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided")
            )
        if match != NOT_OLDER:
            causes.append(Cause.unsupported(MATCH, match, [NOT_OLDER]))
        causes += _with_continue(query)
    _refuse(causes)


def _with_continue(query: Mapping[str, str]) -> list[Cause]:
    given = query.get("continue")
    return [Cause.forbidden(MATCH, f"{MATCH} is forbidden when continue is provided")] if given else []


def _refuse(causes: list[Cause]) -> None:
    if causes:
        raise Invalid.asked("ListOptions.meta.k8s.io", *causes)
