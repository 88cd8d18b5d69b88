"""Chat rooms: the body that each provider takes, and posting it. Pure but for `send` and `post`.

A provider is an AlertProvider object; what the flags configure has the same shape.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import httpx2

from canary_tutorial.flagger.effects import Alert, Obj, Refused
from canary_tutorial.flagger.kube import Kube
from canary_tutorial.flagger.spec import Canary, mapping, name_of

USERNAME, CHANNEL = "flagger", "general"  # Flagger's defaults
TIMEOUT = 5.0  # seconds


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


async def send(kube: Kube, http: httpx2.AsyncClient, alert: Alert, notifier: Obj | None, cluster: str) -> str:
    """Post an alert to its provider, or to the flags' `notifier`; returns why that failed, "" if it did not."""
    more = fields(alert.canary, cluster) if alert.metadata else []
    if alert.provider is None:
        error = await _send(http, notifier, None, alert, more) if notifier else None
        return f"alert can't be sent: {error}" if error else ""
    who = f"alert provider {'.'.join(alert.provider)}"
    try:
        provider, secret = await _provider(kube, *alert.provider)
        error = await _send(http, provider, secret, alert, more)
    except Refused as refused:
        return f"{who} {refused.message}"
    except Exception as odd:  # a provider or a Secret that cannot be read
        error = repr(odd)
    return f"{who} send error: {error}" if error else ""


async def _provider(kube: Kube, name: str, namespace: str) -> tuple[Obj, Obj | None]:
    """The AlertProvider and its Secret, if it has one; refused in the words that follow its name."""
    try:
        provider = await kube.get("AlertProvider", name, namespace)
    except Refused as refused:
        why = f'alertprovider.flagger.app "{name}" not found' if refused.missing else refused.message
        raise Refused(f"error: {why}") from refused
    reference = mapping(provider, "spec").get("secretRef")
    if not reference:
        return provider, None
    try:
        return provider, await kube.get("Secret", name_of(reference), namespace)
    except Refused as refused:
        raise Refused(f"secretRef error: {refused.message}") from refused


async def _send(
    http: httpx2.AsyncClient, provider: Obj, secret: Obj | None, alert: Alert, more: list[Obj]
) -> str | None:
    url, token = address(provider, secret)
    content = body(provider, alert.canary, alert.message, alert.severity, more)
    return await post(http, url, content, token) if url else None


async def post(http: httpx2.AsyncClient, url: str, content: Obj, token: str = "") -> str | None:
    """None if it was taken, else why not."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await http.post(url, json=content, headers=headers, timeout=TIMEOUT)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return f"postMessage failed: sending notification failed: {str(error) or type(error).__name__}"
    return None if answer.status_code == 200 else f"postMessage failed: sending notification failed: {answer.text}"
