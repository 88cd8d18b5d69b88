"""Bearer tokens of the lab's administrator and of ServiceAccounts.

An account's token is a JSON Web Token, as in Kubernetes: it says whose it is, for whom it was made (its audience) and how
long it holds, and is signed with a key that lives as long as the lab. It ends with its account, at once.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any

from canary_tutorial.lab.contracts import ISSUER, User

KNOWN = 1024  # tokens that were checked and need not be again
CREDENTIAL = "authentication.kubernetes.io/credential-id"
YEAR = 365 * 24 * 3600
Claims = dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """A token that this lab has signed."""

    account: tuple[str, str]
    uid: str
    expires: float
    user: User


class Tokens:
    """The bearer tokens of a lab, and the users behind them."""

    ALGORITHM = "ES256"

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        self._administrator = User("kubernetes-admin", groups=("system:masters", "system:authenticated"))
        self._accounts: dict[tuple[str, str], str] = {}  # those that have tokens, and their uid
        self._known: dict[str, Checked] = {}
        self.admin = secrets.token_urlsafe(32)

    def issue(
        self, namespace: str, account: str, uid: str = "", audiences: tuple[str, ...] = (ISSUER,), seconds: int = YEAR
    ) -> str:
        """A new token of a ServiceAccount; one for other audiences alone is no login here."""
        self._accounts[namespace, account] = uid or self._accounts.get((namespace, account), "")
        now = int(time.time())
        claims: Claims = {
            "aud": [*audiences], "exp": now + seconds, "iat": now, "nbf": now, "iss": ISSUER, "jti": str(uuid.uuid4()),
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
        }  # fmt: skip
        head = {"alg": self.ALGORITHM, "kid": self._key_id(), "typ": "JWT"}
        signed = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"
        return f"{signed}.{_base64(self._signature(signed.encode()))}"

    def revoke(self, namespace: str, account: str) -> None:
        """The account is gone, and its tokens with it; one of the same name gets others."""
        self._accounts.pop((namespace, account), None)

    def user(self, token: str) -> User | None:
        """Whose token it is; None if it is nobody's, or no more."""
        if secrets.compare_digest(token.encode(errors="replace"), self.admin.encode()):
            return self._administrator
        found = self._known.get(token) or self._checked(token)
        if found is None or found.expires <= time.time():
            return None
        current = self._accounts.get(found.account)  # a pod may have begun before its account was there
        return found.user if current is not None and found.uid in ("", current) else None

    def keys(self) -> dict[str, Any]:
        """The public key, as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_base64(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
        key = {"use": "sig", "kty": "EC", "kid": self._key_id(), "crv": "P-256", "alg": self.ALGORITHM, "x": x, "y": y}
        return {"keys": [key]}

    def _checked(self, token: str) -> Checked | None:
        signed, _, signature = token.rpartition(".")
        if signed.count(".") != 1 or not self._is_ours(signed.encode(errors="replace"), signature):
            return None
        claims: Claims = json.loads(_bytes(signed.partition(".")[2]))
        if ISSUER not in claims["aud"]:
            return None
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        extra = ((CREDENTIAL, (f"JTI={claims['jti']}",)),)
        user = User(claims["sub"], account["uid"], groups, extra)
        found = Checked((namespace, account["name"]), account["uid"], claims["exp"], user)
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = found
        return found

    def _signature(self, signed: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        r, s = utils.decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def _is_ours(self, signed: bytes, signature: str) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        try:
            pair = _bytes(signature)
            whole = utils.encode_dss_signature(int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big"))
            self._key.public_key().verify(whole, signed, ec.ECDSA(hashes.SHA256()))
        except (ValueError, InvalidSignature):
            return False
        return len(pair) == 64

    def _key_id(self) -> str:
        return _base64(self._key.public_key().public_numbers().x.to_bytes(32, "big"))[:16]


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii") + b"==")
