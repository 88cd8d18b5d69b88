"""Bearer tokens of the lab's administrator and of ServiceAccounts. Kept in memory only."""

from __future__ import annotations

import secrets

from canary_tutorial.lab.contracts import User


class Tokens:
    """Bearer tokens and the users behind them."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._tokens: dict[str, str] = {}
        self.admin = self._add(User("kubernetes-admin", groups=("system:masters", "system:authenticated")))

    def issue(self, namespace: str, serviceaccount: str) -> str:
        """The token of a ServiceAccount; the same one each time."""
        name = f"system:serviceaccount:{namespace}:{serviceaccount}"
        if name not in self._tokens:
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            self._add(User(name, groups=groups))
        return self._tokens[name]

    def revoke(self, namespace: str, serviceaccount: str) -> None:
        """Forget the token of a ServiceAccount that is gone; one of the same name gets another."""
        self._users.pop(self._tokens.pop(f"system:serviceaccount:{namespace}:{serviceaccount}", ""), None)

    def user(self, token: str) -> User | None:
        return self._users.get(token)

    def _add(self, user: User) -> str:
        token = secrets.token_urlsafe(32)
        self._users[token] = user
        self._tokens[user.name] = token
        return token
