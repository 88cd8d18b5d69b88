"""Paginated lists: the rest of a list, kept under a random `continue` token until the client requests it.

A token is valid for the same user, kind, version, namespace and selectors only. The request is authorized like any list,
so a token does not outlive the right to it. Pure.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

from canary_tutorial.lab.api.wire.bodies import said_in_go
from canary_tutorial.lab.errors import BadRequest, Gone
from canary_tutorial.lab.objects import Obj

PER_USER, IN_ALL = 32, 512  # unfinished lists that are remembered

Key = tuple[Any, ...]  # user, kind, version, namespace and selectors of a list


@dataclass(frozen=True)
class Rest:
    """A list as it was when its first page was read, and where its next one begins."""

    key: Key
    version: str
    objects: list[Obj]
    start: int


class Pages:
    """The unfinished lists of one API server."""

    def __init__(self) -> None:
        self._kept: dict[str, Rest] = {}

    def keep(self, rest: Rest) -> str:
        """Remember what is left; returns the `continue` token. A user's oldest list gives way to the newest."""
        same = [name for name, each in self._kept.items() if each.key[0] == rest.key[0]]
        oldest = same if len(same) >= PER_USER else list(self._kept) if len(self._kept) >= IN_ALL else []
        if oldest:
            del self._kept[oldest[0]]
        name = secrets.token_urlsafe(24)
        self._kept[name] = rest
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": int(rest.version), "start": name})
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def find(self, token: str, key: Key) -> Rest:
        """The list of a token; `BadRequest` if it is not one, or another list's, `Gone` if it is no longer kept."""
        found = self._kept.get(_name_in(token))
        if found is None:
            raise Gone("The provided continue parameter is too old to display a consistent list result. You can start "
                       "a new list without the continue parameter.")  # fmt: skip
        if found.key != key:
            raise BadRequest("continue key is not valid: it belongs to another list")
        return found


def _name_in(token: str) -> str:
    begins = "invalid continue token: continue key is not valid: "
    try:
        text = base64.b64decode((token + "=" * (-len(token) % 4)).encode("ascii"), b"-_", validate=True)
    except ValueError:
        wrong = next((i for i, letter in enumerate(token) if not (letter.isascii() and (letter.isalnum() or letter in "-_"))),
                     len(token))  # fmt: skip
        raise BadRequest(f"{begins}illegal base64 data at input byte {wrong}") from None
    try:
        known = json.loads(text.decode("latin-1"))
        if not isinstance(known["start"], str) or known["v"] != "meta.k8s.io/v1":
            raise TypeError
    except (KeyError, TypeError):
        raise BadRequest(f"{begins}it is not one of this server's") from None
    except (ValueError, RecursionError) as error:
        raise BadRequest(begins + said_in_go(error)) from None
    return str(known["start"])
