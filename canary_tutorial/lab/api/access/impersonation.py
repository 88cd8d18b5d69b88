"""Impersonation: requests in another user's name, for users that may (`kubectl --as`). Pure."""

from __future__ import annotations

from urllib.parse import unquote

from multidict import CIMultiDictProxy

from canary_tutorial.lab.api.access.authorization import ACCOUNT, Attributes, user_of
from canary_tutorial.lab.contracts import User
from canary_tutorial.lab.errors import BadRequest

USER, GROUP, UID, EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"


def impersonated(headers: CIMultiDictProxy[str]) -> tuple[User, list[Attributes]] | None:
    """Whom a request is made for, and what its maker must be allowed for that; None if it is made for nobody else."""
    name = headers.get(USER, "")
    groups, uid = headers.getall(GROUP, []), headers.get(UID, "")
    extra = [(key[len(EXTRA) :].lower(), each) for key, each in headers.items() if key.lower().startswith(EXTRA)]
    if not name:
        if groups or uid or extra:
            raise BadRequest(f"requested groups {groups} without impersonating a user")
        return None
    if name.startswith(ACCOUNT):
        namespace, _, account = name.removeprefix(ACCOUNT).partition(":")
        needed = [Attributes("impersonate", "", "serviceaccounts", namespace, account)]
    else:
        needed = [Attributes("impersonate", "", "users", "", name)]
    needed += [Attributes("impersonate", "", "groups", "", group) for group in groups]
    needed += [Attributes("impersonate", AUTHENTICATION, "uids", "", uid)] if uid else []
    needed += [Attributes("impersonate", AUTHENTICATION, f"userextras/{unquote(key)}", "", each) for key, each in extra]
    return user_of(name, groups, uid), needed
