"""Alerts to chat rooms: which providers hear of what, and the body that each takes. Pure but for `post`."""

from __future__ import annotations

import base64
from typing import Any

import httpx2

from canary_tutorial.flagger.effects import Obj

SEVERITIES = {"info": 0, "warn": 1, "error": 2}
COLOURS = {"info": "good", "warn": "warning", "error": "danger"}
USERNAME = "flagger"


def wanted(alert: Obj, severity: str) -> bool:
    """An alert hears of its own severity and worse."""
    return SEVERITIES[severity] >= SEVERITIES.get(alert.get("severity") or "info", 0)


def fields(canary: Obj) -> list[Obj]:
    """What a message says of the Canary beside its text."""
    spec = canary["spec"]
    analysis = spec.get("analysis") or {}
    target = spec["targetRef"]
    found = [
        {"name": "Target", "value": f"{target.get('kind', 'Deployment')}/{target['name']}.{canary['metadata']['namespace']}"},
        {"name": "Failed checks threshold", "value": str(analysis.get("threshold") or 0)},
        {"name": "Progress deadline", "value": f"{spec.get('progressDeadlineSeconds') or 600}s"},
    ]
    if analysis.get("stepWeight"):
        text = f"Weight step: {analysis['stepWeight']} max: {analysis.get('maxWeight') or 100}"
        return [*found, {"name": "Traffic routing", "value": text}]
    if analysis.get("stepWeights"):
        steps = ",".join(str(step) for step in analysis["stepWeights"])
        return [*found, {"name": "Traffic routing", "value": f"Weight steps: {steps} max: {analysis.get('maxWeight') or 100}"}]
    if analysis.get("iterations"):
        kind = "A/B Testing" if analysis.get("match") else "Blue/Green"
        return [*found, {"name": "Traffic routing", "value": kind}]
    return found


def body(kind: str, provider: Obj, canary: Obj, message: str, severity: str, more: list[Obj]) -> Obj:
    """The payload for a provider type: slack, discord, rocket, msteams, gchat, or any other (generic)."""
    name, namespace = canary["metadata"]["name"], canary["metadata"]["namespace"]
    title = f"{name}.{namespace}"
    spec = provider["spec"]
    username = spec.get("username") or USERNAME
    if kind in ("slack", "discord", "rocket"):
        rows = [{"title": field["name"], "value": field["value"], "short": False} for field in more]
        attachment = {
            "color": COLOURS[severity] if kind != "rocket" else {"info": "#0076D7", "warn": "#FFA500", "error": "#FF0000"}[severity],
            "author_name": title,
            "text": message,
            "mrkdwn_in": ["text"],
            "fields": rows,
        }
        return {"channel": spec.get("channel", ""), "username": username, "icon_emoji": ":rocket:", "attachments": [attachment]}
    if kind == "msteams":
        return {
            "@type": "MessageCard",
            "@context": "http://schema.org/extensions",
            "themeColor": "0076D7" if severity == "info" else "FF0000",
            "summary": title,
            "sections": [{"activityTitle": message, "activitySubtitle": title, "facts": more}],
        }
    if kind == "gchat":
        widgets: list[Any] = [{"textParagraph": {"text": message}}]
        widgets += [{"keyValue": {"topLabel": field["name"], "content": field["value"]}} for field in more]
        header = {"title": title, "subtitle": username}
        return {"cards": [{"header": header, "sections": [{"widgets": widgets}]}]}
    return {
        "name": name,
        "namespace": namespace,
        "severity": severity,
        "message": message,
        "metadata": {field["name"]: field["value"] for field in more},
    }


def address_of(provider: Obj, secret: Obj | None) -> str:
    data = (secret or {}).get("data") or {}
    if "address" in data:
        return base64.b64decode(data["address"]).decode().strip()
    return str(provider["spec"].get("address") or "")


async def post(http: httpx2.AsyncClient, url: str, content: Obj, token: str = "") -> str | None:
    """None if it was taken, else why not."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await http.post(url, json=content, headers=headers, timeout=10)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return str(error)
    return None if answer.status_code < 300 else f"sending notification failed: {answer.status_code} {answer.text}"
