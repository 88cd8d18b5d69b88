"""What both load testers are asked (`loadtester_cases.yaml`): each case a few requests, one after the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TOKEN = "the token of these cases"
PATHS = ("/gate/check", "/rollback/open", "/")  # where each body is posted to


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    requests: list[Request]
    flags: str = ""  # of another load tester than the one that most cases share
    headers: bool = False  # the answer's Content-Type counts, too


def request(line: str | dict[str, Any]) -> Request:
    given = line if isinstance(line, dict) else {"request": line}
    method, path, body = (*given["request"].split(" ", 2), "")[:3]
    return Request(method, path, body.encode(), given.get("headers", {}), given.get("chunks", False))


def task(metadata: dict[str, str]) -> Request:
    given = {"token": TOKEN, **metadata} if metadata else metadata
    return Request("POST", "/", json.dumps({"name": "podinfo", "namespace": "test", "metadata": given}).encode())


def body(text: str | dict[str, Any]) -> list[Request]:
    written = text if isinstance(text, str) else text["of"] * text["times"] + text.get("then", "")
    return [Request("POST", path, written.encode("latin-1")) for path in PATHS]


def cases() -> list[Case]:
    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    found = {name: [request(line) for line in lines] for name, lines in data["requests"].items()}
    found |= {f"body: {name}": body(text) for name, text in data["bodies"].items()}
    found |= {f"task: {name}": [task(metadata) for metadata in given] for name, given in data["tasks"].items()}
    return [Case(name, made, data["flags"].get(name, ""), name in data["headers"]) for name, made in found.items()]
