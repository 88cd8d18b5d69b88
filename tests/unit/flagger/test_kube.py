"""The client's manners: conflicts are settled on a fresh read, refusals keep the API's words."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.core.internal_models import meta_v1

from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.kube import CONFLICT_TRIES, Kube, connection


class Api:
    """Answers `replace` with `plan`, one status code after another; each conflict means that somebody else wrote."""

    def __init__(self, *plan: int) -> None:
        self.plan, self.version = list(plan), 1
        self.written: list[dict[str, Any]] = []

    async def get(self, resource: Any, name: str, *, namespace: str) -> dict[str, Any]:
        meta = {"name": name, "namespace": namespace, "resourceVersion": str(self.version)}
        return {"metadata": meta, "status": {"failedChecks": self.version}}

    async def replace(self, obj: Any) -> Any:
        code = self.plan.pop(0) if self.plan else 200
        if code != 200:
            self.version += 1
            raise ApiError(status=meta_v1.Status(code=code, message=f"refused with {code}"))
        self.written.append(dict(obj))
        return obj


def make(api: Api) -> Kube:
    kube = Kube(connection(master="http://127.0.0.1:1"))
    kube._client = api  # type: ignore[assignment]
    return kube


def one_more(canary: dict[str, Any]) -> dict[str, Any]:
    return {"failedChecks": canary["status"]["failedChecks"] + 1}


async def write(api: Api) -> dict[str, Any]:
    return await make(api).write_status("podinfo", "test", one_more)


def test_a_conflict_is_settled_on_what_is_there_now():
    api = Api(409, 409)
    asyncio.run(write(api))
    (written,) = api.written
    assert written["metadata"]["resourceVersion"] == "3"
    assert written["status"] == {"failedChecks": 4}


def test_conflicts_without_end_are_refused():
    with pytest.raises(Refused, match="refused with 409"):
        asyncio.run(write(Api(*[409] * CONFLICT_TRIES)))


def test_another_refusal_is_not_tried_again():
    api = Api(422)
    with pytest.raises(Refused, match="refused with 422"):
        asyncio.run(write(api))
    assert api.plan == []


@pytest.mark.parametrize(("code", "missing"), [(404, True), (403, False)])
def test_a_missing_object_is_told_from_a_forbidden_one(code: int, missing: bool):
    with pytest.raises(Refused) as refused:
        asyncio.run(make(Api(code)).update("Canary", {"metadata": {"name": "a", "namespace": "b"}}))
    assert refused.value.missing is missing


def test_nobody_there_is_a_refusal_too():
    async def work() -> None:
        kube = Kube(connection(master="http://127.0.0.1:1"))
        with pytest.raises(Refused):
            await kube.get("Canary", "podinfo", "test")

    asyncio.run(work())


def test_a_kubeconfig_without_a_user_is_taken(tmp_path: Path):
    config = {
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a"}}],
        "current-context": "a",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    assert connection(str(path)).user is not None
    assert connection(str(path), "http://127.0.0.1:2").cluster.server == "http://127.0.0.1:2"
    path.write_text(yaml.safe_dump({**config, "current-context": ""}))
    with pytest.raises(ConfigError):
        connection(str(path))
