"""The lab's store: every object in memory, its resourceVersion, and the watchers that get each change.

The rules are etcd's and the API machinery's: each write gets the next `resourceVersion`; a write with an old one gets a
`Conflict`; a write that changes nothing is not stored; deletion waits for finalizers and, for pods, for the
kubelet; the last events of each kind are kept, so that a watcher can resume.

Pure: no I/O, no threads, no event loop; time comes from the `now` it is given. Objects that it returns are shared and
must not be changed: `change()` passes a copy to a function and writes the result.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, dropwhile
from typing import Any, Literal

from canary_tutorial.lab import quota
from canary_tutorial.lab.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooLarge,
    Unreadable,
    details_of,
)
from canary_tutorial.lab.kinds import DEPLOYMENTS, NAMESPACES, PODS, Kind
from canary_tutorial.lab.objects import Obj, clone, timestamp, without

log = logging.getLogger(__name__)

LONGEST = 2**31  # seconds of grace: with more there is no date
HISTORY = 1024  # events kept per kind; a watcher that was away for longer lists again
MAX_STORED = 1536 * 1024  # bytes of an object, about, as in etcd
HISTORY_WEIGHT = 16 << 20  # about so many bytes of them: large objects are forgotten sooner
OMITTED = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")  # when they are empty
REVISION = "deployment.kubernetes.io/revision"  # what the controller notes there is nobody's wish
KEPT_ON_UPDATE = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


@dataclass(frozen=True)
class Event:
    """One write. `previous` is the object before it (None when it was created)."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    kind: Kind
    object: Obj
    resourceVersion: int
    previous: Obj | None = None


Events = list[Event]
Callback = Callable[[Event], None]


class Store:
    """Objects by kind, namespace and name."""

    def __init__(self, kinds: Iterable[Kind], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now, self.began = now, now()
        self.kinds: dict[tuple[str, str], Kind] = {kind.key: kind for kind in kinds}
        # Versions start at the clock, so that a client that comes back after a restart gets 410 and lists again.
        self.version = self.first_version = int(self.began.timestamp() * 100)
        self._objects: dict[tuple[str, str], dict[str, dict[str, Obj]]] = {}
        self._history: dict[tuple[str, str], deque[Event]] = {}
        self._weights: dict[str, int] = {}  # by uid
        self._shares: Counter[str] = Counter()  # by namespace
        self._history_weights: dict[tuple[str, str], deque[int]] = {}
        self._history_weight: dict[tuple[str, str], int] = {}
        self.weight = 0
        self._forgotten: dict[tuple[str, str], int] = {}
        self._subscribers: dict[tuple[str, str] | None, list[Callback]] = {}
        self._untold: deque[Event] = deque()
        self._telling = False

    # -- reading

    def find(self, kind: Kind, name: str, namespace: str | None = None) -> Obj | None:
        return self._objects.get(kind.key, {}).get(namespace or "", {}).get(name)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """The object, or `NotFound`."""
        found = self.find(kind, name, namespace)
        if found is None:
            raise NotFound.of(kind, name)
        return found

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Obj]:
        """All objects of a kind by namespace and name; `labels` keeps those that have every one of them."""
        spaces = self._objects.get(kind.key, {})
        chosen = [namespace] if namespace else sorted(spaces)
        objects = [obj for space in chosen for _, obj in sorted(spaces.get(space, {}).items())]
        if not labels:
            return objects
        return [obj for obj in objects if labels.items() <= (obj["metadata"].get("labels") or {}).items()]

    def count(self, kind: Kind, namespace: str | None = None) -> int:
        """How many objects of a kind there are, in one namespace or in all."""
        found = self._objects.get(kind.key, {})
        return sum(map(len, found.values())) if namespace is None else len(found.get(namespace, {}))

    # -- writing

    def create(self, kind: Kind, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Store a new object and return it as stored; `AlreadyExists`, or `NotFound` for its namespace."""
        meta = obj["metadata"]
        name, namespace = meta["name"], meta.get("namespace") if kind.namespaced else None
        self._admit_to_namespace(kind, name, namespace)
        if self.find(kind, name, namespace) is not None:
            raise AlreadyExists.of(kind, name)
        new = _in_storage_version(kind, obj)
        new["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(self.now())}
        for never in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"):
            new["metadata"].pop(never, None)
        if kind.generation:
            new["metadata"]["generation"] = 1
        if kind is NAMESPACES:
            new.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
            new.setdefault("status", {})["phase"] = "Active"
        weight = self._weight_allowed(kind, new)
        return new if dry_run else self._write("ADDED", kind, new, None, weight)

    def update(self, kind: Kind, obj: Obj, subresource: str | None = None, *, dry_run: bool = False) -> Obj:
        """Replace an object (its status only with `subresource="status"`); `Conflict` on an old resourceVersion."""
        meta = obj["metadata"]
        old = self.get(kind, meta["name"], meta.get("namespace") if kind.namespaced else None)
        self._check_preconditions(kind, old, meta.get("uid"), meta.get("resourceVersion"))
        new = _merged(kind, old, _in_storage_version(kind, obj), subresource)
        if _same(old, new):
            return old
        if kind.generation and _wanted(kind, old) != _wanted(kind, new):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        weight = self._weight_allowed(kind, new)
        if dry_run:
            return new
        if "deletionTimestamp" in new["metadata"] and not self._held(kind, new):
            return self._write("DELETED", kind, new, old, weight)
        return self._write("MODIFIED", kind, new, old, weight)

    def change(
        self, kind: Kind, name: str, namespace: str | None, fn: Callable[[Obj], None], subresource: str | None = None
    ) -> Obj:
        """Let `fn` edit a copy of the object and store that."""
        edited = clone(self.get(kind, name, namespace))
        fn(edited)
        return self.update(kind, edited, subresource)

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        grace: int | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> Obj:
        """Remove an object, or mark it with deletionTimestamp while something holds it; returns its last state.

        Finalizers hold any object; `propagation` "Foreground" and "Orphan" add theirs (`foregroundDeletion`,
        `orphan`), which the garbage collector takes away. A running pod is held by its grace period (seconds) until
        the kubelet deletes it again with `grace=0`; a namespace by its content.
        """
        old = self.get(kind, name, namespace)
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict(f'Operation cannot be fulfilled on {kind.kind} "{name}": the UID in the precondition ({uid}) does '
                           f'not match the UID in record ({old["metadata"]["uid"]}). The object might have been deleted '
                           "and then recreated", details_of(kind, name))  # fmt: skip
        self._check_preconditions(kind, old, None, resource_version)
        new = clone(old)
        meta = new["metadata"]
        finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
        if finalizer and finalizer not in meta.get("finalizers", []) and "deletionTimestamp" not in meta:
            meta.setdefault("finalizers", []).append(finalizer)
        seconds = _grace(kind, old, grace)
        if "deletionTimestamp" not in meta or seconds < meta.get("deletionGracePeriodSeconds", 0):
            meta["deletionTimestamp"] = meta.get("deletionTimestamp") or timestamp(self.now(), seconds)
            meta["deletionGracePeriodSeconds"] = seconds
            if kind.generation:
                meta["generation"] = meta.get("generation", 0) + 1
        if kind is NAMESPACES:
            new["status"] = new.get("status", {}) | {"phase": "Terminating"}
        if dry_run or _same(old, new):
            return new
        return self._write("MODIFIED" if self._held(kind, new) else "DELETED", kind, new, old, weight_of(new))

    # -- listening

    def subscribe(self, callback: Callback, kind: Kind | None = None) -> Callable[[], None]:
        """Call `callback` after each write (of one kind, or of all); returns how to stop it."""
        callbacks = self._subscribers.setdefault(kind.key if kind else None, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    def since(self, kind: Kind, resource_version: int) -> Events:
        """What happened to a kind after a version; `Gone` if that is no longer known."""
        oldest = self._forgotten.get(kind.key, self.first_version)
        if resource_version < oldest:
            raise Gone(f"too old resource version: {resource_version} ({oldest})")
        history = self._history.get(kind.key, ())
        return list(dropwhile(lambda event: event.resourceVersion <= resource_version, history))

    # -- inside

    def _write(
        self, type_: Literal["ADDED", "MODIFIED", "DELETED"], kind: Kind, new: Obj, old: Obj | None, weight: int
    ) -> Obj:
        self.version += 1
        meta = new["metadata"]
        meta["resourceVersion"] = str(self.version)
        names = self._objects.setdefault(kind.key, {}).setdefault(meta.get("namespace", ""), {})
        if type_ == "DELETED":
            del names[meta["name"]]
        else:
            names[meta["name"]] = new
        event = Event(type_, kind, new, self.version, old)
        history = self._history.setdefault(kind.key, deque())
        history.append(event)
        weights = self._history_weights.setdefault(kind.key, deque())
        weights.append(weight)
        self._weigh(type_, new, weight)
        total = self._history_weight.get(kind.key, 0) + weight
        while len(history) > HISTORY or (len(history) > 1 and total > HISTORY_WEIGHT):
            self._forgotten[kind.key] = history.popleft().resourceVersion
            total -= weights.popleft()
        self._history_weight[kind.key] = total
        self._untold.append(event)
        self._tell()
        return new

    def _weigh(self, type_: str, new: Obj, weight: int) -> None:
        """Keep count of what all objects weigh together, and those of each namespace."""
        uid = new["metadata"]["uid"]
        more = (weight if type_ != "DELETED" else 0) - self._weights.pop(uid, 0)
        if type_ != "DELETED":
            self._weights[uid] = weight
        self.weight += more
        self._shares[new["metadata"].get("namespace", "")] += more

    def _weight_allowed(self, kind: Kind, new: Obj) -> int:
        """What an object weighs. Refused are one that etcd would refuse, and one that grows where there is no more
        room; what shrinks or goes is always taken."""
        weight = weight_of(new)
        if weight > MAX_STORED:
            raise TooLarge("etcdserver: request is too large")
        why = quota.BYTES.exceeded(self._shares[new["metadata"].get("namespace", "")], self.weight)
        if why and weight > self._weights.get(new["metadata"]["uid"], 0):
            raise Forbidden.to(kind, new["metadata"]["name"], why)
        return weight

    def _tell(self) -> None:
        """Tell subscribers in the order of the writes, also when one of them writes meanwhile."""
        if self._telling:
            return
        self._telling = True
        while self._untold:
            event = self._untold.popleft()
            everyone = chain(self._subscribers.get(event.kind.key, ()), self._subscribers.get(None, ()))
            for callback in list(everyone):
                try:
                    callback(event)
                except Exception:  # one deaf subscriber must not cost the others the news
                    log.exception("a subscriber failed on %s of %s", event.type, event.kind.resource)
        self._telling = False

    def _admit_to_namespace(self, kind: Kind, name: str, namespace: str | None) -> None:
        if not kind.namespaced:
            return
        space = self.get(NAMESPACES, namespace or "")
        if "deletionTimestamp" in space["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Forbidden.to(kind, name, why)

    def _check_preconditions(self, kind: Kind, old: Obj, uid: str | None, resource_version: str | None) -> None:
        meta = old["metadata"]
        if uid and uid != meta["uid"]:
            where = "/".join(
                filter(None, [kind.group if kind.custom else "", kind.plural, meta.get("namespace"), meta["name"]])
            )
            why = f"StorageError: invalid object, Code: 4, Key: /registry/{where}, ResourceVersion: 0, AdditionalErrorMsg: "
            why += f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}"
            raise Conflict.because(kind, meta["name"], why)
        if resource_version and not resource_version.isdecimal():
            raise Unreadable(f'strconv.ParseUint: parsing "{resource_version[:80]}": invalid syntax')
        if resource_version and resource_version not in (meta["resourceVersion"], "0"):
            raise Conflict.modified(kind, meta["name"])

    def _held(self, kind: Kind, obj: Obj) -> bool:
        """Whether a deleted object must stay a while."""
        meta = obj["metadata"]
        if meta.get("finalizers") or (kind is NAMESPACES and obj["spec"].get("finalizers")):
            return True
        return kind is PODS and meta.get("deletionGracePeriodSeconds", 0) > 0


def weight_of(value: Any) -> int:
    """About how many bytes an object takes as JSON."""
    weight, left = 0, [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            weight += len(each)
        elif isinstance(each, dict):
            weight += 4 * len(each) + sum(map(len, each))
            left += each.values()
        elif isinstance(each, list):
            weight += 4 * len(each)
            left += each
    return weight


def _in_storage_version(kind: Kind, obj: Obj) -> Obj:
    """A copy with the words in the order in which Go writes them, and without what Go leaves out of any metadata."""
    named = {"kind": kind.kind, "apiVersion": kind.api_version}
    meta = {name: value for name, value in obj["metadata"].items() if value or name not in OMITTED}
    return named | clone({**without(obj, "apiVersion", "kind"), "metadata": meta})


def _merged(kind: Kind, old: Obj, new: Obj, subresource: str | None) -> Obj:
    """What an update may change: everything but identity and status, or with `status` only that."""
    if subresource == "status":
        merged = clone(old)
        if "status" in new:
            merged["status"] = new["status"]
        if "managedFields" in new["metadata"]:
            merged["metadata"]["managedFields"] = new["metadata"]["managedFields"]
        return merged
    for field in KEPT_ON_UPDATE:
        new["metadata"].pop(field, None)
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
    if kind.status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = clone(old["status"])
    return new


def _same(old: Obj, new: Obj) -> bool:
    """Equal but for bookkeeping, so that writing it would be no change."""

    def essence(obj: Obj) -> Obj:
        return {**obj, "metadata": without(obj["metadata"], "resourceVersion", "managedFields")}

    return essence(old) == essence(new) and _managers(old) == _managers(new)


def _managers(obj: Obj) -> list[Any]:
    """Who owns which fields, without the times at which they said so."""
    return [without(entry, "time") for entry in obj["metadata"].get("managedFields", [])]


def _wanted(kind: Kind, obj: Obj) -> Obj:
    """The part of an object that its generation counts; of a Deployment, its annotations as well."""
    wanted = without(obj, "metadata", "status", "apiVersion")
    if kind is DEPLOYMENTS:
        wanted["annotations"] = without(obj["metadata"].get("annotations") or {}, REVISION)
    return wanted


def _grace(kind: Kind, obj: Obj, asked: int | None) -> int:
    """Seconds that a pod gets to end; none if it never started or has ended."""
    if (
        kind is not PODS
        or not obj["spec"].get("nodeName")
        or obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
    ):
        return 0
    seconds = obj["spec"].get("terminationGracePeriodSeconds") if asked is None else asked
    return min(max(30 if seconds is None else int(seconds), 0), LONGEST)
