"""Who may do what: roles and bindings (RBAC), asked once per request. Pure but for reading the store.

A request is an `Ask`. What a user was given is a list of `Grant`s, found in the bindings once and kept until a role or
binding changes; an ask is allowed if one grant has it. The group `system:masters` may do everything, as in every
cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from canary_tutorial.lab import selectors
from canary_tutorial.lab.errors import Forbidden, NotFound
from canary_tutorial.lab.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, ROLEBINDINGS, ROLES, Kind
from canary_tutorial.lab.node import User
from canary_tutorial.lab.store import Event, Store

Obj = dict[str, Any]
MASTERS = "system:masters"
USERS = 1000  # remembered at most: a client may act as anybody
ACCOUNT = "system:serviceaccount:"
GIVING = ("rules", "aggregationRule", "roleRef", "subjects")  # what, in a role or binding, gives rights
KINDS = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: a verb on a resource (`pods`, `pods/log`), or on a `path` that is no resource.

    An empty namespace means all of them, or none for what has none; an empty name means no one object in particular.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        """The words of a refusal, after the user's name."""
        if self.path:
            return f'cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}" {where}'


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule that a user has, where (an empty namespace: everywhere), and by which binding."""

    rule: Obj
    namespace: str
    by: str

    def allows(self, ask: Ask) -> bool:
        rule = self.rule
        if not _has(rule.get("verbs"), ask.verb):
            return False
        if ask.path:
            return not self.namespace and any(_on_path(url, ask.path) for url in rule.get("nonResourceURLs") or ())
        names = rule.get("resourceNames")
        return (
            self.namespace in ("", ask.namespace)
            and _has(rule.get("apiGroups"), ask.group)
            and _has_resource(rule.get("resources") or (), ask.resource)
            and (not names or ask.name in names)
        )


class Authorizer:
    """Answers for one store. What each user has is remembered until a role or a binding changes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._grants: dict[User, list[Grant]] = {}
        for kind in KINDS:
            store.subscribe(self._forget, kind)

    def check(self, user: User, ask: Ask) -> None:
        """Raise `Forbidden`, in Kubernetes' words, unless the user may."""
        if MASTERS not in user.groups and self.why(user, ask) is None:
            raise forbidden(user, ask, self.why_not(user))

    def why(self, user: User, ask: Ask) -> str | None:
        """Which binding allows it, in a few words (none for masters); None if nothing does."""
        if MASTERS in user.groups:
            return ""
        return next((grant.by for grant in self.grants(user) if grant.allows(ask)), None)

    def why_not(self, user: User) -> str:
        """What to mend, where a binding of the user names a role that is not there; mostly nothing."""
        missing = []
        for _, reference, namespace, _ in bindings_of(self.store, user):
            if role_of(self.store, reference, namespace) is None:
                missing.append(f'{reference["kind"].lower()}.{RBAC} "{reference["name"]}" not found')
        return f"RBAC: {missing[0] if len(missing) == 1 else '[' + ', '.join(missing) + ']'}" if missing else ""

    def grants(self, user: User) -> list[Grant]:
        found = self._grants.get(user)
        if found is None:
            if len(self._grants) >= USERS:
                self._grants.clear()
            found = self._grants[user] = list(grants_of(self.store, user))
        return found

    def _forget(self, event: Event) -> None:
        self._grants.clear()


def grants_of(store: Store, user: User) -> Iterator[Grant]:
    """Every rule that a user has through the bindings of all namespaces."""
    for binding, reference, namespace, subject in bindings_of(store, user):
        name = binding["metadata"]["name"]
        which = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        who = subject["name"] + (f"/{subject['namespace']}" if subject.get("namespace") else "")
        by = f'RBAC: allowed by {which} of {reference["kind"]} "{reference["name"]}" to {subject["kind"]} "{who}"'
        for rule in rules_of(store, reference, namespace):
            yield Grant(rule, namespace, by)


def bindings_of(store: Store, user: User) -> Iterator[tuple[Obj, Obj, str, Obj]]:
    """The bindings that name a user: each with its role's reference, its namespace and the subject that is meant."""
    for binding in [*store.list(CLUSTERROLEBINDINGS), *store.list(ROLEBINDINGS)]:
        namespace = binding["metadata"].get("namespace", "")
        subject = next((each for each in binding.get("subjects") or () if is_subject(each, user, namespace)), None)
        if subject is not None:
            yield binding, binding["roleRef"], namespace, subject


def is_subject(subject: Obj, user: User, namespace: str) -> bool:
    """Whether a binding's subject is this user, or a group of theirs."""
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "ServiceAccount":
        return user.name == f"{ACCOUNT}{subject.get('namespace') or namespace}:{name}"
    return name == user.name if kind == "User" else kind == "Group" and name in user.groups


def role_of(store: Store, reference: Obj, namespace: str) -> Obj | None:
    if reference["kind"] == "ClusterRole":
        return store.find(CLUSTERROLES, reference["name"])
    return store.find(ROLES, reference["name"], namespace)


def rules_of(store: Store, reference: Obj, namespace: str) -> list[Obj]:
    """The rules of the role that a binding names; none if it is not there."""
    role = role_of(store, reference, namespace)
    return [] if role is None else all_rules(store, role)


def all_rules(store: Store, role: Obj) -> list[Obj]:
    """A role's own rules, and those of the roles that it aggregates."""
    rules: list[Obj] = list(role.get("rules") or [])
    for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []:
        chosen = selectors.label_selector(selector)
        for other in store.list(CLUSTERROLES):
            if chosen(other["metadata"].get("labels") or {}):
                rules += other.get("rules") or []
    return rules


def forbidden(user: User, ask: Ask, reason: str = "") -> Forbidden:
    why = f'User "{user.name}" {ask}' + (f": {reason}" if reason else "")
    if ask.path:
        return Forbidden(f"forbidden: {why}", {})
    plural = ask.resource.partition("/")[0]
    resource = f"{plural}.{ask.group}" if ask.group else plural
    name = f' "{ask.name}"' if ask.name else ""
    details = {key: each for key, each in (("name", ask.name), ("group", ask.group), ("kind", plural)) if each}
    return Forbidden(f"{resource}{name} is forbidden: {why}", details)


def user_of(name: str, groups: Iterable[str], uid: str = "") -> User:
    """A user by name, with the groups that everybody of its kind has."""
    found = list(groups)
    if name.startswith(ACCOUNT) and not found:
        found = ["system:serviceaccounts", f"system:serviceaccounts:{name.removeprefix(ACCOUNT).partition(':')[0]}"]
    return User(name, uid, tuple(dict.fromkeys([*found, "system:authenticated"])))


def check_giving(authorizer: Authorizer, user: User, kind: Kind, obj: Obj) -> None:
    """Nobody gives away what they have not: raise `Forbidden` where a role or binding would do that.

    Unless the user may `escalate` roles, or `bind` this one.
    """
    namespace = obj["metadata"].get("namespace", "")
    if kind in (ROLES, CLUSTERROLES):
        given = all_rules(authorizer.store, obj)
        dispensed = Ask("escalate", RBAC, kind.plural, namespace, obj["metadata"]["name"])
    else:
        reference = obj["roleRef"]
        of = CLUSTERROLES if reference["kind"] == "ClusterRole" else ROLES
        given = rules_of(authorizer.store, reference, namespace)
        dispensed = Ask("bind", RBAC, of.plural, namespace, reference["name"])
    if authorizer.why(user, dispensed) is not None:
        return
    if kind not in (ROLES, CLUSTERROLES) and role_of(authorizer.store, obj["roleRef"], namespace) is None:
        raise NotFound.of(of, obj["roleRef"]["name"])  # nobody knows yet what would be given
    lacking = [rule for rule in given if any(authorizer.why(user, ask) is None for ask in asks_of(rule, namespace))]
    if lacking:
        groups = " ".join(f'"{group}"' for group in user.groups)
        who = f'user "{user.name}" (groups=[{groups}])'
        held = "\n".join(_shown(rule) for rule in lacking)
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n{held}"
        raise Forbidden.to(kind, obj["metadata"]["name"], why)


def asks_of(rule: Obj, namespace: str) -> Iterator[Ask]:
    """Everything that a rule allows, one by one; a `*` stands for itself, so that only a `*` allows it."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Ask(verb, path=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Ask(verb, group, resource, namespace, name)


def _shown(rule: Obj) -> str:
    """A rule as Kubernetes prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    keys = ("apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs")
    parts = [f"{key[0].upper()}{key[1:]}:{json.dumps(rule[key])}" for key in keys if rule.get(key)]
    return "{" + ", ".join(parts).replace("ApiGroups", "APIGroups") + "}"


def _has(listed: list[str] | None, wanted: str) -> bool:
    return listed is not None and ("*" in listed or wanted in listed)


def _has_resource(listed: Iterable[str], wanted: str) -> bool:
    if "*" in listed or wanted in listed:
        return True
    sub = wanted.partition("/")[2]
    return bool(sub) and f"*/{sub}" in listed


def _on_path(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url[:-1]))
