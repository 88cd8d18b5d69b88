"""A program's web page in JupyterLab: which links are rebased, what stays here, and what is said where there is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from canary_tutorial.jupyter import pages
from canary_tutorial.jupyter.pages import Answer, graph, is_api_server_error, jupyter, rebase_links

BELOW = "/api/v1/namespaces/istio-system/services/prometheus:9090/proxy"
PREFIX = "/user/someone/prometheus"


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ('<a href="/graph">', f'<a href="{PREFIX}/graph">'),
        ("<img src='/icon.png'>", f"<img src='{PREFIX}/icon.png'>"),
        (f'<a href="{BELOW}/graph">', f'<a href="{PREFIX}/graph">'),  # as a real API server hands it on
        ('var PATH_PREFIX = "";', f'var PATH_PREFIX = "{PREFIX}";'),
        ('<script src="./static/app.js">', '<script src="./static/app.js">'),
        ('<a href="//prometheus.io/">', '<a href="//prometheus.io/">'),
        ('<a href="https://prometheus.io/">', '<a href="https://prometheus.io/">'),
    ],
)
def test_addresses_that_begin_at_the_root_begin_at_the_prefix(page: str, read: str):
    assert rebase_links(page, BELOW, PREFIX) == read


def test_an_answer_of_the_api_server_is_not_taken_for_one_of_the_program():
    status = json.dumps({"kind": "Status", "code": 503}).encode()
    assert is_api_server_error(Answer(503, {"Content-Type": "application/json"}, status))
    assert not is_api_server_error(Answer(404, {"Content-Type": "application/json"}, b'{"status": "error"}'))
    assert not is_api_server_error(Answer(404, {"Content-Type": "text/plain"}, b"404 page not found"))


def test_a_query_is_a_link_where_jupyter_runs_the_kernel_and_a_command_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "17")
    link = graph('up{job="x"}')
    command = "kubectl port-forward -n istio-system svc/prometheus 9090\nhttp://localhost:9090/graph?g0.expr=up%7B"
    assert jupyter() == ""
    assert repr(link).startswith(command)
    assert "port-forward" in link._repr_html_()
    (tmp_path / "jpserver-17.json").write_text(json.dumps({"base_url": "/user/someone/"}))
    assert 'href="/user/someone/prometheus/graph?g0.expr=up%7Bjob%3D%22x%22%7D' in link._repr_html_()


@pytest.mark.parametrize("name", ["prometheus", "podinfo"])
def test_a_launcher_entry_has_a_picture(name: str):
    entry = getattr(pages, name)()["launcher_entry"]
    assert Path(entry["icon_path"]).read_text().startswith("<svg")


def test_without_a_lab_the_page_says_how_to_get_one(tmp_path: Path):
    program = """
import asyncio
from aiohttp.test_utils import TestClient, TestServer
from aiohttp import web
from canary_tutorial.jupyter.pages import Pages

async def ask():
    app = web.Application()
    app.router.add_get("/", Pages("prometheus").answer)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/")
        print(answer.status, await answer.text())

asyncio.run(ask())
"""
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(tmp_path), "CANARY_TUTORIAL_LAB": "none"}
    environment.pop("CANARY_TUTORIAL_CONTEXT", None)
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("503")
    assert "the lab &#x27;none&#x27; is not running" in said.stdout
    assert "Run the first cells of a lesson" in said.stdout
