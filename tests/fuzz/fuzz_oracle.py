"""What must hold whatever is sent.

After each input: an answer in time, none of 500 and more, nothing of the vault in it. All the while: the server answers
somebody else, the victim is served, main's log has no traceback, Flagger and the mesh are the processes that they were,
no ReplicaSet makes pods without end. What did not hold is kept in `faults`, each kind once, with the way to see it again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from contextlib import suppress
from typing import Any

import aiohttp
from fuzz_inputs import ADMIN, LIMITED, NOBODY, Input
from fuzz_lab import SECRET, Lab

PATIENCE = 30.0  # seconds within which everything is answered
PODS_OF_ONE = 100  # more of one ReplicaSet are a storm
LEAKS = (SECRET.encode(), base64.b64encode(SECRET.encode()))
IN_THE_VAULT = ("/api/v1/namespaces/vault/secrets/gold", "/api/v1/secrets", "/api/v1/namespaces/vault/configmaps")
PARTS = ("istio-system", "victim")


class Oracle:
    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.seed = lab, seed
        self.under_way: dict[int, Input] = {}
        self.faults: dict[str, str] = {}
        self.answers: Counter[int] = Counter()
        self.pods: Counter[str] = Counter()
        self._restarts: Counter[tuple[str, str]] = Counter()

    # -- after each input

    def judge(self, number: int, given: Input, status: int, body: bytes) -> None:
        self.answers[status] += 1
        beyond = "/proxy" in given.path and status in (502, 503, 504)  # the pod's own answer, or that it has none
        if status >= 500 and not beyond:
            self.fault(f"{status} {body[:300].decode(errors='replace')}", number)
        if given.account != ADMIN and any(leak in body for leak in LEAKS):
            self.fault(f"{given.account} reads what is in the vault", number)

    @property
    def accepted(self) -> float:
        good = sum(count for status, count in self.answers.items() if status < 300)
        return good / max(1, sum(self.answers.values()))

    def alive(self) -> bool:
        with suppress(Exception):
            return bool(self.lab.main.is_running() and self.lab.main.status() != "zombie")
        return False

    def fault(self, what: str, number: int | None = None) -> None:
        """Keep a fault with the input, or with those that are under way."""
        kind = re.sub(r"[0-9a-f]{8,}|\d+|n\d|'[^']*'|\"[^\"]*\"", "", what)[:160]
        if kind in self.faults or len(self.faults) > 40:
            return
        guilty = self.under_way if number is None else {number: self.under_way[number]}
        again = f"  --fuzz-seed {self.seed} --fuzz-only {','.join(map(str, sorted(guilty)))}"
        shown = [f"  {key}: {each}" for key, each in guilty.items()] if len(guilty) == 1 else []
        self.faults[kind] = "\n".join((what, again, *shown))

    # -- all the while

    async def watch(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        async with asyncio.TaskGroup() as group:
            for each in (self._server, self._victim, self._vault, self._log, self._pods):
                group.create_task(each())

    async def _server(self) -> None:
        while True:
            await self._ask("/version", 200, "the server does not answer others")
            await asyncio.sleep(0.05)

    async def _vault(self) -> None:
        while True:
            for account in (LIMITED, NOBODY):
                for path in IN_THE_VAULT:
                    await self._ask(path, 403, f"{account} gets {path}", account)
                await self._ask(IN_THE_VAULT[2], 403, f"{account} writes into the vault", account, "POST")
            await asyncio.sleep(1)

    async def _ask(self, path: str, status: int, what: str, account: str = ADMIN, method: str = "GET") -> None:
        sent = {"metadata": {"generateName": "x"}} if method == "POST" else None
        url, headers = self.lab.server + path, self.lab.headers(account)
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self.session.request(method, url, headers=headers, json=sent)
                await answer.read()
            if answer.status != status:
                self.fault(f"{what}: {answer.status}")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if self.alive():
                self.fault(f"{what}: {type(error).__name__}")

    async def _victim(self) -> None:
        """Through Envoy, as another pod's request; one that met a busy machine is repeated once."""
        failed = ""
        while True:
            try:
                async with self.session.get(self.lab.mesh, headers={"Host": "podinfo.victim:9898"}) as answer:
                    said = f"{answer.status} {await answer.text()}"[:100]
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                said = repr(error)
            if not said.startswith("200") and failed:
                self.fault(f"the victim is not served: {said}")
            failed = "" if said.startswith("200") else said
            await asyncio.sleep(0.5)

    async def _log(self) -> None:
        """Tracebacks of main, as they come."""
        text = ""
        with (self.lab.directory / "logs" / "main.log").open(errors="replace") as file:
            while True:
                text = text[-20_000:] + file.read()
                for error in tracebacks(text):
                    self.fault(f"main: {error}")
                await asyncio.sleep(0.25)

    async def _pods(self) -> None:
        """Each pod that ever was, by its ReplicaSet; and those of Flagger, mesh and Prometheus, which may not change."""
        while True:
            with suppress(aiohttp.ClientError, OSError):
                url, headers = f"{self.lab.server}/api/v1/pods?watch=1", self.lab.headers(ADMIN)
                async with self.session.get(url, headers=headers) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] != "ERROR":
                            self._pod(event["type"], event["object"])
            await asyncio.sleep(0.1)

    def _pod(self, happened: str, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        name = f"{meta['namespace']}/{meta['name']}"
        if happened == "ADDED":
            owner = next((each["uid"] for each in meta.get("ownerReferences") or []), meta["uid"])
            self.pods[owner] += 1
            if self.pods[owner] > PODS_OF_ONE:
                self.fault(f"{PODS_OF_ONE} pods of one ReplicaSet, such as {name}")
        if happened == "DELETED" and meta["namespace"] == "istio-system":
            self.fault(f"the pod {name} is gone")
        for container in pod.get("status", {}).get("containerStatuses") or []:
            key, count = (meta["uid"], container["name"]), container.get("restartCount", 0)
            if meta["namespace"] in PARTS and count > self._restarts[key]:
                self.fault(f"restarted: {name} {json.dumps(container)[:600]}")
                self._restarts[key] = count


def tracebacks(text: str) -> list[str]:
    """The last line and place of each traceback."""
    found = re.findall(r"^Traceback .*?\n((?:[ \t].*\n|\n)+)(\S.*)$(?!\n\n(?:During|The above))", text, re.MULTILINE)
    places = [re.findall(r"canary_tutorial/[^ ]*, line [0-9]+", place) for place, _ in found]
    return [f"{error} at {' '.join(place[-1:])}" for (_, error), place in zip(found, places, strict=True)]
