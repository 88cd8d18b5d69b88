"""Why an HTTP request failed, in the words of Go's client. Pure."""

from __future__ import annotations

import httpx2


def why(error: Exception, url: str) -> str:
    """What follows on `Post "URL": `."""
    if isinstance(error, httpx2.TimeoutException):
        return "context deadline exceeded"
    text = str(error).lower()
    if "refused" in text or "connection attempts failed" in text:
        return f"dial tcp {httpx2.URL(url).netloc.decode()}: connect: connection refused"
    return str(error) or type(error).__name__
