"""Alerts to chat rooms: which providers hear of what, and the body that each takes. Pure but for `post`.

A provider is an AlertProvider object; what the flags configure has the same shape.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import httpx2

from canary_tutorial.flagger.effects import Obj, Refused
from canary_tutorial.flagger.spec import Canary, mapping

USERNAME, CHANNEL = "flagger", "general"  # Flagger's defaults
TIMEOUT = 5.0  # seconds


def wanted(alert: Obj, severity: str) -> bool:
    """info hears everything, warn only warnings, error errors and warnings: Flagger's own odd table."""
    own = alert.get("severity")
    return own == "info" or own == severity or (own == "error" and severity == "warn")


def fields(canary: Obj, cluster: str = "") -> list[Obj]:
    """What a message says of the Canary beside its text."""
    c = Canary(canary)
    rows = {"Cluster": cluster} if cluster else {}
    rows |= {
        "Target": f"{c.kind}/{c.target}.{c.namespace}",
        "Failed checks threshold": str(c.threshold),
        "Progress deadline": f"{c.deadline}s",
    }
    routing = _routing(c.analysis)
    if routing:
        rows["Traffic routing"] = routing
    return [{"name": name, "value": value} for name, value in rows.items()]


def _routing(analysis: Obj) -> str:
    most = int(analysis.get("maxWeight") or 0)
    if analysis.get("stepWeight"):
        return f"Weight step: {analysis['stepWeight']} max: {most}"
    if analysis.get("stepWeights"):
        return f"Weight steps: {','.join(str(step) for step in analysis['stepWeights'])} max: {most}"
    if analysis.get("match"):
        return "A/B Testing"
    return "Blue/Green" if analysis.get("iterations") else ""


def body(provider: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    """The payload for a provider; a plain one for a type that is not one of the known chats."""
    spec = mapping(provider, "spec")
    return BODIES.get(str(spec.get("type") or ""), _plain)(spec, canary, message, severity, more)


def _slack(spec: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    colours = ("#0076D7", "#FF0000") if spec.get("type") == "rocket" else ("good", "danger")
    attachment = {
        "color": colours[severity == "error"],
        "author_name": _title(canary),
        "text": message,
        "mrkdwn_in": ["text"],
        "fields": [{"title": row["name"], "value": row["value"], "short": False} for row in more],
    }
    return {
        "channel": spec.get("channel") or CHANNEL,
        "username": spec.get("username") or USERNAME,
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [attachment],
    }


def _msteams(spec: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    title = _title(canary)
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": "FF0000" if severity == "error" else "0076D7",
        "summary": title,
        "sections": [{"activityTitle": message, "activitySubtitle": title, "facts": more}],
    }


def _gchat(spec: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    texts = [_strong(message), *(f"{row['name']}<br>{_strong(row['value'])}" for row in more)]
    header = {"title": "Flagger", "subtitle": _title(canary), "imageUrl": "https://flagger.app/favicon.png"}
    sections = [{"widgets": [{"textParagraph": {"text": text}}]} for text in texts]
    return {"cards": [{"header": header, "sections": sections}]}


def _strong(text: str) -> str:
    return f"<font color=#848484><strong>{text}</strong></font>"


def _plain(spec: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    meta = canary["metadata"]
    return {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "severity": severity,
        "message": message,
        "metadata": {row["name"]: row["value"] for row in more},
    }


BODIES: dict[str, Callable[[Obj, Obj, str, str, list[Obj]], Obj]] = {
    "slack": _slack,
    "discord": _slack,
    "rocket": _slack,
    "msteams": _msteams,
    "gchat": _gchat,
}


def _title(canary: Obj) -> str:
    return f"{canary['metadata']['name']}.{canary['metadata']['namespace']}"


def address(provider: Obj, secret: Obj | None) -> tuple[str, str]:
    """URL and token. A Secret holds an `address`, or an `apiToken` for the provider's own address."""
    spec, token = mapping(provider, "spec"), ""
    url = str(spec.get("address") or "")
    if secret is not None:
        data = secret.get("data") or {}
        if data.get("address"):
            url = base64.b64decode(data["address"]).decode().strip()
        elif data.get("apiToken"):
            token = base64.b64decode(data["apiToken"]).decode().strip()
        else:
            raise Refused("secret does not contain an address or API token")
    if spec.get("type") == "discord" and url and not url.endswith("/slack"):
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise Refused(f"error: invalid Discord hook URL {url}") from error
        url = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/slack"))  # Discord reads Slack's payloads there
    return url, token


async def post(http: httpx2.AsyncClient, url: str, content: Obj, token: str = "") -> str | None:
    """None if it was taken, else why not."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await http.post(url, json=content, headers=headers, timeout=TIMEOUT)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return f"postMessage failed: sending notification failed: {str(error) or type(error).__name__}"
    return None if answer.status_code == 200 else f"postMessage failed: sending notification failed: {answer.text}"
