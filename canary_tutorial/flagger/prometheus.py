"""Queries Prometheus as Flagger's provider does. I/O: HTTP."""

from __future__ import annotations

import base64
import math
from urllib.parse import quote_plus

import httpx2

from canary_tutorial.flagger.effects import Obj, Value
from canary_tutorial.flagger.spec import mapping
from canary_tutorial.flagger.trouble import why

TIMEOUT = 5.0  # seconds


async def query(http: httpx2.AsyncClient, address: str, promql: str, template: Obj | None, secret: Obj | None) -> Value:
    """One instant query; everything that can go wrong is in the `Value`."""
    url = f"{address.rstrip('/')}/api/v1/query?query={quote_plus(promql, errors='replace')}"
    try:
        answer = await http.get(url, headers=_headers(template, secret), timeout=TIMEOUT)
    except httpx2.HTTPError as error:
        return Value(error=f'request failed: Get "{url}": {why(error, url)}')
    except (httpx2.InvalidURL, ValueError, AttributeError, TypeError) as error:  # an odd address, header or Secret
        return Value(error=f'request failed: Get "{url}": {error}')
    if answer.status_code >= 400:
        return Value(error=f"error response: Status {answer.status_code} {answer.reason_phrase}: {answer.text}")
    try:
        return parse(answer.json())
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return Value(error=f"error unmarshaling result: {error}, '{answer.text[:200]}'")


def parse(body: Obj) -> Value:
    """The last series' value; nothing and NaN are both "no values found"."""
    result = body["data"]["result"]
    if body["data"].get("resultType") in ("scalar", "string"):
        raise ValueError("the result is no vector")
    value = math.nan
    for series in result:
        if "values" in series:
            return Value(error="query returned multiple values")
        value = float(series["value"][1])
    return Value(missing=True) if math.isnan(value) else Value(value)


def _headers(template: Obj | None, secret: Obj | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    provider = mapping(mapping(template or {}, "spec"), "provider")
    for name, value in (provider.get("headers") or {}).items():
        headers[name] = ",".join(value) if isinstance(value, list) else str(value)
    data = {key: base64.b64decode(value).decode() for key, value in ((secret or {}).get("data") or {}).items()}
    if "token" in data:
        headers["Authorization"] = f"Bearer {data['token'].strip()}"
    elif "username" in data and "password" in data:
        pair = f"{data['username']}:{data['password']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers
