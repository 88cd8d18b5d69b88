"""How much of the lab one namespace may use, so that a full one does not stop the others. Pure.

Each namespace may use a fixed amount while the lab has some left; when the lab is full, each may still use its reserve.
More than that is refused with the text of Kubernetes' ResourceQuota.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quota:
    """A limit on one thing, in its own unit: `share` and `reserve` of a namespace, `total` of all of them."""

    what: str
    share: int
    reserve: int
    total: int

    def exceeded(self, used: int, in_all: int) -> str:
        """Why a namespace that uses `used` may not have more, while all use `in_all`; "" if it may."""
        if used < self.reserve or (used < self.share and in_all < self.total):
            return ""
        limit = self.share if used >= self.share else self.reserve
        return f"exceeded quota: lab, used: {self.what}={used}, limited: {self.what}={limit}"


BYTES = Quota("bytes", share=64 << 20, reserve=16 << 20, total=256 << 20)  # of objects, about
PODS = Quota("pods", share=250, reserve=50, total=500)  # each is a process or more on this machine
