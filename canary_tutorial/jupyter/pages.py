"""Serves the web pages of Prometheus and podinfo in JupyterLab, on the lab and on other clusters, without port-forward.

jupyter-server-proxy runs `python -m canary_tutorial.jupyter.pages NAME SOCKET` behind its own prefix (/user/x/prometheus/
on Binder). Each request is forwarded to the API server's service proxy, with the cluster's credentials; absolute paths in
answers are rewritten, since these programs assume to be served from `/`. It listens on a Unix socket, so that Jupyter
controls the access.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from canary_tutorial.connection import NAMESPACE, connect
from canary_tutorial.errors import TutorialError
from canary_tutorial.install.installed import DEFAULT_PROMETHEUS, PROMETHEUS
from canary_tutorial.kube.manifests import NAMESPACE as USUAL

if TYPE_CHECKING:
    from aiohttp import ClientSession, web

    from canary_tutorial.connection import Cluster

PASSED_ON = ("Accept", "Accept-Language", "Content-Type", "User-Agent")  # Jupyter's cookies and token stay here
KEPT = ("Content-Type", "Cache-Control", "Location")
TITLES = {"prometheus": "Prometheus", "podinfo": "podinfo"}


def service_of(name: str) -> tuple[str, str]:
    """(namespace, service:port) of a page."""
    home = os.environ.get(NAMESPACE) or USUAL
    where = (os.environ.get(PROMETHEUS) or DEFAULT_PROMETHEUS) if name == "prometheus" else f"{home}/podinfo:9898"
    namespace, _, service = where.partition("/")
    return namespace, service


# -- in JupyterLab ------------------------------------------------------------------------------------------------------


def launcher(name: str) -> dict[str, Any]:
    """What jupyter-server-proxy wants to know of a page (the entry points in pyproject.toml)."""
    return {
        "command": [sys.executable, "-m", "canary_tutorial.jupyter.pages", name, "{unix_socket}"],
        "unix_socket": True,
        "timeout": 30,
        "launcher_entry": {
            "title": TITLES[name],
            "icon_path": str(Path(__file__).parent / "icons" / f"{name}.svg"),
        },
    }


def prometheus() -> dict[str, Any]:
    return launcher("prometheus")


def podinfo() -> dict[str, Any]:
    return launcher("podinfo")


@dataclass(frozen=True)
class Link:
    """A page to open: a link in JupyterLab, and in words how to get there from anywhere else."""

    name: str
    path: str = ""

    def __repr__(self) -> str:
        namespace, service = service_of(self.name)
        service, _, port = service.partition(":")
        return f"kubectl port-forward -n {namespace} svc/{service} {port}\nhttp://localhost:{port}/{self.path}"

    def _repr_html_(self) -> str:
        base = jupyter()
        if not base:
            return f"<pre style='white-space:pre-wrap;overflow-wrap:anywhere'>{escape(repr(self))}</pre>"
        address = f"{base}{self.name}/{self.path}"
        return f'<a href="{escape(address)}" target="_blank">Open {TITLES[self.name]} in a new tab</a>'


def graph(query: str, minutes: int = 5) -> Link:
    """Prometheus' own page with a query in it, drawn over the last minutes."""
    fields = {"g0.expr": query, "g0.tab": 0, "g0.range_input": f"{minutes}m"}
    return Link("prometheus", f"graph?{urlencode(fields)}")


def jupyter() -> str:
    """Where the Jupyter server that runs this kernel has its pages ("/", on Binder "/user/x/"); "" if none does."""
    from jupyter_core.paths import jupyter_runtime_dir

    told = Path(jupyter_runtime_dir()) / f"jpserver-{os.environ.get('JPY_PARENT_PID')}.json"
    return str(json.loads(told.read_text())["base_url"]) if told.exists() else ""


# -- the forwarder ------------------------------------------------------------------------------------------------------


def rebase_links(body: str, below: str, prefix: str) -> str:
    """A page whose addresses begin at the root (or at `below`, where an API server has already rebased them), for a reader
    who has it at `prefix`."""
    body = body.replace(below, "")
    body = re.sub(r"""\b(href|src|action)=(["'])/(?!/)""", rf"\1=\2{prefix}/", body)
    return body.replace('PATH_PREFIX = ""', f'PATH_PREFIX = "{prefix}"')


def message(title: str, problem: str, remedy: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;"
        f"padding:0 1em}}</style><h1>{escape(title)}</h1><p>{escape(problem)}</p><p>{escape(remedy)}</p>"
        "<p>Then <a href=''>load this page again</a>.</p></html>"
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def is_api_server_error(answer: Answer) -> bool:
    """Whether the API server itself answers, as it could not reach the program."""
    if answer.status not in (401, 403, 404, 503) or "json" not in answer.headers.get("Content-Type", ""):
        return False
    said = json.loads(answer.body)
    return isinstance(said, dict) and said.get("kind") == "Status"


class Pages:
    """One program's pages. The cluster is looked for at each beginning and after each failure: labs come and go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace, self.service = service_of(name)
        self.cluster: Cluster | None = None
        self.client: ClientSession | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import ClientError, web

        try:
            cluster, client = await self._client()
            below = cluster.proxy_path(self.service, "", self.namespace).rstrip("/")
            found = await self._ask(client, cluster, below, request)
        except TutorialError as error:
            return await self._failed(str(error), "Run the first cells of a lesson: they start a lab and fill it.")
        except (TimeoutError, ClientError, OSError) as error:
            problem = f"The cluster does not answer: {error}"
            return await self._failed(problem, "Is it still running? For the lab: canary-tutorial status")
        if is_api_server_error(found):
            problem = (
                f"{TITLES[self.name]} (the service {self.namespace}/{self.service}) does not answer in {cluster.name}."
            )
            return await self._failed(
                problem, "Run the first cells of a lesson: prepare(cluster) brings what is missing."
            )
        prefix = request.headers.get("X-Forwarded-Prefix", "").rstrip("/")
        headers = {key: found.headers[key] for key in KEPT if key in found.headers}
        if "Location" in headers:  # from the root: jupyter-server-proxy puts its own prefix before it
            headers["Location"] = headers["Location"].removeprefix(cluster.api.server).removeprefix(below) or "/"
        body = found.body
        if headers.get("Content-Type", "").startswith("text/html"):
            body = rebase_links(body.decode(errors="replace"), below, prefix).encode()
        return web.Response(status=found.status, body=body, headers=headers)

    async def _ask(self, client: ClientSession, cluster: Cluster, below: str, request: web.Request) -> Answer:
        from yarl import URL

        headers = {key: request.headers[key] for key in PASSED_ON if key in request.headers}
        headers |= {"Accept-Encoding": "identity", **cluster.api.headers()}
        url = URL(cluster.api.server + below + request.raw_path, encoded=True)
        body = await request.read() or None
        async with client.request(request.method, url, headers=headers, data=body, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def _client(self) -> tuple[Cluster, ClientSession]:
        if self.cluster is None or self.client is None:
            from aiohttp import ClientSession, ClientTimeout, TCPConnector

            cluster = await asyncio.to_thread(connect, show=False, start=False)
            connector = TCPConnector(ssl=tls_context(cluster.api.configuration))
            self.client = ClientSession(connector=connector, timeout=ClientTimeout(60), auto_decompress=True)
            self.cluster = cluster
        return self.cluster, self.client

    async def _failed(self, problem: str, remedy: str) -> web.Response:
        from aiohttp import web

        await self.close()
        page = message(f"{TITLES[self.name]} is not there", problem, remedy)
        return web.Response(status=503, text=page, content_type="text/html")

    async def close(self) -> None:
        client, self.client, self.cluster = self.client, None, None
        if client is not None:
            await client.close()


def tls_context(settings: Any) -> ssl.SSLContext | bool:
    """What the kubeconfig says of certificates, the server's and ours."""
    if not str(settings.host).startswith("https"):
        return True
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


def main() -> None:
    from aiohttp import web

    name, socket = sys.argv[1:]
    pages = Pages(name)

    async def closing(_app: web.Application) -> AsyncIterator[None]:
        yield
        await pages.close()

    app = web.Application(client_max_size=16 * 2**20)
    app.cleanup_ctx.append(closing)
    app.router.add_route("*", "/{path:.*}", pages.answer)
    web.run_app(app, path=socket, print=None, access_log=None)


if __name__ == "__main__":
    main()
