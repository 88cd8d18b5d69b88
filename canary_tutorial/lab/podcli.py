"""podcli, the command in podinfo's image that its own manifests use as a probe: `podcli check http localhost:9898/healthz`.

In the lab's containers `localhost` is the pod's address before this program sees it. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import socket
import sys
from urllib.parse import urlsplit


def check(what: str, address: str, seconds: float) -> str:
    """Why a check fails, or nothing."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        if what == "tcp":
            socket.create_connection((parts.hostname or "", parts.port or 0), seconds).close()
            return ""
        asking = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
        with contextlib.closing(asking) as connection:
            connection.request("GET", parts.path or "/")
            status = connection.getresponse().status
        return "" if status < 400 else f"got status {status}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(error)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("podcli", allow_abbrev=False)
    parser.add_argument("verb", choices=["check"])
    parser.add_argument("what", choices=["http", "tcp"])
    parser.add_argument("address", help="host:port, for http also with a path")
    parser.add_argument("--retry", type=int, default=0, help="tries after the first")
    parser.add_argument("--timeout", default="5s", help="of each try, in seconds")
    options = parser.parse_args(words)
    why = ""
    for _ in range(options.retry + 1):
        why = check(options.what, options.address, float(options.timeout.rstrip("s")))
        if not why:
            print("check passed")
            return 0
    print(f"check failed: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
