"""A request's options, parsed from its query into typed values; invalid ones are refused with Kubernetes' texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from multidict import MultiMapping

from canary_tutorial.lab.errors import BadRequest, Cause, Invalid, Unreadable
from canary_tutorial.lab.objects import Obj

MATCH, EXACT, NOT_OLDER = "resourceVersionMatch", "Exact", "NotOlderThan"
NOT_WITH_CONTINUE = Cause.forbidden(MATCH, f"{MATCH} is forbidden when continue is provided")
STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
POLICIES = ("Foreground", "Background", "Orphan")


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean of a query as Go reads it: anything but `false` and `0` is true, also nothing after the name."""
    return query.get(name, "0").lower() not in ("false", "0")


def number(query: Mapping[str, str], name: str) -> int:
    """An unsigned integer of a query; 0 if it is not there."""
    text = query.get(name)
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest(f'strconv.ParseInt: parsing "{text[:80]}": invalid syntax')
    return int(text)


def version(query: Mapping[str, str]) -> int:
    """The resourceVersion of a query; 0 if it is not there."""
    text = query.get("resourceVersion")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        why = f'strconv.ParseUint: parsing "{text[:80]}": invalid syntax'
        raise Unreadable(f'resourceVersion: Invalid value: "{text[:80]}": {why}')
    return int(text or 0)


@dataclass(frozen=True)
class ListOptions:
    """What a list, a watch or the deletion of a collection may say."""

    label_selector: str
    field_selector: str
    resource_version: int
    match: str
    limit: int
    token: str
    seconds: int
    bookmarks: bool
    initial_events: bool

    @classmethod
    def read(cls, query: Mapping[str, str], *, watch: bool) -> ListOptions:
        """Raises `Invalid` for options that contradict each other, `BadRequest` for what cannot be read."""
        causes = [*(_faults_of_watch(query) if watch else _faults_of_list(query))]
        if causes:
            raise Invalid.asked("ListOptions.meta.k8s.io", *causes)
        return cls(
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
            version(query),
            query.get(MATCH, ""),
            number(query, "limit"),
            query.get("continue", ""),
            number(query, "timeoutSeconds") if watch else 0,
            flag(query, "allowWatchBookmarks"),
            flag(query, "sendInitialEvents"),
        )


def _faults_of_list(query: Mapping[str, str]) -> Iterator[Cause]:
    match, version = query.get(MATCH), query.get("resourceVersion")
    if match and not version:
        yield Cause.forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided")
    if match and query.get("continue"):
        yield NOT_WITH_CONTINUE
    if match and match not in (EXACT, NOT_OLDER):
        yield Cause.unsupported(MATCH, match, [EXACT, NOT_OLDER, ""])
    if match == EXACT and version == "0":
        yield Cause.forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"')
    if query.get("sendInitialEvents"):
        yield Cause.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _faults_of_watch(query: Mapping[str, str]) -> Iterator[Cause]:
    """resourceVersionMatch and sendInitialEvents must come together."""
    match, initial = query.get(MATCH), query.get("sendInitialEvents")
    if initial and match != NOT_OLDER:
        yield Cause.forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to {NOT_OLDER}")
    if match and not initial:
        yield Cause.forbidden(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided")
    if match and match != NOT_OLDER:
        yield Cause.unsupported(MATCH, match, [NOT_OLDER])
    if match and query.get("continue"):
        yield NOT_WITH_CONTINUE


@dataclass(frozen=True)
class WriteOptions:
    """What a create, update, patch or apply may say."""

    dry_run: bool
    field_manager: str
    field_validation: str
    force: bool

    @classmethod
    def read(cls, query: MultiMapping[str]) -> WriteOptions:
        mode = query.get("fieldValidation") or WARN
        if mode not in (STRICT, WARN, IGNORE):
            cause = Cause.unsupported("fieldValidation", mode, ["", IGNORE, STRICT, WARN])
            raise Invalid.asked("CreateOptions.meta.k8s.io", cause)
        return cls(dry_run(query), query.get("fieldManager", ""), mode, flag(query, "force"))


def dry_run(query: MultiMapping[str], of: str = "CreateOptions") -> bool:
    values = query.getall("dryRun", [])
    if any(value not in ("All", "") for value in values):
        wrong = next(value for value in values if value not in ("All", ""))
        raise Invalid.asked(f"{of}.meta.k8s.io", Cause.unsupported("dryRun", wrong, ["All"]))
    return "All" in values


class DeleteOptions(TypedDict):
    """What the store's `delete` takes."""

    propagation: str
    grace: int | None
    uid: str | None
    resource_version: str | None
    dry_run: bool


def delete_options(body: Obj, query: MultiMapping[str]) -> DeleteOptions:
    """DeleteOptions from a body, and from the query."""
    policy = body.get("propagationPolicy", query.get("propagationPolicy"))
    if policy is None:
        orphan = body.get("orphanDependents") is True or flag(query, "orphanDependents")
        policy = "Orphan" if orphan else "Background"
    if policy not in POLICIES:
        cause = Cause.unsupported("propagationPolicy", policy, [*POLICIES, "nil"])
        raise Invalid.asked("DeleteOptions.meta.k8s.io", cause)
    preconditions = body.get("preconditions") or {}
    if not isinstance(preconditions, dict):
        raise BadRequest("preconditions of DeleteOptions must be an object")
    return {
        "propagation": policy,
        "grace": _grace_period(body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))),
        "uid": preconditions.get("uid"),
        "resource_version": preconditions.get("resourceVersion"),
        "dry_run": bool(body.get("dryRun")) or dry_run(query, "DeleteOptions"),
    }


def _grace_period(given: Any) -> int | None:
    if given in (None, ""):
        return None
    try:
        seconds = int(given)
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"gracePeriodSeconds must be a number of seconds, not {str(given)[:40]!r}") from None
    return min(max(seconds, 0), 2**31)
