"""RBAC: decides by roles and bindings whether a user may make a request. Pure but for reading the store.

A request is described by its `Attributes`. A user's rights are a list of `PolicyRule`s, collected from the bindings once
and kept until a role or binding changes; a request is allowed if one of them allows it. The group `system:masters` may do
everything, as in every cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from canary_tutorial.lab import selectors
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import BadRequest, Forbidden, NotFound
from canary_tutorial.lab.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, RBAC, ROLEBINDINGS, ROLES, Kind
from canary_tutorial.lab.objects import Obj, without
from canary_tutorial.lab.store import Event, Store

MASTERS = "system:masters"
USERS = 1000  # remembered at most: a client may act as anybody
ACCOUNT = "system:serviceaccount:"
KEYS = ("apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs")  # of a rule
KINDS = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)
EVERYTHING: list[Obj] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


@dataclass(frozen=True, slots=True)
class Attributes:
    """One request: a verb on a resource (`pods`, `pods/log`), or on another `path`.

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


class PolicyRule:
    """One rule that a user has, where (an empty namespace: everywhere), and by which binding."""

    __slots__ = ("by", "groups", "names", "namespace", "resources", "rule", "urls", "verbs")

    def __init__(self, rule: Obj, namespace: str, by: str) -> None:
        self.rule, self.namespace, self.by = rule, namespace, by
        self.verbs, self.groups = frozenset(rule.get("verbs") or ()), frozenset(rule.get("apiGroups") or ())
        self.resources, self.names = frozenset(rule.get("resources") or ()), frozenset(rule.get("resourceNames") or ())
        self.urls = tuple(rule.get("nonResourceURLs") or ())

    def allows(self, attributes: Attributes) -> bool:
        if not ("*" in self.verbs or attributes.verb in self.verbs):
            return False
        if attributes.path:
            return not self.namespace and any(_on_path(url, attributes.path) for url in self.urls)
        return (
            self.namespace in ("", attributes.namespace)
            and ("*" in self.groups or attributes.group in self.groups)
            and self._has_resource(attributes.resource)
            and (not self.names or attributes.name in self.names)
        )

    def _has_resource(self, wanted: str) -> bool:
        if "*" in self.resources or wanted in self.resources:
            return True
        sub = wanted.partition("/")[2]
        return bool(sub) and f"*/{sub}" in self.resources


class Authorizer:
    """Answers for one store. What each user has is remembered until a role or a binding changes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._rules: dict[User, list[PolicyRule]] = {}
        for kind in KINDS:
            store.subscribe(self._forget, kind)

    def check(self, user: User, attributes: Attributes) -> None:
        """Raise `Forbidden`, in Kubernetes' words, unless the user may."""
        if MASTERS not in user.groups and self.why(user, attributes) is None:
            raise forbidden(user, attributes, self.why_not(user))

    def why(self, user: User, attributes: Attributes) -> str | None:
        """Which binding allows it, in a few words (none for masters); None if nothing does."""
        if MASTERS in user.groups:
            return ""
        return next((rule.by for rule in self.rules_for(user) if rule.allows(attributes)), None)

    def why_not(self, user: User) -> str:
        """What to mend, where a binding of the user names a role that is not there; mostly nothing."""
        missing = []
        for _, reference, namespace, _ in bindings_of(self.store, user):
            if role_of(self.store, reference, namespace) is None:
                missing.append(f'{reference["kind"].lower()}.{RBAC} "{reference["name"]}" not found')
        return f"RBAC: {missing[0] if len(missing) == 1 else '[' + ', '.join(missing) + ']'}" if missing else ""

    def rules_for(self, user: User) -> list[PolicyRule]:
        found = self._rules.get(user)
        if found is None:
            if len(self._rules) >= USERS:
                self._rules.clear()
            found = self._rules[user] = list(policy_rules_of(self.store, user))
        return found

    def _forget(self, event: Event) -> None:
        self._rules.clear()


def policy_rules_of(store: Store, user: User) -> Iterator[PolicyRule]:
    """Every rule that a user has through the bindings of all namespaces."""
    for binding, reference, namespace, subject in bindings_of(store, user):
        name = binding["metadata"]["name"]
        which = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        who = subject["name"] + (f"/{subject['namespace']}" if subject.get("namespace") else "")
        by = f'RBAC: allowed by {which} of {reference["kind"]} "{reference["name"]}" to {subject["kind"]} "{who}"'
        for rule in rules_of(store, reference, namespace):
            yield PolicyRule(rule, namespace, by)


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
        try:
            chosen = selectors.label_selector(selector)
        except BadRequest:
            continue  # selects nothing, and locks nobody out
        for other in store.list(CLUSTERROLES):
            if chosen(other["metadata"].get("labels") or {}):
                rules += other.get("rules") or []
    return rules


def forbidden(user: User, attributes: Attributes, reason: str = "") -> Forbidden:
    why = f'User "{user.name}" {attributes}' + (f": {reason}" if reason else "")
    if attributes.path:
        return Forbidden(f"forbidden: {why}", {})
    plural = attributes.resource.partition("/")[0]
    resource = f"{plural}.{attributes.group}" if attributes.group else plural
    name = f' "{attributes.name}"' if attributes.name else ""
    named = (("name", attributes.name), ("group", attributes.group), ("kind", plural))
    details = {key: each for key, each in named if each}
    return Forbidden(f"{resource}{name} is forbidden: {why}", details)


def user_of(name: str, groups: Iterable[str], uid: str = "") -> User:
    """A user by name, with the groups that everybody of its kind has."""
    found = list(groups)
    if name.startswith(ACCOUNT) and not found:
        found = ["system:serviceaccounts", f"system:serviceaccounts:{name.removeprefix(ACCOUNT).partition(':')[0]}"]
    return User(name, uid, tuple(dict.fromkeys([*found, "system:authenticated"])))


def check_escalation(
    authorizer: Authorizer, user: User, kind: Kind, obj: Obj, old: Obj | None = None, name: str | None = None
) -> None:
    """Raise `Forbidden` where a role or binding would give more than the user who writes it may do.

    Unless the user may `escalate` roles, or `bind` this one; `name` is that of the URL, which has none for what is to be
    created. Any change of a role or binding counts, a label as well: by a label a role is aggregated into another.
    """
    if old is not None and _same_but_for_owners(old, obj):
        return
    meta = obj["metadata"]
    namespace = meta.get("namespace") or ""
    if kind in (ROLES, CLUSTERROLES):
        named = meta["name"] if name is None else name
        if authorizer.why(user, Attributes("escalate", RBAC, kind.plural, namespace, named)) is not None:
            return
        gathers = obj.get("aggregationRule") or (old or {}).get("aggregationRule")  # any rule, now or later
        if gathers and _lacking(authorizer, user, EVERYTHING, ""):
            raise Forbidden.to(kind, meta["name"], "must have cluster-admin privileges to use an aggregationRule")
        given: list[Obj] = list(obj.get("rules") or [])
    else:
        reference = obj["roleRef"]
        of = CLUSTERROLES if reference["kind"] == "ClusterRole" else ROLES
        if authorizer.why(user, Attributes("bind", RBAC, of.plural, namespace, reference["name"])) is not None:
            return
        if role_of(authorizer.store, reference, namespace) is None:
            raise NotFound.of(of, reference["name"])  # nobody knows yet what would be given
        given = rules_of(authorizer.store, reference, namespace)
    lacking = _lacking(authorizer, user, given, namespace)
    if lacking:
        groups = " ".join(f'"{group}"' for group in user.groups)
        who = f'user "{user.name}" (groups=[{groups}])'
        held = "\n".join(_shown(rule) for rule in lacking)
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n{held}"
        raise Forbidden.to(kind, meta["name"], why)


MOST = 3000  # single rights that one check weighs: a rule of long lists would have billions


def _same_but_for_owners(old: Obj, new: Obj) -> bool:
    """Whether a change concerns only what the garbage collector writes, or nothing."""

    def essence(obj: Obj) -> Obj:
        free = ("finalizers", "ownerReferences", "managedFields", "resourceVersion", "generation")
        return without(obj, "apiVersion", "kind") | {"metadata": without(obj["metadata"], *free)}

    return essence(old) == essence(new)


def _lacking(authorizer: Authorizer, user: User, rules: list[Obj], namespace: str) -> list[Obj]:
    """The rules that a user does not hold whole."""
    left, found = MOST, []
    for rule in rules:
        left -= _rights(rule)
        if left < 0 or any(authorizer.why(user, attributes) is None for attributes in breakdown(rule, namespace)):
            found.append(rule)
    return found


def _rights(rule: Obj) -> int:
    """How many single rights a rule spells out."""
    counts = {key: len(rule.get(key) or ()) for key in KEYS}
    resources = counts["apiGroups"] * counts["resources"] * max(counts["resourceNames"], 1)
    return counts["verbs"] * (resources + counts["nonResourceURLs"])


def breakdown(rule: Obj, namespace: str) -> Iterator[Attributes]:
    """Everything that a rule allows, one by one; a `*` stands for itself, so that only a `*` allows it."""
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Attributes(verb, path=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Attributes(verb, group, resource, namespace, name)


def _shown(rule: Obj) -> str:
    """A rule as Kubernetes prints it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    parts = [f"{key[0].upper()}{key[1:]}:{json.dumps(rule[key])}" for key in KEYS if rule.get(key)]
    return "{" + ", ".join(parts).replace("ApiGroups", "APIGroups") + "}"


def _on_path(url: str, path: str) -> bool:
    return url in ("*", path) or (url.endswith("*") and path.startswith(url[:-1]))
