"""Decides whether a request was sent by a browser for a page of another origin (CSRF). Pure.

A browser sends a "simple" POST of any page to any address; only its headers show that: `Origin`, and `Sec-Fetch-Site`
where the address is a loopback one. Programs (Flagger, curl, the service proxy) send neither. A page's own host name may
resolve to this very address (DNS rebinding), so the same origin counts only where the host is an address.
"""

from __future__ import annotations

import ipaddress
from email.message import Message
from urllib.parse import urlsplit


def is_foreign(headers: Message) -> bool:
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None and site.strip().lower() not in ("same-origin", "none"):
        return True
    return origin is not None and not _is_own(origin.strip(), str(headers.get("Host") or "").strip())


def _is_own(origin: str, host: str) -> bool:
    try:
        asked = urlsplit(f"//{host}")
        named, own = urlsplit(origin), (asked.hostname, asked.port or 80)
        return named.scheme == "http" and (named.hostname, named.port or 80) == own and _is_address(asked.hostname)
    except ValueError:
        return False


def _is_address(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True
