"""Chat rooms: the body that each provider takes, and posting it. Pure but for `send` and `post`.

A provider is an AlertProvider object; what the flags configure has the same shape, and a `token` that it may need.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import httpx2

from canary_tutorial.flagger.effects import Alert, Obj, Refused
from canary_tutorial.flagger.golang import url_fault
from canary_tutorial.flagger.kube import Kube
from canary_tutorial.flagger.spec import Canary, mapping, name_of
from canary_tutorial.flagger.trouble import why

DEFAULTS = {"username": "flagger", "channel": "general"}  # of an AlertProvider
NAMES = {  # type -> what its address is called
    "slack": "Slack hook",
    "discord": "Discord hook",
    "rocket": "Rocket hook",
    "msteams": "MS Teams webhook",
    "gchat": "Google Chat webhook",
}
TIMEOUT = 5.0  # seconds


def fields(canary: Obj, cluster: str = "", metadata: bool = True) -> list[Obj]:
    """What a message says beside its text: the cluster's name, and with `metadata` how the Canary is released."""
    rows = ({"Cluster": cluster} if cluster else {}) | (_metadata(Canary(canary)) if metadata else {})
    return [{"name": name, "value": value} for name, value in rows.items()]


def _metadata(c: Canary) -> dict[str, str]:
    rows = {
        "Target": f"{c.kind}/{c.target}.{c.namespace}",
        "Failed checks threshold": str(c.threshold),
        "Progress deadline": f"{c.deadline}s",
    }
    routing = _routing(c.analysis)
    if routing:
        rows["Traffic routing"] = routing
    return rows


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
    """The payload for a provider of one of the known types."""
    spec = mapping(provider, "spec")
    return BODIES[str(spec.get("type"))](spec, canary, message, severity, more)


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
        "channel": spec["channel"],
        "username": spec["username"],
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


BODIES: dict[str, Callable[[Obj, Obj, str, str, list[Obj]], Obj]] = {
    "slack": _slack,
    "discord": _slack,
    "rocket": _slack,
    "msteams": _msteams,
    "gchat": _gchat,
}


def _title(canary: Obj) -> str:
    return f"{canary['metadata']['name']}.{canary['metadata']['namespace']}"


def fault(provider: Obj, url: str) -> str:
    """Why nothing can be posted for a provider, in Flagger's words; "" if it can."""
    spec = mapping(provider, "spec")
    name = NAMES.get(str(spec.get("type")))
    if name is None:
        return f"provider {spec.get('type') or ''} not supported"
    if url_fault(url) or not re.match("/|[A-Za-z][A-Za-z0-9+.-]*:", url):
        return f"invalid {name} URL {url}"
    if name.endswith(" hook"):
        for field in DEFAULTS:
            if not spec.get(field):
                return f"empty {name.removesuffix(' hook')} {field}"
    return ""


def address(provider: Obj, secret: Obj | None) -> tuple[str, str]:
    """URL and token; a Secret's `address` goes before the provider's own. Refused in the words that follow its name."""
    url, data = str(mapping(provider, "spec").get("address") or ""), mapping(secret or {}, "data")
    if secret is not None:
        if "address" not in data:
            raise Refused("secret does not contain an address")
        url = base64.b64decode(data["address"]).decode()
    return url, base64.b64decode(data["token"]).decode() if "token" in data else str(provider.get("token") or "")


def _discord(url: str) -> str:
    """Where Discord reads Slack's payloads."""
    parts = urlsplit(url)
    return url if url.endswith("/slack") else urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/slack"))


async def send(kube: Kube, http: httpx2.AsyncClient, alert: Alert, notifier: Obj | None, cluster: str) -> str:
    """Post an alert to its provider, or to the flags' `notifier`; returns why that failed, "" if it did not."""
    more = fields(alert.canary, cluster, alert.metadata)
    if alert.provider is None:
        error = await _post(http, notifier, *address(notifier, None), alert, more) if notifier else None
        return f"alert can't be sent: {error}" if error else ""
    who = f"alert provider {'.'.join(alert.provider)}"
    try:
        provider, secret = await _provider(kube, *alert.provider)
        url, token = address(provider, secret)
        provider = {**provider, "spec": DEFAULTS | {k: v for k, v in mapping(provider, "spec").items() if v}}
        if url and (odd := fault(provider, url)):
            raise Refused(f"error: {odd}")
        error = await _post(http, provider, url, token, alert, more)
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


async def _post(
    http: httpx2.AsyncClient, provider: Obj, url: str, token: str, alert: Alert, more: list[Obj]
) -> str | None:
    """Without an address nothing is sent, and nothing said. Only Slack gets a token."""
    if not url:
        return None
    content, kind = body(provider, alert.canary, alert.message, alert.severity, more), provider["spec"]["type"]
    return await post(http, _discord(url) if kind == "discord" else url, content, token if kind == "slack" else "")


async def post(http: httpx2.AsyncClient, url: str, content: Obj, token: str = "") -> str | None:
    """None if it was taken, else why not."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await http.post(url, json=content, headers=headers, timeout=TIMEOUT)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return f'postMessage failed: sending notification failed to send: Post "{url}": {why(error, url)}'
    if 200 <= answer.status_code < 300:
        return None
    return f"postMessage failed: sending notification bad response {answer.status_code}: {answer.text}"
